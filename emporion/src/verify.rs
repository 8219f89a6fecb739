//! `emporion verify`: reads a whole data folder and proves its identities, changing nothing.

use crate::{cli::VerifyArgs, fail::Fail, fail::one_line};
use engine::log::Cut;

pub(crate) fn run(args: &VerifyArgs) -> Result<(), Fail> {
    let report = engine::verify(&args.dir).map_err(|error| Fail::of(&error))?;
    for cut in &report.cut {
        println!("torn tail, never acknowledged, left behind by the next start: {}", torn(cut));
    }
    for partition in &report.partitions {
        if let Err(why) = &partition.checked {
            eprintln!("emporion: partition {} at {}: {why}", partition.partition.0, partition.seq.0);
        }
    }
    for damage in &report.damage {
        eprintln!("emporion: {}", one_line(damage));
    }
    for damage in &report.events {
        eprintln!("emporion: {}", one_line(damage));
    }
    println!(
        "{} snapshots, {} entries, {} bytes of log, {} bytes of events, {} partitions, {} stock rows, {} open holds, read in {:.1} s",
        report.snapshots,
        report.entries,
        report.bytes,
        report.events_bytes,
        report.partitions.len(),
        report.rows(),
        report.open_holds(),
        report.seconds
    );
    if report.is_sound() {
        println!("sound: every log reads to its end, and on hand = available + held + committed + unavailable in every row");
        Ok(())
    } else {
        Err(Fail::Told)
    }
}

/// A torn write in words.
pub(crate) fn torn(cut: &Cut) -> String {
    format!("{} at byte {}, {} bytes, found {}", cut.file, cut.offset, cut.bytes, cut.why)
}
