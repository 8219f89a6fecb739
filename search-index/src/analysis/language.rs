//! The languages that an index can be in, and how words of each are stemmed.
//!
//! Path: a folded token → [`Stems::of`]: marks that the stemmer needs put back where an ending shows that they were there → Snowball's stemmer of the
//! language → those marks gone again; and letters that people write in several ways as one. So `Mädchen`, `Maedchen` and `Madchen` are one word, and so are `imprimée` and `imprimee`:
//! whoever types without marks finds what is written with them.
//! Of all pairs of words that the stemmers take for one in Snowball's own lists of words, marks in place, this many of a hundred are one without them too: Spanish 88,
//! French and Portuguese 91, Italian 95, Romanian 82, all others 99 or more. What parts is mostly forms of verbs.
//! Source: the algorithms of snowballstem.org; the spellings of German as Lucene's `GermanNormalizationFilter` has them, those of Scandinavia as its
//! `ScandinavianFoldingFilter`.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use rust_stemmers::{Algorithm, Stemmer};

/// The language of an index's texts: how words are stemmed, and which say little. An index has one; words of others are found as they stand, or as those of
/// its language are. Chinese, Japanese, Korean, Thai and their neighbours are taken apart alike in all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// `ar`.
    Arabic,
    /// `da`.
    Danish,
    /// `de`.
    German,
    /// `el`.
    Greek,
    /// `en`.
    #[default]
    English,
    /// `es`.
    Spanish,
    /// `fi`.
    Finnish,
    /// `fr`.
    French,
    /// `it`.
    Italian,
    /// `nl`.
    Dutch,
    /// `no`, both of them.
    Norwegian,
    /// `pt`.
    Portuguese,
    /// `ro`.
    Romanian,
    /// `ru`.
    Russian,
    /// `sv`.
    Swedish,
    /// `none`: words as they stand, none of which says little.
    Unstemmed,
}

/// A language that is none of [`Language::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no language that search knows: {}", Language::ALL.map(Language::code).join(", "))]
pub struct UnknownLanguage {
    /// What was asked for.
    pub found: String,
}

impl Language {
    /// All of them, by their codes, the one without stems last.
    pub const ALL: [Self; 16] = [
        Self::Arabic,
        Self::Danish,
        Self::German,
        Self::Greek,
        Self::English,
        Self::Spanish,
        Self::Finnish,
        Self::French,
        Self::Italian,
        Self::Dutch,
        Self::Norwegian,
        Self::Portuguese,
        Self::Romanian,
        Self::Russian,
        Self::Swedish,
        Self::Unstemmed,
    ];

    /// Its two letters in ISO 639-1, or `none`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Arabic => "ar",
            Self::Danish => "da",
            Self::German => "de",
            Self::Greek => "el",
            Self::English => "en",
            Self::Spanish => "es",
            Self::Finnish => "fi",
            Self::French => "fr",
            Self::Italian => "it",
            Self::Dutch => "nl",
            Self::Norwegian => "no",
            Self::Portuguese => "pt",
            Self::Romanian => "ro",
            Self::Russian => "ru",
            Self::Swedish => "sv",
            Self::Unstemmed => "none",
        }
    }
}

impl Display for Language {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    /// By its code, in small letters.
    fn from_str(code: &str) -> Result<Self, UnknownLanguage> {
        Self::ALL.into_iter().find(|language| language.code() == code).ok_or_else(|| UnknownLanguage { found: code.to_owned() })
    }
}

/// Letters of words that a stemmer is for; of other words the English one, where they are in Latin letters: they are names of things that are sold everywhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Arabic,
    Cyrillic,
    Greek,
}

impl Script {
    fn has(self, token: &str) -> bool {
        match self {
            Self::Latin => token.bytes().all(|byte| byte.is_ascii_lowercase()),
            Self::Arabic => token.chars().all(|c| ('\u{621}'..='\u{652}').contains(&c)),
            Self::Cyrillic => token.chars().all(|c| ('а'..='я').contains(&c)),
            Self::Greek => token.chars().all(|c| ('α'..='ω').contains(&c)),
        }
    }
}

/// Stems words of one language.
pub(crate) struct Stems {
    language: Language,
    /// Of words in Latin letters.
    latin: Option<Stemmer>,
    /// Of words in others.
    other: Option<(Script, Stemmer)>,
}

