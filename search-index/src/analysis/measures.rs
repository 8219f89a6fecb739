//! Numbers with units, each said in one way: `15.6"`, `15.6 inch` and `15,6in` are `15.6in`; `1500 ml`, `150cl` and `1.5 litres` are `1.5l`.
//!
//! Path: tokens of folded text → [`Measure::at`] (a number, and its unit in the same token, behind a space or hyphen, or as a sign) → the value in the greatest unit of
//! its ladder in which it is at least 1, and that unit's sign: the spelling that most texts have, so that few get another.
//! Units of a ladder are powers of ten apart, so a value is moved by its digits and nothing is rounded. Of bytes, 1,000 or 1,024 of one are one of the next, whichever
//! divides: sellers mean the same by 2048 MB and 2 GB. Inches are not feet, and neither are metres: who asks for a screen of 24 inches wants no cable of 2 feet.

use super::tokens::{Token, ends_phrase};

/// Digits of a number that has a unit. One of more is a code.
const DIGITS_MAX: usize = 15;
/// Numbers that share the unit behind the last of them, that one not counted: `8/16 GB`, `210 x 297 mm`. Those before have none.
const SHARING_MAX: usize = 3;

/// What is measured: units of one kind can be said in each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bytes,
    Bits,
    Frequency,
    Length,
    Volume,
    Mass,
    Power,
    ApparentPower,
    Energy,
    Current,
    Charge,
    /// A unit that none is said in, by its sign.
    Alone(&'static str),
}

impl Kind {
    /// Signs of the units that values are said in, and which power of ten of the first one's each is.
    fn ladder(self) -> &'static [(&'static str, i32)] {
        match self {
            Self::Bytes => &[("kb", 0), ("mb", 3), ("gb", 6), ("tb", 9)],
            Self::Bits => &[("kbit", 0), ("mbit", 3), ("gbit", 6)],
            Self::Frequency => &[("hz", 0), ("khz", 3), ("mhz", 6), ("ghz", 9)],
            Self::Length => &[("mm", 0), ("cm", 1), ("m", 3), ("km", 6)],
            Self::Volume => &[("ml", 0), ("l", 3)],
            Self::Mass => &[("mg", 0), ("g", 3), ("kg", 6)],
            Self::Power => &[("w", 0), ("kw", 3)],
            Self::ApparentPower => &[("va", 0), ("kva", 3)],
            Self::Energy => &[("wh", 0), ("kwh", 3)],
            Self::Current => &[("ma", 0), ("a", 3)],
            Self::Charge => &[("mah", 0), ("ah", 3)],
            Self::Alone(_) => &[],
        }
    }
}

