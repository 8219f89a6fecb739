//! Histories of a few machines, as text, and what the shadow says of each.

use super::*;
use crate::{
    record::v1::Entry,
    replication::change::{Change, Step},
};

const ID: PartitionId = PartitionId(0);

/// Has everything of a history happen, in one partition. Of each word the first digit is a machine, and the rest what it does: `:index@term` has an entry
/// durable, `<index@term` an overwriting, `!index@term` a snapshot's mark; `=index` is applied up to there. `-` is a start that begins to recover,
/// `^index` a snapshot that it finds, `+index@term` an entry, `~` its end; `*` a process that begins. Bodies are empty.
fn happen(shadow: &mut Shadow, history: &str) -> Result<(), Violation> {
    for word in history.split_whitespace() {
        let (machine, does) = word.split_at(1);
        let machine = MachineId(machine.parse().expect("a machine"));
        let (does, rest) = does.split_at(1);
        let (index, term) = rest.split_once('@').unwrap_or((rest, "0"));
        let (index, term) = (index.parse().unwrap_or(0), term.parse().expect("a term"));
        let entry = Record::entry(ID.0, term, index, 7, b"");
        match does {
            ":" => shadow.durable(machine, &entry, 0)?,
            "<" => shadow.durable(machine, &Record::overwrite_from(ID.0, term, index), 0)?,
            "!" => shadow.durable(machine, &Record { kind: RecordKind::SnapshotMark, ..entry }, 0)?,
            "=" => drop(shadow.applied(machine, ID, index, 0)?),
            "-" => shadow.begin_recovery(machine),
            "^" => shadow.restored(machine, ID, index)?,
            "+" => shadow.recovered(machine, &entry)?,
            "~" => shadow.end_recovery(machine)?,
            "*" => shadow.started(machine)?,
            other => panic!("{other} is nothing that a machine does"),
        }
    }
    Ok(())
}

/// How many entries are committed after a history, or what is wrong with it.
fn says(machines: u16, history: &str) -> String {
    let mut shadow = Shadow::new(machines, 1, 1);
    happen(&mut shadow, history).map_or_else(|wrong| wrong.to_string(), |()| shadow.histories[0].head().to_string())
}

#[test]
fn what_is_applied_is_on_the_disks_of_a_majority() {
    for (machines, history, wanted) in [
        (1, "0:1@1 0:2@1 0=2", "2"),
        (1, "0:1@1 0=2", "machine 0 has applied entry 2 of partition 0, which is durable on 0 of 1 machines"),
        (3, "0:1@1 0=1", "machine 0 has applied entry 1 of partition 0, which is durable on 1 of 3 machines"),
        (3, "0:1@1 1:1@1", "0"), // nobody applied it, so nobody was told
        (3, "0:1@1 1:1@1 0=1", "1"),
        (3, "1:1@1 2:1@1 0=1", "1"), // before its own disk has it
        (3, "0:1@1 1:1@2 0=1", "machine 0 has applied entry 1 of partition 0, which is durable on 1 of 3 machines"),
        (5, "0:1@1 1:1@1 0=1", "machine 0 has applied entry 1 of partition 0, which is durable on 2 of 5 machines"),
        (5, "0:1@1 1:1@1 4:1@1 0=1", "1"),
    ] {
        assert_eq!(says(machines, history), wanted, "{machines} machines, history {history}");
    }
}

#[test] // Each history goes on where machines 0 and 1 have two entries, which 0 has applied.
fn what_is_committed_does_not_change() {
    for (history, wanted) in [
        ("1=2", "2"),
        ("2:1@1 2:2@1 2=2", "2"),
        ("2:1@1 2:2@2 2=2", "machine 2 has applied another entry 2 of partition 0 than the committed one"),
        ("2:1@1 2:2@0", "machine 2: entry 2 of partition 0 has term 0, and the one before it 1"),
        ("2=2 2:1@1 2:2@2", "machine 2 logs another entry 2 of partition 0 than it has applied"),
        ("2:1@0 2:2@0 2:3@0 2<1@1 2:1@1 2:2@1 2=2", "2"), // of a leader that nobody followed
        ("1<2@2", "machine 1 makes entry 2 of partition 0 void, which is committed"),
        ("1:3@1 1<3@2 1:3@2", "2"),
        ("0=1", "machine 0 had applied entry 2 of partition 0, and goes back to 1"),
        ("2!2@1 2=2 2:3@1 1:3@1 2=3", "3"), // a snapshot from a peer
        ("2!2@2", "machine 2 logs a snapshot of partition 0 up to 2 of term 2, which is not committed"),
        ("2!3@1", "machine 2 logs a snapshot of partition 0 up to 3 of term 1, which is not committed"),
        ("2!2@1 2<2@3", "machine 2 makes entries of partition 0 void from 2 on, and its snapshot has them"),
    ] {
        assert_eq!(says(3, &format!("0:1@1 0:2@1 1:1@1 1:2@1 0=2 {history}")), wanted, "history {history}");
    }
}

