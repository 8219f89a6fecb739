//! Random histories of a log: torn writes, restarts, taken-over files, flipped bytes.

use proptest::prelude::*;

use super::*;

/// What one run of the program does before it crashes.
#[derive(Clone, Debug)]
struct Run {
    /// Bytes of the entries of each batch; an empty list stands for an idle mark.
    batches: Vec<Vec<usize>>,
    /// Entries of the batch in flight when it crashes.
    in_flight: Vec<usize>,
    /// Which blocks of that write land, a bit each, taken in turn.
    landed: u64,
    /// Entries of a second batch in flight, and which of its blocks land; without entries there is none.
    behind: Vec<usize>,
    behind_landed: u64,
    /// Whether new segments are taken over from the oldest one.
    takes_over: bool,
}

fn any_run() -> impl Strategy<Value = Run> {
    let entry = prop_oneof![4 => 0_usize..300, 2 => 3_000_usize..9_000, 1 => 100_000_usize..400_000];
    let batches = prop::collection::vec(prop::collection::vec(entry.clone(), 0..3), 0..8);
    let landed = || prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), Just(1), Just(!1), Just(!2)];
    let behind = (prop::collection::vec(entry.clone(), 0..3), landed());
    let in_flight = prop::collection::vec(entry, 1..3);
    (batches, in_flight, landed(), behind, any::<bool>()).prop_map(|(batches, in_flight, landed, (behind, behind_landed), takes_over)| {
        Run { batches, in_flight, landed, behind, behind_landed, takes_over }
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The dullest log: the batches that must be read back, with the segment each is in.
struct Model {
    machine: Machine,
    batches: Vec<(SegmentNumber, Vec<Owned>)>,
    next_index: u64,
}

impl Model {
    fn new() -> Self {
        Self { machine: Machine::fresh(), batches: Vec::new(), next_index: 1 }
    }

    fn append(&mut self, sizes: &[usize]) -> Vec<Owned> {
        let mut records = Vec::new();
        for bytes in sizes {
            let record = Owned::entry(self.next_index, *bytes);
            self.next_index += 1;
            let _ = self.machine.append(&record);
            records.push(record);
        }
        records
    }

    /// Seals the open batch. A new segment takes over the oldest file when nothing acknowledged last is in there.
    fn seal(&mut self, takes_over: bool) -> SealedBatch {
        let oldest = self.machine.disk.0.keys().next().copied();
        let oldest = oldest.filter(|oldest| takes_over && self.batches.last().is_some_and(|(last, _)| oldest < last));
        self.machine.prepare(oldest);
        if let Some(oldest) = oldest.filter(|oldest| !self.machine.disk.0.contains_key(oldest)) {
            self.batches.retain(|(segment, _)| *segment != oldest);
        }
        self.machine.writer.seal().expect("something to seal")
    }

    fn put(&mut self, sizes: &[usize], takes_over: bool) {
        let records = if sizes.is_empty() {
            assert_eq!(self.machine.writer.in_flight(), 0);
            if !self.machine.writer.idle_mark() {
                return;
            }
            None
        } else {
            Some(self.append(sizes))
        };
        let batch = self.seal(takes_over);
        let mark = || vec![Owned(RecordKind::DurableMark, 0, 0, 0, 0, (batch.number.0 - 1).to_le_bytes().to_vec())];
        self.batches.push((batch.segment, records.unwrap_or_else(mark)));
        let _ = self.machine.land(batch);
    }

    /// Crashes with one or two writes in flight, recovers, and checks that nothing else than those is in doubt.
    fn crash(&mut self, run: &Run) -> Result<(), TestCaseError> {
        let records = self.append(&run.in_flight);
        let batch = self.seal(run.takes_over);
        let behind = self.append(&run.behind);
        // A batch that needs the next segment waits, and is lost with the memory.
        let second = if behind.is_empty() { None } else { self.machine.writer.seal().ok() };
        let writes = [Some((&batch, run.landed)), second.as_ref().map(|second| (second, run.behind_landed))];
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
        let in_doubt = [Some((batch.segment, records)), second.as_ref().map(|second| (second.segment, behind))];
        let kept = got.len().saturating_sub(self.batches.len());
        self.batches.extend(in_doubt.into_iter().flatten().take(kept));
        prop_assert_eq!(&got, &self.batches);
        if run.landed == u64::MAX {
            prop_assert!(kept >= 1, "a batch that landed whole is not cut");
            prop_assert!(second.is_none() || run.behind_landed != u64::MAX || kept == 2, "nor is one behind it");
        }
        prop_assert_eq!(tail.next_batch.0, batch.number.0 + kept as u64);
        self.machine.writer = Writer::new(LOG, SEGMENT, tail.start());
        Ok(())
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn a_crash_loses_nothing_acknowledged_and_invents_nothing(runs in prop::collection::vec(any_run(), 1..6)) {
        let mut model = Model::new();
        for run in &runs {
            for sizes in &run.batches {
                model.put(sizes, run.takes_over);
            }
            model.crash(run)?;
        }
    }

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
            for sizes in &run.batches {
                model.put(sizes, run.takes_over);
            }
            model.crash(run)?;
        }
        model.put(&[100, 5000], false);
        model.put(if marked { &[] } else { &[100] }, false);
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
