//! Products of an invented large shop, as lines for the import: about fifty words of text each, few words often and many rarely, a model of its own, a
//! brand, a category three deep and eight attributes. The same in every run.

use crate::{draw::Draw, server::BenchError};
use std::{
    fmt::Write as _,
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

/// Words there are.
const WORDS: u32 = 1 << 14;
const ATTRIBUTES: [&str; 8] = ["colour", "material", "size", "style", "season", "fit", "origin", "finish"];

/// The key of a product, and of its one variant.
pub(super) fn key(number: u64) -> String {
    format!("p-{number:07}")
}

/// A query that some products answer: two words, neither rare.
pub(super) fn query(draw: &mut Draw) -> String {
    format!("{}%20{}", word(draw.below(256)), word(draw.below(1_024)))
}

/// Writes them all, a line each.
pub(super) fn write(path: &Path, products: u64) -> Result<(), BenchError> {
    let failed = || BenchError::io(path.display().to_string());
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed())?);
    let mut draw = Draw::new(products);
    let mut line = String::new();
    for number in 0..products {
        line.clear();
        product(&mut draw, number, &mut line).map_err(BenchError::other)?;
        file.write_all(line.as_bytes()).map_err(failed())?;
    }
    file.flush().map_err(failed())
}

fn product(draw: &mut Draw, number: u64, line: &mut String) -> std::fmt::Result {
    let key = key(number);
    write!(line, r#"{{"type":"product","key":"{key}","title":""#)?;
    text(draw, 6, line)?;
    write!(line, r#" m{number}x","description":""#)?;
    text(draw, 40, line)?;
    let (brand, top, middle, leaf) = (draw.below(500), draw.below(10), draw.below(10), draw.below(10));
    write!(line, r#"","brand":"brand {brand}","category":"c{top}/c{top}{middle}/c{top}{middle}{leaf}","attributes":{{"#)?;
    for (at, name) in ATTRIBUTES.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(line, r#"{comma}"{name}":"{}""#, word(draw.below(40)))?;
    }
    let amount = 100 + draw.below(90_000);
    write!(line, r#"}},"variants":[{{"key":"{key}","prices":[{{"amount":{amount},"currency":"USD"}}]}}],"#)?;
    writeln!(line, r#""stock":[{{"variant":"{key}","location":"main","on_hand":1000}}]}}"#)
}

fn text(draw: &mut Draw, words: u32, line: &mut String) -> std::fmt::Result {
    for at in 0..words {
        let space = if at == 0 { "" } else { " " };
        // Ranks of one octave are together as frequent as those of the next: Zipf's law, roughly.
        let octave = draw.below(WORDS.ilog2() + 1);
        write!(line, "{space}{}", word(draw.below(1 << octave)))?;
    }
    Ok(())
}

/// A word by its rank.
fn word(rank: u32) -> String {
    const SYLLABLES: [&str; 16] = ["ka", "lo", "mi", "ru", "ta", "no", "be", "du", "fo", "gi", "ha", "ju", "pe", "so", "vi", "zo"];
    (0..3 + rank % 2).map(|at| SYLLABLES[(rank >> (4 * at)) as usize % 16]).collect()
}