#[test] // Each history goes on where machines 0 and 1 have three entries, of which 0 has applied two.
fn a_start_has_what_its_disk_had_and_applies_it_anew() {
    for (history, wanted) in [
        ("0- 0+1@1 0+2@1 0+3@1 0~ 0=1", "2"), // commits are not told at once: it may be behind what it had applied
        ("0- 0+1@1 0+2@1 0+3@1 0~ 0=3", "3"),
        ("0- 0+1@1 0+2@1 0~", "machine 0: partition 0 has 2 entries after a restart, and 3 were reported durable"),
        ("0- 0+1@1 0+2@2 0+3@2 0~", "machine 0: entry 2 of partition 0 is another one after a restart"),
        ("0- 0+1@1 0- 0+1@1 0+2@1 0+3@1 0~ 0=3", "3"), // the first start was refused
        ("0- 0^2 0+3@1 0~ 0=3", "3"),
        ("0- 0^3", "a snapshot of partition 0 on machine 0 has entry 3, and 2 are committed"),
        // What survives without having been reported counts from then on.
        ("2- 2+1@1 2+2@1 2+3@1 2+4@1 2~ 1:4@1 2=4", "4"),
        ("1- 1+1@1 1+2@1 1+3@1 1+4@1 1~ 1=4", "machine 1 has applied entry 4 of partition 0, which is durable on 1 of 3 machines"),
    ] {
        let before = "0:1@1 0:2@1 0:3@1 1:1@1 1:2@1 1:3@1 0=2";
        assert_eq!(says(3, &format!("{before} {history}")), wanted, "history {history}");
    }
}

#[test]
fn a_machine_that_is_alone_applies_what_it_finds() {
    for (machines, history, wanted) in
        [(1, "0=2 0*", "2"), (1, "0=1 0*", "a start applies 1 of the 2 entries of partition 0 that are there"), (3, "0*", "0")]
    {
        assert_eq!(says(machines, &format!("0- 0+1@1 0+2@1 0~ {history}")), wanted, "{machines} machines, history {history}");
    }
}

/// A command that can be told from others of another time.
fn command(body: &mut Vec<u8>, index: u64) -> Record<'_> {
    record::encode(&Entry::of(Command::RunTimers { max: 1 }), body).expect("a short command");
    Record::entry(ID.0, 1, index, 100 * index, body)
}

#[test]
fn states_are_compared_where_a_machine_is_and_only_commands_make_them() {
    let (mut shadow, mut body) = (Shadow::new(3, 1, 1), Vec::new());
    let (mut behind, mut node) = (Partition::new(ID, 1, 1), Partition::new(ID, 1, 1));
    let (first, second) = (MachineId(0), MachineId(1));
    let bare = Record::entry(ID.0, 1, 1, 7, b"");
    let somebody = Change { steps: vec![Step::Learner(wire::NodeId(4))] }.encode();
    let member = Record { kind: RecordKind::Entry(EntryVariant::MemberChange), index: 2, body: &somebody, ..bare };
    for machine in [first, second] {
        for record in [bare, member, command(&mut body, 3), command(&mut Vec::new(), 4)] {
            shadow.durable(machine, &record, 0).expect("the next");
        }
    }
    // Bodies are there after a start too, as long as they may be needed.
    shadow.begin_recovery(first);
    for record in [bare, member, command(&mut body, 3), command(&mut Vec::new(), 4)] {
        shadow.recovered(first, &record).expect("the next");
    }
    shadow.end_recovery(first).expect("everything is there");
    assert_eq!(shadow.applied(second, ID, 4, 0), Ok(true));
    assert_eq!(shadow.applied(second, ID, 4, 0), Ok(false));
    assert_eq!((shadow.partition(ID).seq(), shadow.entries), (Seq(2), 4));
    let entry = Entry::of(Command::RunTimers { max: 1 });
    behind.apply(Millis(300), &entry, &mut Changes::default());
    for time in [300, 400] {
        node.apply(Millis(time), &entry, &mut Changes::default());
    }
    shadow.compare_whole(second, &node).expect("the same");
    assert_eq!(shadow.digests, 1);
    assert_eq!(shadow.behind(|_| true).expect("one has applied nothing"), "machine 0 has applied 0 of 4 entries of partition 0");
    shadow.applied(first, ID, 3, 0).expect("it is committed");
    shadow.compare_whole(first, &behind).expect("the same as it was then");
    assert_eq!(shadow.digests, 1, "there is no older state to compare it with");
    behind.apply(Millis(401), &entry, &mut Changes::default());
    assert!(shadow.compare(first, &behind).is_err(), "another time");
    node.apply(Millis(500), &entry, &mut Changes::default());
    assert!(shadow.compare(second, &node).is_err(), "ahead of what is committed");
}
