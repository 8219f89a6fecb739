//! Random histories of a log: torn writes, restarts, taken-over files, flipped bytes.

use proptest::prelude::*;

use super::*;

/// What one run of the program does before it crashes.
#[derive(Clone, Debug)]
struct Run {
    steps: Vec<Step>,
    /// Entries of the batch in flight when it crashes.
    in_flight: Vec<usize>,
    /// Which blocks of that write land, a bit each, taken in turn.
    landed: u64,
    /// Entries of a second batch in flight, and which of its blocks land; without entries there is none.
    behind: Vec<usize>,
    behind_landed: u64,
}

#[derive(Clone, Debug)]
enum Step {
    /// A batch of entries of these many bytes; of as many as make a crowd the last ones may wait for the next batch.
    Put(Vec<usize>),
    /// The log falls idle.
    Mark,
    /// Snapshots of these partitions become durable, a bit each, and segments are released. Of the files that are too many then so many are removed
    /// before an error ends it.
    Snapshot(u8, usize),
}

fn any_run() -> impl Strategy<Value = Run> {
    let entry = prop_oneof![4 => 0_usize..300, 2 => 3_000_usize..9_000, 1 => 100_000_usize..400_000];
    let few = prop::collection::vec(entry.clone(), 1..3);
    let crowd = prop::collection::vec(0_usize..300, CROWD_MIN as usize - 2..3 * CROWD_MIN as usize);
    let batch = prop_oneof![3 => few, 2 => crowd];
    let step = prop_oneof![
        6 => batch.clone().prop_map(Step::Put),
        1 => Just(Step::Mark),
        2 => (prop_oneof![Just(u8::MAX), any::<u8>()], prop_oneof![Just(usize::MAX), 0_usize..4]).prop_map(|(partitions, removes)| {
            Step::Snapshot(partitions, removes)
        }),
    ];
    let landed = || prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), Just(1), Just(!1), Just(!2)];
    let behind = (prop_oneof![1 => Just(Vec::new()), 2 => batch.clone()], landed());
    (prop::collection::vec(step, 0..12), batch, landed(), behind).prop_map(|(steps, in_flight, landed, (behind, behind_landed))| Run {
        steps,
        in_flight,
        landed,
        behind,
        behind_landed,
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The dullest log: the batches that must be read back, with the segment each is in.
struct Model {
    machine: Machine,
    batches: Vec<(SegmentNumber, Vec<Owned>)>,
    /// Appended, and in no batch yet.
    open: Vec<Owned>,
    next_index: u64,
    /// What durable snapshots have of each partition.
    safe: BTreeMap<u16, u64>,
    /// Released files that were taken over, and removed.
    taken: usize,
    removed: usize,
}

impl Model {
    fn new() -> Self {
        Self {
            machine: Machine::fresh(),
            batches: Vec::new(),
            open: Vec::new(),
            next_index: 1,
            safe: BTreeMap::new(),
            taken: 0,
            removed: 0,
        }
    }

    fn append(&mut self, sizes: &[usize]) {
        for bytes in sizes {
            let record = Owned::entry(self.next_index, *bytes);
            self.next_index += 1;
            let _ = self.machine.append(&record);
            self.open.push(record);
        }
    }

    /// Seals the open batch, if it can be; says what is in it.
    fn seal(&mut self) -> Result<(SealedBatch, Vec<Owned>), NotSealed> {
        let files = self.machine.disk.0.len();
        let number = self.machine.writer.segments().bytes() / SEGMENT;
        self.machine.prepare();
        // A new segment without a new file: its number is new, and the number of files is not.
        self.taken += usize::from(self.machine.disk.0.len() == files && number > 0 && self.forget());
        let batch = self.machine.writer.seal()?;
        let header = if batch.offset == 0 { BLOCK_BYTES } else { 0 };
        let count = buffer::u32_at(batch.bytes(), header + 92) as usize;
        let records = if count > self.open.len() { Vec::new() } else { self.open.drain(..count).collect() };
        Ok((batch, records))
    }

    /// Forgets batches whose file is gone. Snapshots must have all of it, and the last batch must not be among them.
    fn forget(&mut self) -> bool {
        let first = self.machine.disk.0.keys().next().copied().unwrap_or(SegmentNumber::FIRST);
        let gone = self.batches.iter().take_while(|(segment, _)| *segment < first).count();
        assert!(gone == 0 || gone < self.batches.len(), "the last durable batch was released");
        for Owned(_, partition, _, index, ..) in self.batches.drain(..gone).flat_map(|(_, records)| records) {
            assert!(index <= self.safe.get(&partition).copied().unwrap_or(0), "entry {index} of partition {partition} is in no snapshot");
        }
        gone > 0
    }

    fn put(&mut self, sizes: &[usize]) {
        self.append(sizes);
        let (batch, records) = self.seal().expect("nothing else is on its way");
        self.batches.push((batch.segment, records));
        let _ = self.machine.land(batch);
    }

    fn mark(&mut self) {
        while !self.open.is_empty() {
            self.put(&[]);
        }
        if self.machine.writer.idle_mark() {
            let (batch, _) = self.seal().expect("nothing else is on its way");
            let mark = Owned(RecordKind::DurableMark, 0, 0, 0, 0, (batch.number.0 - 1).to_le_bytes().to_vec());
            self.batches.push((batch.segment, vec![mark]));
            let _ = self.machine.land(batch);
        }
    }

    fn snapshot(&mut self, partitions: u8, removes: usize) {
        for Owned(_, partition, _, index, ..) in self.batches.iter().flat_map(|(_, records)| records) {
            if partitions >> partition & 1 == 1 {
                let safe = self.safe.entry(*partition).or_default();
                *safe = (*safe).max(*index);
            }
        }
        let safe = &self.safe;
        self.machine.writer.release(SegmentNumber(u32::MAX), |partition| safe.get(&partition).copied().unwrap_or(0));
        if let Some(surplus) = self.machine.writer.surplus() {
            for file in surplus.files.iter().take(removes) {
                self.machine.disk.0.remove(&number_of(file));
                self.removed += 1;
            }
            self.machine.writer.removed(removes >= surplus.files.len());
        }
        self.forget();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Put(sizes) => self.put(sizes),
            Step::Mark => self.mark(),
            Step::Snapshot(partitions, removes) => self.snapshot(*partitions, *removes),
        }
    }

    /// Crashes with one or two writes in flight, recovers, and checks that nothing else than those is in doubt.
    fn crash(&mut self, run: &Run) -> Result<(), TestCaseError> {
        self.append(&run.in_flight);
        let (batch, records) = self.seal().expect("nothing else is on its way");
        self.append(&run.behind);
        // A batch that needs the next segment, or more company, waits, and is lost with the memory.
        let second = if run.behind.is_empty() { None } else { self.seal().ok() };
        let writes = [Some((&batch, run.landed)), second.as_ref().map(|(second, _)| (second, run.behind_landed))];
        for (batch, landed) in writes.into_iter().flatten() {
            for (block, bytes) in batch.bytes().chunks(BLOCK_BYTES).enumerate() {
                if landed >> (block % 64) & 1 == 1 {
                    self.machine.disk.write(batch.segment, batch.offset + (block * BLOCK_BYTES) as u64, bytes);
                }
            }
        }
        let (got, tail) = recover(&self.machine.disk).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let got: Vec<_> = got.into_iter().map(|batch| (batch.segment, batch.records)).collect();
        // Whole on disk though never acknowledged: from here on it is part of the log; the second only behind a whole first.
        let is_second = second.is_some();
        let in_doubt = [Some((batch.segment, records)), second.map(|(second, behind)| (second.segment, behind))];
        let kept = got.len().saturating_sub(self.batches.len());
        self.batches.extend(in_doubt.into_iter().flatten().take(kept));
        prop_assert_eq!(&got, &self.batches);
        if run.landed == u64::MAX {
            prop_assert!(kept >= 1, "a batch that landed whole is not cut");
            prop_assert!(!is_second || run.behind_landed != u64::MAX || kept == 2, "nor is one behind it");
        }
        prop_assert_eq!(tail.next_batch.0, batch.number.0 + kept as u64);
        self.open.clear();
        self.machine.writer = Writer::new(LOG, SEGMENT, tail.start());
        self.machine.writer.adopt(segments(&self.machine.disk));
        Ok(())
    }
}

#[test]
fn a_crash_loses_nothing_acknowledged_and_invents_nothing() {
    let taken = std::cell::Cell::new(0);
    let mut runner = proptest::test_runner::TestRunner::new(config(192));
    let outcome = runner.run(&prop::collection::vec(any_run(), 1..6), |runs| {
        let mut model = Model::new();
        for run in &runs {
            run.steps.iter().for_each(|step| model.step(step));
            model.crash(run)?;
        }
        taken.set(taken.get() + model.taken);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(taken.get() > 0, "no file was taken over in any history");
}

#[test]
fn however_many_released_files_are_removed_before_a_crash_the_log_has_no_hole() {
    let crash = |landed| Run { steps: Vec::new(), in_flight: vec![100], landed, behind: Vec::new(), behind_landed: 0 };
    for removes in 0..=SPARE_SEGMENTS_MAX {
        let mut model = Model::new();
        (0..2 * SPARE_SEGMENTS_MAX + 1).for_each(|_| model.put(&[900_000]));
        model.snapshot(u8::MAX, removes);
        assert_eq!(model.removed, removes);
        model.crash(&crash(0)).expect("recovered");
        // The next run removes the rest, and takes over what is kept.
        (0..3).for_each(|_| model.put(&[900_000]));
        model.snapshot(u8::MAX, usize::MAX);
        (0..3).for_each(|_| model.put(&[900_000]));
        assert!(model.taken > 0);
        model.crash(&crash(u64::MAX)).expect("recovered");
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn a_flipped_byte_in_what_a_later_batch_proves_is_corruption(
        runs in prop::collection::vec(any_run(), 1..3),
        batch in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        bit in 0_u8..8,
        marked in any::<bool>(),
    ) {
        let mut model = Model::new();
        for run in &runs {
            run.steps.iter().for_each(|step| model.step(step));
            model.crash(run)?;
        }
        model.put(&[100, 5000]);
        if marked { model.mark() } else { model.put(&[100]) }
        let mut disk = model.machine.disk;
        let (batches, tail) = recover(&disk).expect("whole");
        prop_assert_eq!(tail.ending == Ending::Marked, marked);
        let (last, proven) = batches.split_last().expect("two batches at least");
        let hit = batch.get(proven);
        // The first batch of a segment is one with the segment's header.
        let (from, length) = if hit.offset == BLOCK_BYTES as u64 { (0, hit.bytes + hit.offset) } else { (hit.offset, hit.bytes) };
        let at = from as usize + byte.index(length as usize);
        disk.0.get_mut(&hit.segment).expect("it is there")[at] ^= 1 << bit;
        let found = corruption(&disk);
        prop_assert_eq!(found.segment, hit.segment, "{}", found);
        prop_assert_eq!(found.offset, if at < BLOCK_BYTES { 0 } else { hit.offset }, "{}", found);

        // In the last batch nothing tells a flipped byte from a torn write: it is cut, and nothing else with it.
        disk.0.get_mut(&hit.segment).expect("it is there")[at] ^= 1 << bit;
        let at = last.offset as usize + byte.index(last.bytes as usize);
        disk.0.get_mut(&last.segment).expect("it is there")[at] ^= 1 << bit;
        let (got, tail) = recover(&disk).expect("a torn tail");
        prop_assert_eq!(&got[..], proven);
        prop_assert_eq!(tail.next_batch, last.number);
    }
}

#[test] // Every byte of a small log whose last batch is marked, in steps that share no factor with a field's length.
fn no_byte_is_left_out_of_the_checksums() {
    let mut machine = Machine::fresh();
    machine.put(1, 50);
    machine.put(2, 4096);
    machine.mark();
    let mut disk = machine.disk;
    for at in (0..BLOCK_BYTES as u64 * 4).step_by(13) {
        disk.flip(1, at);
        let found = corruption(&disk);
        let offset = match at {
            0..4096 => 0,
            4096..8192 => 4096,
            _ => 8192,
        };
        assert_eq!((found.segment.0, found.offset), (1, offset), "byte {at}: {found}");
        disk.flip(1, at);
    }
}

#[test]
fn recovery_alone_changes_nothing_however_often_it_crashes_before_its_first_write() {
    let mut machine = Machine::fresh();
    machine.put(1, 100);
    let _ = machine.append(&Owned::entry(2, 9000));
    let torn = machine.seal();
    machine.disk.write(torn.segment, torn.offset, &torn.bytes()[..2 * BLOCK_BYTES]);
    let mut disk = machine.disk;
    let ends = recover(&disk).expect("a torn tail");
    assert!(matches!(&ends.1.ending, Ending::Cut(cut) if (cut.offset, cut.bytes) == (8192, 12_288)), "{:?}", ends.1);
    for salt in 100..103 {
        // The next run's first write lands without its header block.
        let mut machine = Machine::resumed(disk, salt);
        let _ = machine.append(&Owned::entry(2, 20_000));
        let batch = machine.seal();
        assert_eq!((batch.segment, batch.offset), (SegmentNumber(2), 0));
        disk = machine.disk;
        disk.write(batch.segment, BLOCK_BYTES as u64, &batch.bytes()[BLOCK_BYTES..]);
        assert_eq!(recover(&disk).expect("still the same torn tail"), ends);
    }
    let mut machine = Machine::resumed(disk, 200);
    machine.put(2, 10);
    let (batches, tail) = recover(&machine.disk).expect("whole");
    assert_eq!(batches[1].records, [Owned::entry(2, 10)]);
    assert_eq!((tail.next_batch, tail.ending), (BatchNumber(3), Ending::Unmarked));
}

#[test]
fn bytes_of_a_former_use_never_parse() {
    // Segment 1 is full of batches; its file becomes segment 3, into which nothing gets, then a batch whose later blocks are lost.
    let mut machine = Machine::fresh();
    for index in 1..100 {
        machine.put(index, 5000);
    }
    machine.put(100, 900_000);
    let old = machine.disk.0.remove(&SegmentNumber(1)).expect("released");
    machine.disk.0.insert(SegmentNumber(3), old);
    let (batches, tail) = recover(&machine.disk).expect("whole");
    assert_eq!((batches.len(), &tail.ending), (1, &Ending::Unmarked));

    let mut machine = Machine::resumed(machine.disk, 300);
    let _ = machine.append(&Owned::entry(101, 30_000));
    let batch = machine.seal();
    machine.disk.write(batch.segment, 0, &batch.bytes()[..2 * BLOCK_BYTES]);
    let (batches, tail) = recover(&machine.disk).expect("a torn tail");
    assert_eq!((batches.len(), tail.next_batch, tail.place), (1, BatchNumber(101), Some((SegmentNumber(3), 4096))));
    assert!(matches!(tail.ending, Ending::Cut(Cut { offset: 4096, .. })));
}