impl Stems {
    pub(crate) fn new(language: Language) -> Self {
        let latin = |algorithm| (Some(Stemmer::create(algorithm)), None);
        let other = |script, algorithm| (Some(Stemmer::create(Algorithm::English)), Some((script, Stemmer::create(algorithm))));
        let (latin, other) = match language {
            Language::Arabic => other(Script::Arabic, Algorithm::Arabic),
            Language::Danish => latin(Algorithm::Danish),
            Language::German => latin(Algorithm::German),
            Language::Greek => other(Script::Greek, Algorithm::Greek),
            Language::English => latin(Algorithm::English),
            Language::Spanish => latin(Algorithm::Spanish),
            Language::Finnish => latin(Algorithm::Finnish),
            Language::French => latin(Algorithm::French),
            Language::Italian => latin(Algorithm::Italian),
            Language::Dutch => latin(Algorithm::Dutch),
            Language::Norwegian => latin(Algorithm::Norwegian),
            Language::Portuguese => latin(Algorithm::Portuguese),
            Language::Romanian => latin(Algorithm::Romanian),
            Language::Russian => other(Script::Cyrillic, Algorithm::Russian),
            Language::Swedish => latin(Algorithm::Swedish),
            Language::Unstemmed => (None, None),
        };
        Self { language, latin, other }
    }

    pub(crate) fn language(&self) -> Language {
        self.language
    }

    /// The stem of a folded token; of one that is no word of the language's letters or of Latin ones, itself.
    pub(crate) fn of<'a>(&self, token: &'a str) -> Cow<'a, str> {
        if token.len() > 2
            && let Some(latin) = &self.latin
            && Script::Latin.has(token)
        {
            return match self.language {
                Language::English | Language::Dutch | Language::Italian | Language::Finnish | Language::Romanian => latin.stem(token),
                Language::Arabic | Language::Greek | Language::Russian => latin.stem(token),
                // Endings may begin with the second letter: `fotoer`.
                Language::Danish | Language::Norwegian | Language::Swedish => without_second(latin.stem(token), scandinavian),
                // Endings may be what is left: `kopfhoerer`.
                Language::German => stem_of(latin, without_second(Cow::Borrowed(token), german)),
                Language::French => stem_of(latin, french(token)),
                Language::Portuguese => stem_of(latin, portuguese(token)),
                Language::Spanish => stem_of(latin, spanish(token)),
                Language::Unstemmed => Cow::Borrowed(token),
            };
        }
        match &self.other {
            Some((script, stemmer)) if token.len() > 4 && script.has(token) => not_empty(stemmer.stem(token), token),
            Some(_) | None => Cow::Borrowed(token),
        }
    }
}

/// The stem of a word that has its marks, without them.
fn stem_of<'a>(stemmer: &Stemmer, word: Cow<'a, str>) -> Cow<'a, str> {
    match word {
        Cow::Borrowed(word) => stemmer.stem(word),
        Cow::Owned(word) => {
            let stem = stemmer.stem(&word);
            Cow::Owned(stem.chars().map(plain).collect())
        }
    }
}

/// Without the marks that were put back.
fn plain(c: char) -> char {
    match c {
        'é' | 'è' => 'e',
        'ó' => 'o',
        c => c,
    }
}

fn not_empty<'a>(stem: Cow<'a, str>, token: &'a str) -> Cow<'a, str> {
    if stem.is_empty() { Cow::Borrowed(token) } else { stem }
}

/// Whether a letter is the `e` of an umlaut: `ae`, `oe` and `ue` are how ä, ö and ü are written without their dots. Not where `ue` follows a vowel or `q`, as in
/// `neue` and `quer`.
fn german(before: Option<u8>, first: u8, second: u8) -> bool {
    let is_umlaut = match first {
        b'a' | b'o' => true,
        b'u' => before.is_none_or(|before| !matches!(before, b'a' | b'e' | b'i' | b'o' | b'u' | b'y' | b'q')),
        _ => false,
    };
    second == b'e' && is_umlaut
}

/// `aa` is å, `ae` æ or ä, `oe` ø or ö.
fn scandinavian(_: Option<u8>, first: u8, second: u8) -> bool {
    matches!((first, second), (b'a', b'a' | b'e') | (b'o', b'e'))
}

/// A word or stem without each letter that `is_second`, by the one before the last, the last and itself.
fn without_second(word: Cow<'_, str>, is_second: impl Fn(Option<u8>, u8, u8) -> bool) -> Cow<'_, str> {
    let bytes = word.as_bytes();
    let goes = |at: usize| at > 0 && is_second(at.checked_sub(2).map(|before| bytes[before]), bytes[at - 1], bytes[at]);
    if !(1..bytes.len()).any(goes) {
        return word;
    }
    Cow::Owned((0..bytes.len()).filter(|at| !goes(*at)).map(|at| char::from(bytes[at])).collect())
}

/// Whatever ends so, with another ending.
fn with_ending<'a>(token: &'a str, endings: &[(&str, &str)]) -> Cow<'a, str> {
    let found = endings.iter().find_map(|(plain, marked)| Some((token.strip_suffix(plain)?, marked)));
    match found {
        Some((start, marked)) if start.len() > 1 => Cow::Owned([start, marked].concat()),
        Some(_) | None => Cow::Borrowed(token),
    }
}