/// A unit by its sign or name, folded: what it is of, and its power of ten on the ladder.
fn unit(name: &str) -> Option<(Kind, i32)> {
    use Kind::{Alone, ApparentPower, Bits, Bytes, Charge, Current, Energy, Frequency, Length, Mass, Power, Volume};
    Some(match name {
        "kb" | "kilobyte" | "kilobytes" => (Bytes, 0),
        "mb" | "megabyte" | "megabytes" => (Bytes, 3),
        "gb" | "gigabyte" | "gigabytes" => (Bytes, 6),
        "tb" | "terabyte" | "terabytes" => (Bytes, 9),
        "kbit" | "kbits" | "kilobit" | "kilobits" | "kbps" => (Bits, 0),
        "mbit" | "mbits" | "megabit" | "megabits" | "mbps" => (Bits, 3),
        "gbit" | "gbits" | "gigabit" | "gigabits" | "gbps" => (Bits, 6),
        "hz" | "hertz" => (Frequency, 0),
        "khz" | "kilohertz" => (Frequency, 3),
        "mhz" | "megahertz" => (Frequency, 6),
        "ghz" | "gigahertz" => (Frequency, 9),
        "mm" | "millimetre" | "millimetres" | "millimeter" | "millimeters" => (Length, 0),
        "cm" | "centimetre" | "centimetres" | "centimeter" | "centimeters" => (Length, 1),
        "m" | "metre" | "metres" | "meter" | "meters" => (Length, 3),
        "km" | "kilometre" | "kilometres" | "kilometer" | "kilometers" => (Length, 6),
        "ml" | "millilitre" | "millilitres" | "milliliter" | "milliliters" => (Volume, 0),
        "cl" | "centilitre" | "centilitres" | "centiliter" | "centiliters" => (Volume, 1),
        "l" | "litre" | "litres" | "liter" | "liters" => (Volume, 3),
        "mg" | "milligram" | "milligrams" | "milligramme" | "milligrammes" => (Mass, 0),
        "g" | "gram" | "grams" | "gramme" | "grammes" => (Mass, 3),
        "kg" | "kilogram" | "kilograms" | "kilogramme" | "kilogrammes" | "kilo" | "kilos" => (Mass, 6),
        "w" | "watt" | "watts" => (Power, 0),
        "kw" | "kilowatt" | "kilowatts" => (Power, 3),
        "va" => (ApparentPower, 0),
        "kva" => (ApparentPower, 3),
        "wh" => (Energy, 0),
        "kwh" => (Energy, 3),
        "ma" | "milliamp" | "milliamps" => (Current, 0),
        "a" | "amp" | "amps" | "ampere" | "amperes" => (Current, 3),
        "mah" => (Charge, 0),
        "ah" => (Charge, 3),
        "v" | "volt" | "volts" => (Alone("v"), 0),
        "in" | "inch" | "inches" => (Alone("in"), 0),
        "ft" | "foot" | "feet" => (Alone("ft"), 0),
        "lb" | "lbs" | "pound" | "pounds" => (Alone("lb"), 0),
        "oz" | "ounce" | "ounces" => (Alone("oz"), 0),
        "mp" | "megapixel" | "megapixels" => (Alone("mp"), 0),
        "bit" | "bits" => (Alone("bit"), 0),
        "db" | "decibel" | "decibels" => (Alone("db"), 0),
        "fps" => (Alone("fps"), 0),
        "dpi" => (Alone("dpi"), 0),
        "ppm" => (Alone("ppm"), 0),
        "rpm" => (Alone("rpm"), 0),
        _ => return None,
    })
}

/// Units that are words as well: behind a space, a query means them only where its phrase ends, and a text not before a number, as in `2 in 1`.
fn is_word_too(unit: &str) -> bool {
    matches!(unit, "in" | "a")
}

/// Signs of inches, as they are folded.
const INCH_SIGNS: [&str; 5] = ["\"", "”", "″", "′′", "''"];

fn is_number(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_digit()) && token.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// A number with its unit, in the one way. `None` for what is no number with a unit: a code, a number of a standard (`802.11 g`), a place in a row (`007 m`).
fn say(number: &str, (kind, mut power): (Kind, i32)) -> Option<String> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_code = whole.len() > 1 && whole.starts_with('0');
    if is_code || number.len() > DIGITS_MAX || fraction.contains('.') || (whole == "802" && !fraction.is_empty()) {
        return None;
    }
    let mut value: u64 = [whole, fraction].concat().parse().ok().filter(|value| *value > 0)?;
    if kind == Kind::Bytes && fraction.is_empty() {
        while power < 9 && value.is_multiple_of(1024) && !value.is_multiple_of(1000) {
            (value, power) = (value / 1024, power + 3);
        }
    }
    // The value is `value · 10^exponent` of the ladder's first unit.
    let mut exponent = power - fraction.len() as i32;
    while value.is_multiple_of(10) {
        (value, exponent) = (value / 10, exponent + 1);
    }
    let magnitude = value.ilog10() as i32 + exponent;
    let (sign, power) = match kind {
        Kind::Alone(sign) => (sign, 0),
        _ => {
            let ladder = kind.ladder();
            ladder.iter().rev().find(|(_, power)| *power <= magnitude).or(ladder.first()).copied()?
        }
    };
    let (digits, point) = (value.to_string(), exponent - power);
    let mut said = String::with_capacity(DIGITS_MAX + sign.len());
    match usize::try_from(point) {
        Ok(zeros) => {
            said.push_str(&digits);
            said.extend(std::iter::repeat_n('0', zeros));
        }
        Err(_) => {
            let behind = point.unsigned_abs() as usize;
            let padded = format!("{digits:0>width$}", width = behind + 1);
            let (whole, fraction) = padded.split_at(padded.len() - behind);
            said.extend([whole, ".", fraction]);
        }
    }
    said.push_str(sign);
    Some(said)
}

