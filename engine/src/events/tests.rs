//! The event log over a disk in memory that loses, tears and refuses, with readers that must see every event once and in order.

use super::*;
use crate::shard::files::{FileError, FileStep};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;
use std::io;
use wire::{EventField, EventKind, FeedEvent, FeedPlace, Millis, PartitionId, Position, RawId, Seq, SkuId, placement::shard_of};
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

const FOLDER_ID: u128 = 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10;
const EPOCH: u32 = 3;
const PARTITIONS: u16 = 6;
const SECOND_US: u64 = 1_000_000;

fn event(partition: u16, seq: u64, nth: u32, at: u64, key: &str) -> FeedEvent {
    let (partition, seq, at) = (PartitionId(partition), Seq(seq), Millis(at));
    FeedEvent {
        id: crate::partition::event_id(at, partition, seq, nth),
        position: Position { epoch: EPOCH, partition, seq },
        nth,
        at,
        kind: EventKind::StockReceived,
        data: vec![EventField::Sku(SkuId(RawId(7))), EventField::Location(key.to_owned()), EventField::Quantity(u64::from(nth) + 1)],
    }
}

fn name(generation: u32, shard: u16, shards: u16) -> LogName {
    LogName { folder: FOLDER_ID, generation, shard, shards, epoch: EPOCH }
}

/// Files in memory; what is not synced may be lost.
#[derive(Clone, Default)]
pub(crate) struct Files {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    synced: BTreeMap<String, Vec<u8>>,
}