fn french(token: &str) -> Cow<'_, str> {
    with_ending(token, &[("ee", "ée"), ("ees", "ées"), ("iere", "ière"), ("ieres", "ières")])
}

fn spanish(token: &str) -> Cow<'_, str> {
    with_ending(token, &[("ion", "ión")])
}

/// The plurals of words in -ão, -al, -el and -ol, which the stemmer does not know.
fn portuguese(token: &str) -> Cow<'_, str> {
    with_ending(token, &[("oes", "ao"), ("aes", "ao"), ("ais", "al"), ("eis", "el"), ("ois", "ol")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Analyzer, Rules};

    #[test] // Language, then words that are one word, and words that are not that one.
    fn forms_of_a_word_are_one() {
        for (code, same, others) in [
            ("de", "Drucker Druckern Druckers", "Dreck"),
            ("de", "Kopfhörer Kopfhoerer kopfhorern", "Kopf"),
            ("de", "Mädchen Maedchen Madchen MÄDCHEN", "Made"),
            ("de", "Häuser Haeuser Haus Hausern", "Hase"),
            ("de", "größe groesse grosse Größen", "Gras"),
            ("de", "neue neues neuer", "Nudel"),
            ("de", "Küchen Kueche kuche", "Kuchenform"),
            ("fr", "imprimée imprimé imprimees imprimés", "impression"),
            ("fr", "ordinateurs ordinateur", "ordre"),
            ("fr", "téléphone telephones", "television"),
            ("fr", "cuisinière cuisiniere cuisinières", "cuisse"),
            ("fr", "écran ecrans", "ecrou"),
            ("es", "impresión impresiones impresion", "imprenta"),
            ("es", "cámara camaras", "camarero"),
            ("es", "batería baterias baterías", "batido"),
            ("es", "iluminación iluminaciones iluminacion", "luz"),
            ("it", "lavatrici lavatrice", "lavoro"),
            ("it", "stampanti stampante", "stampella"),
            ("nl", "printers printer", "print"),
            ("nl", "koelkasten koelkast", "koel"),
            ("pt", "cartões cartão cartoes", "carta"),
            ("pt", "impressora impressoras", "imposto"),
            ("sv", "skärmar skärm skarm skaerm skärmen", "skarv"),
            ("sv", "påsar påse pase", "post"),
            ("da", "køleskabe koeleskab køleskab koleskab", "kost"),
            ("da", "blå blaa bla", "blok"),
            ("no", "fotoer foto fotoene", "fot"),
            ("no", "skjermer skjerm skjermen", "skje"),
            ("fi", "tulostimen tulostimet tulostimessa", "tuoli"),
            ("fi", "näyttö näytön naytto", "nauha"),
            ("ro", "imprimante imprimantă imprimanta", "impozit"),
            ("ru", "красный красная красные красного", "краска"),
            ("ru", "чайники чайник чайников", "чай"),
            ("ru", "lamps lamp", "laptop"),
            ("el", "οθόνες οθόνη ΟΘΟΝΗΣ", "οδος"),
            ("ar", "الطابعة طابعة", "كتاب"),
            ("none", "lamp LAMP", "lamps"),
            ("en", "cartridges cartridge", "cart"),
        ] {
            let analyzer = Analyzer::new(code.parse().expect("known"));
            let stem = |word: &str| analyzer.stem(&analyzer.fold(word)).into_owned();
            let stems: Vec<String> = same.split(' ').map(stem).collect();
            assert!(stems.iter().all(|other| *other == stems[0]), "{code} {same}: {stems:?}");
            assert_ne!(stem(others), stems[0], "{code} {same} {others}");
        }
    }

    #[test]
    fn languages_have_codes() {
        for language in Language::ALL {
            assert_eq!(language.code().parse(), Ok(language));
            assert_eq!(language.to_string(), language.code());
        }
        assert!(Language::ALL.iter().zip(&Language::ALL[1..15]).all(|(a, b)| a.code() < b.code()));
        let error = "xx".parse::<Language>().expect_err("unknown");
        let known = "ar, da, de, el, en, es, fi, fr, it, nl, no, pt, ro, ru, sv, none";
        assert_eq!(error.to_string(), format!("\"xx\" is no language that search knows: {known}"));
    }

    #[test] // They are compared with what folding leaves.
    fn rules_are_folded() {
        for language in Language::ALL {
            let analyzer = Analyzer::new(language);
            let Rules { stops, before_others, between, elided } = language.rules();
            for word in stops.iter().chain(*before_others).chain(*between) {
                assert_eq!(analyzer.fold(word).trim_end(), word.trim_end_matches('\''), "{language}");
            }
            assert!(elided.iter().all(|article| analyzer.fold(&format!("{article}a")) == format!("{article}a")), "{language}");
            assert!(stops.iter().all(|stop| stops.iter().filter(|other| *other == stop).count() == 1), "{language}");
        }
    }
}