/// Who reads a text, where words and units look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Document,
    Query,
    /// Its last word may go on.
    Unfinished,
}

/// A number with a unit in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Measure<'a> {
    pub(super) number: &'a str,
    /// As it stands; `in` for the sign of inches.
    pub(super) unit: &'a str,
    /// Whether it is that sign, and so no word.
    pub(super) is_sign: bool,
    /// In the one way.
    pub(super) said: String,
    /// How many tokens it is: one, or two where the unit stands by itself.
    pub(super) tokens: usize,
}

impl<'a> Measure<'a> {
    /// The measure that begins with a token. O(the token), but for numbers with the sign of inches: up to the last such sign before.
    pub(super) fn at(text: &'a str, tokens: &[Token], at: usize, reading: Reading) -> Option<Self> {
        let token = &tokens[at];
        let first = &text[token.range.clone()];
        if !first.starts_with(|c: char| c.is_ascii_digit()) || (token.joined && !is_number(&text[tokens[at - 1].range.clone()])) {
            return None;
        }
        let of = |number: &'a str, name: &'a str, tokens: usize| {
            Some(Self { number, unit: name, is_sign: false, said: say(number, unit(name)?)?, tokens })
        };
        if !is_number(first) {
            let (number, name) = first.split_at(first.find(|c: char| c.is_alphabetic())?);
            return of(number, name, 1).filter(|_| is_number(number));
        }
        let behind = &text[token.range.end..];
        if INCH_SIGNS.iter().any(|sign| behind.starts_with(sign)) {
            let measure = of(first, "in", 1).filter(|_| !ends_quotation(&text[..token.range.end]))?;
            return Some(Self { is_sign: true, ..measure });
        }
        let second = tokens.get(at + 1)?;
        let gap = &text[token.range.end..second.range.start];
        if !matches!(gap, " " | "-" | "  " | "\t") {
            return None;
        }
        let name = &text[second.range.clone()];
        if is_word_too(name) && gap != "-" {
            let third = tokens.get(at + 2);
            let ends = ends_phrase(text, second, third);
            let is_meant = match reading {
                Reading::Document => ends || third.is_some_and(|third| !is_number(&text[third.range.clone()])),
                Reading::Query => ends,
                Reading::Unfinished => ends && second.range.end < text.len(),
            };
            if !is_meant {
                return None;
            }
        }
        of(first, name, 2)
    }

    /// Numbers before this one, at `at`, that have the same unit, in the one way.
    pub(super) fn sharing(&self, text: &str, tokens: &[Token], at: usize, mut each: impl FnMut(&str)) {
        let Some(unit) = unit(self.unit) else { return };
        let word = |at: usize| &text[tokens[at].range.clone()];
        let mut at = at;
        for _ in 0..SHARING_MAX {
            let before = match at {
                1.. if tokens[at].joined && text[..tokens[at].range.start].ends_with('/') => at - 1,
                2.. if unit.0 == Kind::Length && word(at - 1) == "x" && !tokens[at].joined => at - 2,
                _ => return,
            };
            if !is_number(word(before)) || (tokens[before].joined && !(before > 0 && is_number(word(before - 1)))) {
                return;
            }
            if let Some(said) = say(word(before), unit) {
                each(&said);
            }
            at = before;
        }
    }
}