impl Files {
    /// Does a step; what it read.
    pub(crate) fn step(&mut self, step: &FileStep) -> Result<Option<Vec<u8>>, FileError> {
        match step {
            FileStep::Write { path, offset, bytes, create } => {
                assert!(*create || self.files.contains_key(path), "{path} is there");
                let file = self.files.entry(path.clone()).or_default();
                if *create {
                    file.clear();
                }
                let offset = usize::try_from(*offset).expect("small");
                file.resize(file.len().max(offset + bytes.len()), 0);
                file[offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            FileStep::Sync { path } => drop(self.synced.insert(path.clone(), self.files[path].clone())),
            FileStep::Remove { path } => {
                self.files.remove(path);
                self.synced.remove(path);
            }
            FileStep::SyncFolder { .. } => {}
            FileStep::Read { path, offset, bytes } => {
                let failed = |cause| FileError::Failed { path: path.clone(), doing: "read", cause };
                let offset = usize::try_from(*offset).expect("small");
                return self.read(path, offset + bytes).map(|mut all| Some(all.split_off(offset))).map_err(failed);
            }
            FileStep::Rename { from, to } => {
                let move_in = |files: &mut BTreeMap<String, Vec<u8>>| files.remove(from).map(|file| files.insert(to.clone(), file));
                move_in(&mut self.files).expect("it is there");
                move_in(&mut self.synced).expect("it was synced");
            }
        }
        Ok(None)
    }

    /// Power fails: of what was not synced a part stays.
    pub(crate) fn crash(&mut self, torn: u64) {
        let mut torn = torn;
        for (path, file) in &mut self.files {
            let synced = self.synced.get(path).cloned().unwrap_or_default();
            if *file == synced {
                continue;
            }
            torn = torn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let chosen = (torn >> 33) as usize;
            if !file.starts_with(&synced) && chosen & 1 == 0 {
                // It was begun anew, and that is lost too.
                *file = synced;
                continue;
            }
            let least = if file.starts_with(&synced) { synced.len() } else { 0 };
            file.truncate(least + (chosen >> 1) % (file.len() - least + 1));
        }
        self.synced = self.files.clone();
    }
}

impl EventFiles for Files {
    fn logs(&mut self) -> io::Result<BTreeMap<(u32, u16), LogFiles>> {
        let mut logs: BTreeMap<(u32, u16), LogFiles> = BTreeMap::new();
        for (path, bytes) in &self.files {
            let parts: Vec<&str> = path.split('/').collect();
            // Snapshots lie beside.
            let [FOLDER, generation, shard, file] = parts[..] else { continue };
            let log = logs.entry(parse_log(generation, shard).expect("a log")).or_default();
            log.insert(parse_file(file).expect("a file"), bytes.len() as u64);
        }
        Ok(logs)
    }

    fn read(&mut self, path: &str, bytes: usize) -> io::Result<Vec<u8>> {
        let file = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(file.get(..bytes).ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        let file = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.synced.insert(path.to_owned(), file.clone());
        Ok(())
    }
}

/// A shop's event logs, and all that was ever told.
struct World {
    disk: Files,
    shards: Vec<EventLog>,
    generation: u32,
    keep: Keep,
    /// Of each partition, by command.
    told: Vec<Vec<Vec<FeedEvent>>>,
    now: u64,
    /// Steps of each shard that are under way.
    under_way: Vec<Option<Vec<FileStep>>>,
}

impl World {
    fn new(shards: u16, keep: Keep) -> Self {
        let mut world = Self {
            disk: Files::default(),
            shards: Vec::new(),
            generation: 0,
            keep,
            told: vec![Vec::new(); usize::from(PARTITIONS)],
            now: 1_000,
            under_way: Vec::new(),
        };
        world.start(shards);
        world
    }

    /// Starts with a number of shards, replaying everything.
    fn start(&mut self, shards: u16) {
        if self.shards.len() != usize::from(shards) {
            self.generation += 1;
        }
        let catalog = Catalog::read(&mut self.disk, FOLDER_ID, EPOCH).expect("read");
        let make = |shard: u16| {
            let of_shard = (0..PARTITIONS).map(PartitionId).filter(|id| shard_of(*id, shards).0 == shard);
            let mut log = EventLog::new(self.keep, of_shard.clone(), &catalog);
            for partition in of_shard {
                for events in &self.told[usize::from(partition.0)] {
                    log.append(0, events);
                    log.applied(0);
                }
            }
            log.begin(name(self.generation, shard, shards), &catalog);
            log
        };
        self.shards = (0..shards).map(make).collect();
        self.under_way = vec![None; usize::from(shards)];
    }

    fn shard(&self, partition: u16) -> usize {
        usize::from(partition) % self.shards.len()
    }

    /// A command that tells `count` events.
    fn command(&mut self, partition: u16, count: u32, bytes: usize) {
        self.now += 7;
        let commands = &mut self.told[usize::from(partition)];
        let seq = commands.len() as u64 + 1;
        let key = "k".repeat(bytes);
        commands.push((0..count).map(|nth| event(partition, seq, nth, self.now, &key)).collect());
        let (shard, us) = (self.shard(partition), self.now * 1_000);
        let events = self.told[usize::from(partition)].last().expect("pushed");
        self.shards[shard].append(us, events);
        self.shards[shard].applied(us);
    }

    fn applied(&self, shard: usize) -> impl Iterator<Item = (PartitionId, Seq)> + use<> {
        let of_shard = (0..PARTITIONS).filter(move |id| self.shard(*id) == shard);
        let seqs: Vec<_> = of_shard.map(|id| (PartitionId(id), Seq(self.told[usize::from(id)].len() as u64))).collect();
        seqs.into_iter()
    }

    /// A shard writes what it has to; the steps up to `done` are carried out, and it is told if that was all.
    fn write(&mut self, shard: usize, at_once: bool, done: usize) {
        let applied = self.applied(shard);
        if self.under_way[shard].is_none() {
            self.under_way[shard] = self.shards[shard].write(Millis(self.now), self.now * 1_000, at_once, applied);
        }
        if let Some(steps) = self.under_way[shard].take() {
            steps.iter().take(done).for_each(|step| drop(self.disk.step(step).expect("done")));
            self.shards[shard].written(self.now * 1_000, done >= steps.len());
        }
        if let Some(steps) = self.shards[shard].expire(Millis(self.now)) {
            steps.iter().for_each(|step| drop(self.disk.step(step).expect("done")));
        }
    }

    /// Everything is written.
    fn flush(&mut self) {
        for shard in 0..self.shards.len() {
            for _ in 0..10_000 {
                self.now += 2_000;
                self.write(shard, true, usize::MAX);
                if self.shards[shard].is_clean() {
                    break;
                }
            }
            assert!(self.shards[shard].is_clean());
        }
    }

    /// Reads a page of one shard; `false` if it is gone.
    fn page(&mut self, shard: usize, reader: &mut Reader, limit: usize) -> bool {
        let own = reader.places.iter().filter(|(id, _)| self.shard(id.0) == shard).map(|(id, place)| (*id, *place)).collect();
        let mut reading = Reading::new(own, limit);
        loop {
            match self.shards[shard].read(&mut reading) {
                Part::Done => break,
                Part::Gone => return false,
                Part::Read(ToRead { path, bytes }) => {
                    let bytes = self.disk.read(&path, bytes).ok();
                    self.shards[shard].give(path, bytes);
                }
            }
        }
        assert!(reading.events.len() <= limit);
        reader.seen.extend(reading.events);
        reader.places.extend(reading.places);
        true
    }
}

struct Reader {
    places: BTreeMap<PartitionId, FeedPlace>,
    seen: Vec<FeedEvent>,
}

impl Reader {
    fn new() -> Self {
        Self { places: (0..PARTITIONS).map(|id| (PartitionId(id), FeedPlace::default())).collect(), seen: Vec::new() }
    }

    /// Reads up to the end, and has seen every event of every partition once and in order.
    fn finish(&mut self, world: &mut World) {
        for shard in 0..world.shards.len() {
            let mut before = usize::MAX;
            while before != self.seen.len() {
                before = self.seen.len();
                assert!(world.page(shard, self, 50), "nothing is gone");
            }
        }
        for (id, commands) in (0..PARTITIONS).zip(&world.told) {
            let seen: Vec<_> = self.seen.iter().filter(|event| event.position.partition.0 == id).collect();
            let told: Vec<_> = commands.iter().flatten().collect();
            assert_eq!(seen, told, "of partition {id}");
        }
    }
}

const FOR_EVER: Keep = Keep { ms: u64::MAX / 2, bytes: u64::MAX };

#[derive(Clone, Debug)]
enum Step {
    Command { partition: u16, count: u32, bytes: usize },
    Write { shard: usize, at_once: bool, done: usize },
    Wait(u64),
    Read { shard: usize, limit: usize },
    Crash { torn: u64, shards: u16 },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..PARTITIONS, 0u32..4, prop_oneof![5 => 1usize..40, 1 => Just(3_900)])
            .prop_map(|(partition, count, bytes)| Step::Command { partition, count, bytes }),
        4 => (0usize..3, any::<bool>(), prop_oneof![6 => Just(9usize), 1 => 0usize..3])
            .prop_map(|(shard, at_once, done)| Step::Write { shard, at_once, done }),
        2 => (0u64..11_000).prop_map(Step::Wait),
        4 => (0usize..3, 1usize..20).prop_map(|(shard, limit)| Step::Read { shard, limit }),
        1 => (any::<u64>(), 1u16..4).prop_map(|(torn, shards)| Step::Crash { torn, shards }),
    ]
}

proptest! {
    #[test]
    fn a_reader_sees_every_event_once_over_crashes_and_other_shards(steps in vec(any_step(), 0..150)) {
        let mut world = World::new(2, FOR_EVER);
        let mut reader = Reader::new();
        for step in steps {
            match step {
                Step::Command { partition, count, bytes } => world.command(partition, count, bytes),
                Step::Write { shard, at_once, done } => world.write(shard % world.shards.len(), at_once, done),
                Step::Wait(ms) => world.now += ms,
                Step::Read { shard, limit } => {
                    let shard = shard % world.shards.len();
                    prop_assert!(world.page(shard, &mut reader, limit));
                }
                Step::Crash { torn, shards } => {
                    world.disk.crash(torn);
                    world.start(shards);
                }
            }
        }
        for (id, commands) in (0..PARTITIONS).zip(&world.told) {
            let durable = world.shards[world.shard(id)].durable(PartitionId(id));
            prop_assert!(durable.0 <= commands.len() as u64, "never ahead");
        }
        reader.finish(&mut world);
        world.flush();
        // From files alone.
        world.start(1);
        for (id, commands) in (0..PARTITIONS).zip(&world.told) {
            prop_assert_eq!(world.shards[0].durable(PartitionId(id)), Seq(commands.len() as u64));
        }
        Reader::new().finish(&mut world);
    }

    #[test] // Spoiled bytes under checksums that are right: what is read is written the same, and nothing panics.
    fn spoiled_files_are_scanned(spoilt in vec((0usize..600, any::<u8>()), 1..4)) {
        let mut log = EventLog::new(FOR_EVER, [PartitionId(0), PartitionId(5)].into_iter(), &Catalog::default());
        log.begin(name(1, 0, 1), &Catalog::default());
        log.append(0, &[event(5, 9, 0, 1_000, "main"), event(5, 9, 1, 1_000, "east"), event(0, 3, 0, 1_001, "")]);
        log.applied(0);
        let steps = log.write(Millis(2_000), SECOND_US, true, [(PartitionId(5), Seq(9))].into_iter()).expect("steps");
        let FileStep::Write { bytes: file, .. } = &steps[0] else { panic!("{steps:?}") };
        let mut file = file.clone();
        for (at, byte) in spoilt {
            let at = at % file.len();
            file[at] = byte;
        }
        mend(&mut file);
        if let Ok(scanned) = scan(&file) {
            let (header, length, _) = Header::decode(&file).expect("it was scanned");
            prop_assert_eq!(header.encode(), &file[..length], "one header, one spelling");
            let mut again = Vec::new();
            for raw in Events(&scanned.events) {
                put_event(&mut again, &raw.decode(EPOCH).expect("a frame with an event that cannot be read is none"));
            }
            prop_assert_eq!(again, scanned.events, "one event, one spelling");
        }
    }

    #[test] // What is read is written the same, and nothing panics.
    fn any_bytes_are_scanned(bytes in vec(any::<u8>(), 0..300)) {
        let _ = scan(&bytes);
        for raw in Events(&bytes) {
            if let Some(event) = raw.decode(0) {
                let mut again = Vec::new();
                put_event(&mut again, &event);
                prop_assert!(Events(&again).next().and_then(|raw| raw.decode(0)) == Some(event));
            }
        }
    }
}

/// Puts the checksums of a header and of the first frame behind it right, if their lengths fit.
fn mend(file: &mut [u8]) {
    let length_at = |file: &[u8], at: usize| {
        let bytes: [u8; 4] = file.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let Some(header) = length_at(file, 28).filter(|length| (88..=file.len()).contains(length)) else { return };
    let checksum = xxh3_128(&file[16..header]);
    file[..16].copy_from_slice(&checksum.to_le_bytes());
    if let Some(frame) = length_at(file, header + 20).filter(|length| (32..=file.len() - header).contains(length)) {
        let sum = xxh3_128_with_seed(&file[header + 16..header + frame], checksum as u64);
        file[header..header + 16].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Commands until the log has begun its `files`th file.
fn fill(world: &mut World, files: u32) {
    while !world.disk.files.keys().any(|path| path.ends_with(&format!("{files:08}.evt"))) {
        for _ in 0..50 {
            world.command(0, 1, 3_900);
            world.command(1, 0, 0);
        }
        world.now += 2_000;
        world.write(0, false, usize::MAX);
    }
}

#[test]
fn memory_is_bounded_and_files_are_read_when_it_ends() {
    let mut world = World::new(1, FOR_EVER);
    fill(&mut world, 5);
    let mut reader = Reader::new();
    let mut reading = Reading::new(reader.places.clone(), 10);
    assert!(matches!(world.shards[0].read(&mut reading), Part::Read(_)), "the oldest are not in memory");
    let young = FeedPlace { seq: Seq(world.told[0].len() as u64 - 100), nth: 0 };
    let mut reading = Reading::new([(PartitionId(0), young)].into(), 10);
    assert_eq!((world.shards[0].read(&mut reading), reading.events.len()), (Part::Done, 10));
    reader.finish(&mut world);
    assert!(world.disk.files.values().all(|file| file.len() <= SEGMENT_BYTES_MAX));
}

#[test] // The oldest files go, by bytes and by age; a reader that comes for them is told so, also after a start.
fn old_events_go() {
    for keep in [Keep { bytes: 2 * SEGMENT_BYTES_MAX as u64, ..FOR_EVER }, Keep { ms: 90_000, ..FOR_EVER }] {
        let mut world = World::new(1, keep);
        fill(&mut world, 8);
        let first = PartitionId(0);
        let oldest = world.shards[0].oldest(first);
        assert!(oldest > FeedPlace::default(), "{keep:?}");
        assert_eq!(world.shards[0].oldest(PartitionId(1)), FeedPlace::default(), "which told nothing");
        for again in [false, true] {
            if again {
                world.flush();
                world.start(1);
            }
            let oldest_now = world.shards[0].oldest(first);
            assert!(oldest_now >= oldest);
            let mut reader = Reader::new();
            assert!(!world.page(0, &mut reader, 10), "gone");
            reader.places.insert(first, oldest_now);
            assert!(world.page(0, &mut reader, 10));
            let wanted = FeedPlace { seq: oldest_now.seq, nth: 0 }.max(FeedPlace { seq: Seq(oldest_now.seq.0 + 1), nth: 0 });
            assert_eq!(reader.seen[0].place(), wanted, "one event each, and the one before the oldest place is gone");
        }
    }
}

#[test] // The last file of a log of other shards stays until later logs tell as much of all its partitions, and goes with its age then.
fn the_last_file_of_an_older_generation_goes_when_later_ones_tell_as_much() {
    let mut world = World::new(1, Keep { ms: 90_000, ..FOR_EVER });
    for partition in 0..PARTITIONS {
        world.command(partition, 1, 10);
    }
    world.flush();
    let old = super::catalog::file_path(1, 0, 1);
    let told = |world: &World| -> Vec<Seq> { world.told.iter().map(|commands| Seq(commands.len() as u64)).collect() };
    let durable =
        |world: &World| -> Vec<Seq> { (0..PARTITIONS).map(|id| world.shards[world.shard(id)].durable(PartitionId(id))).collect() };
    // The first of the two new shards writes, the other does not: half of the partitions are told by the old file alone.
    world.start(2);
    world.command(0, 1, 10);
    world.flush();
    world.now += 1_000_000;
    for (writes, stays) in [(0, true), (1, true), (0, false)] {
        world.start(2);
        world.command(writes, 1, 10);
        world.flush();
        assert_eq!(world.disk.files.contains_key(&old), stays, "{:?}", world.disk.files.keys());
    }
    world.start(3);
    assert_eq!(durable(&world), told(&world));
    assert!(world.shards[0].oldest(PartitionId(0)) > FeedPlace::behind(Seq(0)), "what was in it is gone");
}

#[test]
fn a_damaged_file_costs_its_events_and_no_more() {
    let mut world = World::new(1, FOR_EVER);
    fill(&mut world, 6);
    world.flush();
    world.start(1);
    let path = super::catalog::file_path(1, 0, 3);
    let file = world.disk.files.get_mut(&path).expect("there");
    let middle = file.len() / 2;
    file[middle] ^= 1;
    let mut reader = Reader::new();
    let mut pages = 0;
    while world.page(0, &mut reader, 100) {
        pages += 1;
        assert!(pages < 10_000);
    }
    let (last, oldest) = (reader.seen.last().expect("some").place(), world.shards[0].oldest(PartitionId(0)));
    assert!(last < oldest, "what was whole was read, the rest counts as gone");
    reader.places.insert(PartitionId(0), oldest);
    assert!(world.page(0, &mut reader, 100));
    assert_eq!(reader.seen[reader.seen.len() - 100].place().seq.0, oldest.seq.0 + 1);

    // A file that is missing is a hole, which a start finds.
    world.disk.files.remove(&path);
    let catalog = Catalog::read(&mut world.disk, FOLDER_ID, EPOCH).expect("read");
    assert_eq!(catalog.ignored.len(), 2, "{:?}", catalog.ignored);
    world.start(1);
    assert_eq!(world.shards[0].oldest(PartitionId(0)), oldest);
}

#[test] // What crashes leave is no damage; every other change of what was durable is, and is told with its file.
fn files_are_looked_over() {
    let mut world = World::new(1, FOR_EVER);
    for run in 0..3_u16 {
        for partition in 0..4 {
            world.command(partition, u32::from(partition % 3), 20);
            world.flush();
        }
        world.now += 1;
        // A write that fails: the file is left with a part of it, and another is begun.
        world.command(run, 1, 200);
        world.now += 2_000;
        let applied = world.applied(0);
        let mut steps = world.shards[0].write(Millis(world.now), world.now * 1_000, true, applied).expect("steps");
        let FileStep::Write { bytes, .. } = &mut steps[0] else { panic!("{steps:?}") };
        bytes.truncate(100);
        drop(world.disk.step(&steps[0]).expect("written"));
        world.shards[0].written(world.now * 1_000, false);
        world.flush();
        world.start(1);
    }
    let look = |files: &Files| Inspected::of(&mut files.clone(), FOLDER_ID, EPOCH);
    let sound = look(&world.disk);
    assert_eq!(sound.damage, []);
    for (id, commands) in (0..PARTITIONS).zip(&world.told).filter(|(_, commands)| !commands.is_empty()) {
        assert_eq!(sound.covered[&PartitionId(id)], Seq(commands.len() as u64));
    }
    assert_eq!(sound.bytes, world.disk.files.values().map(|file| file.len() as u64).sum::<u64>());

    let paths: Vec<String> = world.disk.files.keys().cloned().collect();
    assert_eq!(paths.len(), 6, "{paths:?}");
    for (nth, path) in paths.iter().enumerate() {
        let whole = scan(&world.disk.files[path]).expect("a header");
        let is_last = nth + 1 == paths.len();
        for at in (0..whole.bytes).step_by(7) {
            let mut files = world.disk.clone();
            files.files.get_mut(path).expect("there")[at] ^= 4;
            let damage = look(&files).damage;
            // The header or the one frame of the last file may be torn, as far as anybody can tell.
            assert!(damage.iter().any(|(file, _)| file == path) != is_last, "{path}, byte {at}: {damage:?}");
        }
        let mut files = world.disk.clone();
        files.files.remove(path);
        let damage = look(&files).damage;
        let missing = damage.iter().any(|(file, why)| (file, why.as_str()) == (path, "is missing"));
        assert_eq!(missing, nth > 0 && !is_last, "{damage:?}");
        assert_eq!(Inspected::of(&mut world.disk.clone(), FOLDER_ID + 1, EPOCH).damage.len(), paths.len(), "of another folder");
    }
    let last = paths.last().expect("some");
    for bytes in 0..world.disk.files[last].len() {
        let mut files = world.disk.clone();
        files.files.get_mut(last).expect("there").truncate(bytes);
        assert_eq!(look(&files).damage, [], "{bytes} bytes of the last file");
    }
    // A frame behind another proves that one durable.
    for _ in 0..3 {
        world.command(0, 1, 50);
        world.flush();
    }
    let newest = world.disk.files.keys().last().expect("some").clone();
    let file = world.disk.files.get_mut(&newest).expect("there");
    let middle = file.len() / 2;
    file[middle] ^= 1;
    let damage = look(&world.disk).damage;
    assert!(damage.len() == 1 && damage[0].0 == newest && damage[0].1.starts_with("is damaged at byte "), "{damage:?}");
}

#[test] // More than memory may hold is made again only where there was no event log: then the oldest are let go.
fn a_first_start_is_bounded() {
    let mut world = World::new(1, FOR_EVER);
    for _ in 0..10_000 {
        world.command(0, 1, 3_900);
    }
    assert!(world.shards[0].is_behind());
    world.shards[0].shorten();
    assert!(!world.shards[0].is_behind());
    let oldest = world.shards[0].oldest(PartitionId(0));
    assert!(oldest > FeedPlace::default());
    world.flush();
    world.start(1);
    assert_eq!(world.shards[0].oldest(PartitionId(0)), oldest);
    let mut log = EventLog::new(FOR_EVER, [PartitionId(0)].into_iter(), &Catalog::default());
    log.begins_behind(PartitionId(0), Seq(5));
    assert_eq!((log.oldest(PartitionId(0)), log.durable(PartitionId(0))), (FeedPlace::behind(Seq(5)), Seq(5)));
}

#[test] // A process is killed between a write and its sync, the next one starts, and then power fails.
fn what_a_start_counts_as_durable_is() {
    let mut world = World::new(1, FOR_EVER);
    world.command(0, 1, 1);
    world.now += 1_000;
    let applied = world.applied(0);
    let steps = world.shards[0].write(Millis(world.now), world.now * 1_000, true, applied).expect("steps");
    drop(world.disk.step(&steps[0]).expect("written"));
    assert!(matches!(steps[1], FileStep::Sync { .. }), "and not synced");
    world.start(1);
    let durable = world.shards[0].durable(PartitionId(0));
    assert_eq!(durable, Seq(1), "the page cache has it");
    for torn in 0..8 {
        let mut disk = world.disk.clone();
        disk.crash(torn);
        assert_eq!(Catalog::read(&mut disk, FOLDER_ID, EPOCH).expect("read").covered(PartitionId(0)), durable);
    }
}

#[test]
fn events_wait_for_company_and_marks_for_long() {
    let mut world = World::new(1, FOR_EVER);
    assert_eq!(world.shards[0].next_wake(), None);
    world.command(0, 0, 0);
    let told_nothing = world.now * 1_000;
    assert_eq!(world.shards[0].next_wake(), Some(told_nothing + 10 * SECOND_US));
    world.command(0, 1, 1);
    let told = world.now * 1_000;
    assert_eq!(world.shards[0].next_wake(), Some(told + SECOND_US));
    let applied = world.applied(0);
    assert!(world.shards[0].write(Millis(world.now), told, false, applied).is_none(), "too early");
    world.now += 1_000;
    world.write(0, false, 2);
    assert_eq!(world.shards[0].next_wake(), Some((world.now + 1_000) * 1_000), "a failure is tried again later");
    world.now += 1_000;
    world.write(0, false, usize::MAX);
    assert_eq!((world.shards[0].durable(PartitionId(0)), world.shards[0].is_clean()), (Seq(2), true));
}

/// Bytes as lines of sixteen.
fn dump(bytes: &[u8]) -> String {
    let line = |(at, line): (usize, &[u8])| {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:03x}  {}\n", at * 16, hex.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

#[test] // Version 1, byte for byte: what was written once is read for ever.
fn the_first_version_is_frozen() {
    let mut log = EventLog::new(FOR_EVER, [PartitionId(0), PartitionId(5)].into_iter(), &Catalog::default());
    log.begin(name(1, 0, 1), &Catalog::default());
    let all = vec![
        EventField::Product(wire::ProductId(RawId(1))),
        EventField::Version(2),
        EventField::Change(-3),
        EventField::Amount(wire::Money { amount: 4, currency: wire::Currency::USD }),
        EventField::Key("key".to_owned()),
    ];
    let mut event = event(5, 9, 0, 1_764_000_000_123, "");
    (event.kind, event.data) = (EventKind::ProductUpdated, all);
    log.append(0, std::slice::from_ref(&event));
    log.applied(0);
    let applied = [(PartitionId(0), Seq(2)), (PartitionId(5), Seq(9))].into_iter();
    let steps = log.write(Millis(1_764_000_000_200), SECOND_US, true, applied).expect("steps");
    let FileStep::Write { path, offset: 0, bytes, create: true } = &steps[0] else { panic!("{steps:?}") };
    assert_eq!(path, "events/00000001/shard-000/00000001.evt");
    assert_eq!(dump(bytes), include_str!("fixtures/v1.txt"));
    let scanned = scan(bytes).expect("whole");
    assert!(!scanned.torn);
    assert_eq!(Events(&scanned.events).next().and_then(|raw| raw.decode(EPOCH)), Some(event));
}
