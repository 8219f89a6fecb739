//! Text as it is compared: case, width and diacritics folded away, apostrophes and the commas of numbers taken out.

use unicode_normalization::UnicodeNormalization;

use super::language::Language;
use super::measures::is_point;

/// Case, compatibility forms and Latin diacritics folded away; `men's` is `men`, `don't` is `dont`, `1,000` is `1000`, `2,5 mm` is `2.5 mm`, `15''` is `15"`. Where
/// the language cuts words off before a vowel, their apostrophes stay: `l'encre`.
pub(crate) fn fold(text: &str, language: Language) -> String {
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        folded.push_str(text);
        folded.make_ascii_lowercase();
    } else {
        // Only marks of the Latin, Greek and Cyrillic block go: elsewhere a mark may be a vowel. In Russian й is a letter with endings of its own.
        let keeps_breve = language == Language::Russian;
        let mut before = '\0';
        let plain = text.nfkd().filter(|c| {
            let is_letter = keeps_breve && *c == '\u{306}' && matches!(before, 'и' | 'И');
            before = *c;
            is_letter || !('\u{300}'..='\u{36f}').contains(c)
        });
        let plain = plain.nfc();
        for c in plain {
            match c {
                'ß' | 'ẞ' => folded.push_str("ss"),
                'æ' | 'Æ' => folded.push_str("ae"),
                'œ' | 'Œ' => folded.push_str("oe"),
                'ø' | 'Ø' => folded.push('o'),
                'ł' | 'Ł' => folded.push('l'),
                'đ' | 'Đ' => folded.push('d'),
                'ς' if language == Language::Greek => folded.push('σ'),
                '’' | 'ʼ' => folded.push('\''),
                '‐' | '‑' | '–' | '—' | '−' => folded.push('-'),
                c => folded.extend(c.to_lowercase().filter(|c| !('\u{300}'..='\u{36f}').contains(c))),
            }
        }
    }
    if folded.contains(['\'', ',']) { unpunctuate(&folded, language.rules().elided) } else { folded }
}

/// Takes out apostrophes inside words but for those of `elided`, possessive endings, and commas between thousands; puts a point in the place of those before
/// fractions.
fn unpunctuate(text: &str, elided: &[&str]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut skip = 0;
    for (at, c) in text.char_indices() {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let after = &text[at + c.len_utf8()..];
        let before = out.chars().next_back();
        match c {
            '\'' if before.is_some_and(char::is_alphabetic) => {
                let mut next = after.chars();
                match (next.next(), next.next()) {
                    (Some('s'), Some(then)) if !then.is_alphanumeric() => skip = 1,
                    (Some('s'), None) => skip = 1,
                    (Some(letter), _) if letter.is_alphabetic() && is_elided(&out, elided) => out.push('\''),
                    (Some(letter), _) if letter.is_alphabetic() => {}
                    (Some(_), _) | (None, _) => out.push(' '),
                }
            }
            ',' if is_point(&out, after) => out.push('.'),
            '\'' if before.is_some_and(|c| c.is_ascii_digit()) && after.starts_with('\'') => {
                out.push('"');
                skip = 1;
            }
            ',' if before.is_some_and(|c| c.is_ascii_digit())
                && after.len() >= 3
                && after.bytes().take(3).all(|b| b.is_ascii_digit())
                && !after[3..].starts_with(|c: char| c.is_ascii_digit()) => {}
            '\'' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Whether the last word is one of those, but for its apostrophe.
fn is_elided(text: &str, elided: &[&str]) -> bool {
    let before = |article: &&str| text.strip_suffix(article.trim_end_matches('\''));
    elided.iter().filter_map(before).any(|before| !before.ends_with(char::is_alphanumeric))
}