/// Whether a quotation that begins with a word is open at the end of a text: what follows closes it and is no sign of inches.
fn ends_quotation(text: &str) -> bool {
    let is_quote = |c: char| matches!(c, '"' | '“' | '”' | '„');
    let Some(quote) = text.rfind(is_quote) else { return false };
    let behind = text[quote..].chars().nth(1);
    behind.is_some_and(char::is_alphanumeric) && !text[..quote].ends_with(|c: char| c.is_alphanumeric())
}

/// Whether a comma with digits before it is the point of a number with a unit: `15,6"` and `2,5 mm`, but neither `1,000 g` nor `36, 37 cm`. Both texts are folded,
/// and without an apostrophe in the latter.
pub(super) fn is_point(before: &str, after: &str) -> bool {
    let whole = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let fraction = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (whole, rest) = (&before[before.len() - whole..], &after[fraction..]);
    if whole.is_empty() || fraction == 0 || (fraction > 2 && whole != "0") {
        return false;
    }
    if before[..before.len() - whole.len()].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | ',' | '/' | '-')) {
        return false;
    }
    let name = rest.strip_prefix([' ', '-']).unwrap_or(rest);
    let name = &name[..name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len())];
    INCH_SIGNS.iter().any(|sign| rest.starts_with(sign)) || unit(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::fold_name as fold;
    use super::super::tokens::tokens;
    use super::*;

    /// All measures of a text, those of numbers that share a unit before that of the last one.
    fn measures(text: &str, reading: Reading) -> String {
        let text = fold(text);
        let tokens = tokens(&text);
        let (mut found, mut at) = (Vec::new(), 0);
        while at < tokens.len() {
            let measure = Measure::at(&text, &tokens, at, reading);
            if let Some(measure) = &measure {
                let end = found.len();
                measure.sharing(&text, &tokens, at, |said| found.insert(end, said.to_owned()));
                found.push(measure.said.clone());
            }
            at += measure.map_or(1, |measure| measure.tokens);
        }
        found.join(" ")
    }

    #[test] // Text, and the measures in it.
    fn one_way_to_say_it() {
        for (text, wanted) in [
            ("16 gigabytes, 16GB, 16-GB, 16.0 gb", "16gb 16gb 16gb 16gb"),
            ("15.6\", 15.6 inch, 15.6in, 15.6-inch, 15.6″, 15.6”, 15.6'', 15.60 inches", &["15.6in"; 8].join(" ")),
            ("15,6\" 15,6 inch 15,6in 15,60-inch", &["15.6in"; 4].join(" ")),
            ("1.5 l, 1,5 litres, 1.5liter, 1500ml, 150 cl, 1500 millilitres", &["1.5l"; 6].join(" ")),
            ("500 grams, 500g, 0.5 kg, 0,500 kilo, 500000 mg", &["500g"; 5].join(" ")),
            ("1 m, 100 cm, 1000mm, 0.001 km", &["1m"; 4].join(" ")),
            ("1 tb, 1000 GB, 1024 GB, 1000000 mb, 1048576mb", &["1tb"; 5].join(" ")),
            ("128000 mb, 512 mb, 1536 mb, 0.5 gb", "128gb 512mb 1.536gb 500mb"),
            ("2400 MHz, 2.4ghz, 50 Hz", "2.4ghz 2.4ghz 50hz"),
            ("0.05 mm, 5 mm, 15 mm", "0.05mm 5mm 1.5cm"),
            ("5 amps, 500 mA, 0.5 a", "5a 500ma 500ma"),
            ("6 feet, 6ft, 72 inches", "6ft 6ft 72in"),
            ("8/16 GB, 10/100/1000Mbit", "8gb 16gb 10mbit 100mbit 1gbit"),
            ("210 x 297 mm, 2 x 4 GB", "21cm 29.7cm 4gb"),
            ("1,000 g and 36,37,38 cm and 12,5", "1kg 38cm"),
            ("24\" x 36\"", "24in 36in"),
        ] {
            assert_eq!(measures(text, Reading::Document), wanted, "{text}");
        }
    }

    #[test] // Text without any.
    fn what_only_looks_like_one() {
        for text in [
            "802.11 g router",
            "tn-2110 a",
            "hl-5m",
            "007 m",
            "1.2.3 m",
            "12345678901234567 g",
            "0 kg",
            "5",
            "5 cartridges",
            "5, m",
            "5\nm",
            "m 5",
            "gb",
            "the \"Pentium 4\" box",
            "“Windows 7” book",
            "2 in 1 laptop",
            "5gb2",
            "1080p",
            "4k",
            "",
        ] {
            assert_eq!(measures(text, Reading::Document), "", "{text}");
            assert_eq!(measures(text, Reading::Query), "", "{text}");
        }
    }

    #[test] // Text, and what is read by a document, by a query, and by one that may go on.
    fn words_that_are_units_too() {
        for (text, document, query, unfinished) in [
            ("15.6 in laptop", "15.6in", "", ""),
            ("laptop 15.6 in", "15.6in", "15.6in", ""),
            ("laptop 15.6 in ", "15.6in", "15.6in", "15.6in"),
            ("15.6-in laptop", "15.6in", "15.6in", "15.6in"),
            ("15.6in laptop", "15.6in", "15.6in", "15.6in"),
            ("charger 2 a, 5 v", "2a 5v", "2a 5v", "2a 5v"),
            ("2 a batteries", "2a", "", ""),
        ] {
            let read = [Reading::Document, Reading::Query, Reading::Unfinished].map(|reading| measures(text, reading));
            assert_eq!(read, [document, query, unfinished], "{text}");
        }
    }

    #[test] // A value in each unit of its ladder, by plain arithmetic.
    fn the_same_in_any_unit_is_the_same() {
        for kind in
            [Kind::Bits, Kind::Frequency, Kind::Length, Kind::Volume, Kind::Mass, Kind::Power, Kind::Energy, Kind::Current, Kind::Charge]
        {
            for thousandths in [1_u64, 15, 250, 999, 1_000, 1_005, 15_600, 123_456, 7_000_000, 40_000_000_000] {
                let mut said = Vec::new();
                for (_, power) in kind.ladder() {
                    // In billionths of this unit, for it is so many thousandths of the first.
                    let billionths = u128::from(thousandths) * 1_000_000_000 / 1_000 / 10_u128.pow(power.unsigned_abs());
                    if billionths * 1_000 * 10_u128.pow(power.unsigned_abs()) == u128::from(thousandths) * 1_000_000_000 {
                        let number = format!("{}.{:09}", billionths / 1_000_000_000, billionths % 1_000_000_000);
                        said.extend(say(number.trim_end_matches('0').trim_end_matches('.'), (kind, *power)));
                    }
                }
                assert!(said.len() > 1 || thousandths < 1_000, "{kind:?} {thousandths}");
                said.dedup();
                assert_eq!(said.len(), 1, "{kind:?} {thousandths}: {said:?}");
            }
        }
    }

    #[test]
    fn every_unit_is_said_in_one_that_is_known() {
        for name in ["kb", "tb", "cl", "metres", "pounds", "rpm", "mah", "kva"] {
            let (kind, _) = unit(name).expect("it is one");
            for (sign, power) in kind.ladder() {
                assert_eq!(unit(sign), Some((kind, *power)), "a rung of the ladder of {name}");
            }
            let said = say("7", unit(name).expect("it is one")).expect("a plain number");
            let (number, sign) = said.split_at(said.find(char::is_alphabetic).expect("a sign follows"));
            assert_eq!(say(number, unit(sign).expect("a rung")), Some(said.clone()), "it is said as it is said");
        }
    }
}
