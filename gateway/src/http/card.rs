//! Card numbers never enter: any text that holds what looks like one is refused before anything else looks at it.
//!
//! Source: PCI DSS 4.0.1, SAQ A: not received, not stored, not logged. ISO/IEC 7812 numbers have 13 to 19 digits here, the last by
//! Luhn's rule (ISO/IEC 7812-1 annex B).

use serde_json::Value;

const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Does some text in `value` hold what looks like a card number? Names of members are looked at too.
pub(crate) fn is_in(value: &Value) -> bool {
    match value {
        Value::String(text) => looks_like(text),
        Value::Array(values) => values.iter().any(is_in),
        Value::Object(members) => members.iter().any(|(name, value)| looks_like(name) || is_in(value)),
        Value::Number(number) => looks_like(&number.to_string()),
        Value::Null | Value::Bool(_) => false,
    }
}

/// Is there a run of 13 to 19 digits, spaces and dashes aside, that passes Luhn's check?
pub(crate) fn looks_like(text: &str) -> bool {
    let mut run: Vec<u8> = Vec::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' => run.push(letter as u8 - b'0'),
            ' ' | '-' | '\u{a0}' | '\u{2010}'..='\u{2013}' => {}
            _ => {
                if is_card(&run) {
                    return true;
                }
                run.clear();
            }
        }
    }
    is_card(&run)
}

fn is_card(digits: &[u8]) -> bool {
    DIGITS.contains(&digits.len()) && digits.iter().any(|d| *d != 0) && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| match (i % 2, u32::from(*digit) * 2) {
            (0, twice) => twice / 2,
            (_, twice @ 10..) => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn card_numbers_are_seen() {
        for text in ["4242424242424242", "4242 4242 4242 4242", "tok_4242-4242-4242-4242", "378282246310005", "x 6011111111111117 y"] {
            assert!(looks_like(text), "{text}");
        }
        for text in
            ["4242424242424241", "pm_card_visa", "0882780756328000000000", "12345", "ord_01kav9ft3v00zg00000000e002", "0000000000000000"]
        {
            assert!(!looks_like(text), "{text}");
        }
        assert!(is_in(&json!({"payment": {"token": ["a", "4242424242424242"]}})));
        assert!(is_in(&json!({"payment": {"token": 4_242_424_242_424_242_u64}})));
        assert!(!is_in(&json!({"wait_ms": 10_000, "email": "a@b.c"})));
    }

    proptest! {
        #[test]
        fn every_number_with_its_check_digit_is_seen(body in prop::collection::vec(0u8..10, 12..19), gap in "[ -]") {
            prop_assume!(body.iter().any(|d| *d != 0));
            let check = (0..10).find(|d| luhn(&[body.as_slice(), &[*d]].concat())).expect("one of ten digits fits");
            let text: Vec<String> = body.iter().chain([&check]).map(ToString::to_string).collect();
            prop_assert!(looks_like(&text.join(&gap)));
        }
    }
}
