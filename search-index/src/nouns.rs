//! Which words of a title say what the thing is.
//!
//! Path: titles and attribute values as they are written → [`Nouns::learn`] (how often a word ends a phrase; whether it is mostly a value, as colours are) →
//! [`Nouns::kind`] → [`heads`]: of a title's words those that no other noun of their phrase follows. `monitor` is none in "monitor arm" or "cover for a
//! monitor"; in "monitor, black" and "monitor 24 inch" it is.
//! Of a language nothing is known but a few words that come before what a thing is for. What is learnt is kept and never unlearnt.

use std::hash::BuildHasher;

use hashbrown::HashMap;

use crate::analysis::{Language, Role};
use crate::forward::Tokens;
use crate::impact::Field;
use crate::names::HASHER;
use crate::split_table::SplitTable;

/// Words that are counted; further ones are no nouns.
const WORDS_MAX: usize = 1 << 17;
/// Of a word's places in titles, so many in a hundred must end a phrase for it to be a noun.
const NOUN_PERCENT: u64 = 40;
/// Of the documents with a word in their title, more than so many in a hundred must have it as an attribute's value for it to be one.
const VALUE_PERCENT: u64 = 20;
/// Before so many documents are known, no word is one.
const DOCUMENTS_MIN: u32 = 1_000;

/// What is known of a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// In titles, where it is no value.
    seen: u32,
    /// Of these, where its phrase has no other word behind it but values.
    last: u32,
    /// Documents with it in their title.
    documents: u32,
    /// Of these, those that have it as a value of an attribute.
    values: u32,
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.seen = self.seen.saturating_add(more.seen);
        self.last = self.last.saturating_add(more.last);
        self.documents = self.documents.saturating_add(more.documents);
        self.values = self.values.saturating_add(more.values);
    }
}

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It may be what a phrase is about.
    Noun,
    /// It says more of what a phrase is about.
    Other,
    /// A colour, a size: it may stand behind what it says more of.
    Value,
    /// Something else begins.
    Before,
    /// With digits: nothing before it goes on behind it.
    Number,
}

/// What is known of all words.
#[derive(Default)]
pub(crate) struct Nouns {
    language: Language,
    counts: SplitTable<(Box<str>, Counts)>,
    documents: u32,
}

impl Nouns {
    /// Of nothing yet.
    pub(crate) fn new(language: Language) -> Self {
        Self { language, ..Self::default() }
    }

    /// Whether enough is known.
    pub(crate) fn is_learnt(&self) -> bool {
        self.documents >= DOCUMENTS_MIN
    }

    /// Learns from the titles of these sheets, and answers what each form is. `forms` and `stems` have as many entries; `number_of` is the place there of
    /// a form of the sheets, of titles' forms at least.
    pub(crate) fn learn<'a>(
        &mut self,
        forms: &[impl AsRef<str>],
        stems: &[impl AsRef<str>],
        sheets: impl Iterator<Item = &'a [u8]> + Clone,
        number_of: impl Fn(u32) -> Option<u32>,
    ) -> Vec<Kind> {
        let mut numbers: HashMap<&str, u32, foldhash::fast::FixedState> = HashMap::default();
        let mut names: Vec<&str> = Vec::new();
        let stem_of: Vec<usize> = stems
            .iter()
            .map(|stem| {
                let add = || {
                    names.push(stem.as_ref());
                    names.len() as u32 - 1
                };
                *numbers.entry(stem.as_ref()).or_insert_with(add) as usize
            })
            .collect();
        let mut counts = vec![Counts::default(); names.len()];
        let (mut words, mut of_title, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for sheet in sheets.clone() {
            self.documents = self.documents.saturating_add(1);
            title_words(Tokens::new(sheet), &number_of, &mut words);
            of_title.clear();
            of_title.extend(words.iter().map(|(form, _)| stem_of[*form as usize]));
            distinct(&mut of_title);
            of_title.iter().for_each(|stem| counts[*stem].documents += 1);
            values.clear();
            each_value(Tokens::new(sheet), |form| values.extend(number_of(form).map(|form| stem_of[form as usize])));
            distinct(&mut values);
            values.iter().filter(|stem| of_title.binary_search(stem).is_ok()).for_each(|stem| counts[*stem].values += 1);
        }
        self.add_all(&names, &counts);
        // What is a value has to be known before it can be left out.
        let kinds = self.kinds(forms, stems);
        counts.fill(Counts::default());
        for sheet in sheets {
            title_words(Tokens::new(sheet), &number_of, &mut words);
            lasts(
                &words,
                |form| kinds[form as usize],
                |form, last| {
                    let counts = &mut counts[stem_of[form as usize]];
                    (counts.seen, counts.last) = (counts.seen + 1, counts.last + u32::from(last));
                },
            );
        }
        self.add_all(&names, &counts);
        self.kinds(forms, stems)
    }

    fn kinds(&self, forms: &[impl AsRef<str>], stems: &[impl AsRef<str>]) -> Vec<Kind> {
        forms.iter().zip(stems).map(|(form, stem)| self.kind(form.as_ref(), stem.as_ref())).collect()
    }

    fn add_all(&mut self, stems: &[&str], counts: &[Counts]) {
        for (stem, more) in stems.iter().zip(counts).filter(|(_, more)| **more != Counts::default()) {
            let hash = HASHER.hash_one(*stem);
            if let Some((_, known)) = self.counts.find_mut(hash, |(known, _)| **known == **stem) {
                known.add(*more);
            } else if self.counts.len() < WORDS_MAX {
                self.counts.insert_unique(hash, ((*stem).into(), *more), |(stem, _)| HASHER.hash_one(&**stem));
            }
        }
    }

    /// What a word is, by its form and its stem.
    fn kind(&self, form: &str, stem: &str) -> Kind {
        let rules = self.language.rules();
        if rules.before_others.contains(&form) {
            return Kind::Before;
        }
        if rules.between.contains(&form) {
            return Kind::Value;
        }
        if form.bytes().any(|byte| byte.is_ascii_digit()) {
            return Kind::Number;
        }
        let known = self.counts.find(HASHER.hash_one(stem), |(known, _)| **known == *stem);
        let Some((_, counts)) = known else { return Kind::Other };
        if u64::from(counts.values) * 100 > u64::from(counts.documents) * VALUE_PERCENT {
            Kind::Value
        } else if counts.seen > 0 && u64::from(counts.last) * 100 >= u64::from(counts.seen) * NOUN_PERCENT {
            Kind::Noun
        } else {
            Kind::Other
        }
    }
}

/// Words of a title in their order, each with whether its phrase ends behind it.
pub(crate) fn title_words(tokens: Tokens<'_>, number_of: impl Fn(u32) -> Option<u32>, words: &mut Vec<(u32, bool)>) {
    words.clear();
    for token in tokens.take_while(|token| token.field == Field::Title) {
        if let Role::Word { ends } = token.role {
            words.extend(number_of(token.form).map(|form| (form, ends)));
        }
    }
}

/// Calls `each` with every form that is a value of an attribute by itself.
fn each_value(tokens: Tokens<'_>, mut each: impl FnMut(u32)) {
    let mut begins = true;
    for token in tokens.filter(|token| token.field == Field::Attributes) {
        if let Role::Word { ends } = token.role {
            if begins && ends {
                each(token.form);
            }
            begins = ends;
        }
    }
}

fn distinct(numbers: &mut Vec<usize>) {
    numbers.sort_unstable();
    numbers.dedup();
}

/// Calls `each` with every word that is no value, and whether it is the last of its phrase but for values.
fn lasts(words: &[(u32, bool)], kind: impl Fn(u32) -> Kind, mut each: impl FnMut(u32, bool)) {
    for (nth, &(form, ends)) in words.iter().enumerate() {
        if matches!(kind(form), Kind::Value | Kind::Before | Kind::Number) {
            continue;
        }
        each(form, ends || !goes_on(&words[nth + 1..], &kind, |kind| matches!(kind, Kind::Noun | Kind::Other)));
    }
}

/// Calls `each` with every word that no noun follows in its phrase, and that is not what the thing is for.
pub(crate) fn heads(words: &[(u32, bool)], kind: impl Fn(u32) -> Kind, mut each: impl FnMut(u32)) {
    let mut behind = false;
    for (nth, &(form, ends)) in words.iter().enumerate() {
        let own = kind(form);
        behind |= own == Kind::Before;
        if !behind && matches!(own, Kind::Noun | Kind::Other) && (ends || !goes_on(&words[nth + 1..], &kind, |kind| kind == Kind::Noun)) {
            each(form);
        }
        behind &= !ends;
    }
}

/// Whether one of the words that follow in a phrase is as wanted.
fn goes_on(rest: &[(u32, bool)], kind: &impl Fn(u32) -> Kind, wanted: impl Fn(Kind) -> bool) -> bool {
    for &(form, ends) in rest {
        match kind(form) {
            Kind::Before | Kind::Number => return false,
            kind if wanted(kind) => return true,
            Kind::Value | Kind::Noun | Kind::Other => {}
        }
        if ends {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Analyzer;
    use crate::document::{AttributeValue, DocKey, Document};
    use crate::forward::{Sheet, analyse};

    /// Learns from titles, each with a colour, many times over; answers what each of `asked` is about.
    fn about(titles: &[&str], asked: &[&str], times: usize) -> Vec<String> {
        let (analyzer, mut nouns) = (Analyzer::default(), Nouns::default());
        let mut forms: Vec<String> = Vec::new();
        let mut sheet_of = |title: &str| {
            let document = Document {
                title: title.into(),
                attributes: vec![("colour".into(), AttributeValue::Text("Black, white".into()))],
                ..Document::new(DocKey(1))
            };
            let mut sheet = Sheet::default();
            analyse(&analyzer, &document, &mut sheet, |token| {
                forms.iter().position(|form| form == token).unwrap_or_else(|| {
                    forms.push(token.into());
                    forms.len() - 1
                }) as u32
            });
            sheet.bytes().to_vec()
        };
        let sheets: Vec<Vec<u8>> = titles.iter().map(|title| sheet_of(title)).collect();
        let asked: Vec<Vec<u8>> = asked.iter().map(|title| sheet_of(title)).collect();
        let stems: Vec<String> = forms.iter().map(|form| analyzer.stem(form).into_owned()).collect();
        let all = std::iter::repeat_n(&sheets, times).flatten().map(Vec::as_slice);
        let kinds = nouns.learn(&forms, &stems, all, Some);
        assert_eq!(nouns.is_learnt(), titles.len() * times >= DOCUMENTS_MIN as usize);
        let mut words = Vec::new();
        let of_title = |sheet: &Vec<u8>| {
            title_words(Tokens::new(sheet), Some, &mut words);
            let mut found = Vec::new();
            heads(&words, |form| kinds[form as usize], |form| found.push(forms[form as usize].clone()));
            found.join(" ")
        };
        asked.iter().map(of_title).collect()
    }

    const TITLES: [&str; 8] = [
        "HP monitor black",
        "HP monitor 24 inch",
        "Acme monitor arm, white",
        "Acme desk arm",
        "Sony laptop",
        "Sony laptop 15.6",
        "cover for laptop",
        "Acme laptop cover black",
    ];

    #[test] // Title, and the words that it is about.
    fn a_noun_behind_a_word_is_what_the_title_is_about() {
        for (title, wanted) in [
            ("HP monitor", "monitor"),
            ("HP monitor black", "monitor"),
            ("HP monitor arm", "arm"),
            ("monitor, arm", "monitor arm"),
            ("monitor 24 inch arm", "monitor arm"), // a number ends what is before it
            ("black laptop cover white", "cover"),
            ("cover for laptop", "cover"),
            ("cover for laptop, arm", "cover arm"),
            ("laptop and monitor", "monitor"),
            ("laptop gizmo", "laptop gizmo"), // of which nothing is known
        ] {
            assert_eq!(about(&TITLES, &[title], 200), [wanted], "{title}");
        }
    }

    #[test]
    fn a_thousand_titles_teach() {
        for times in [124, 125] {
            assert_eq!(about(&TITLES, &["HP monitor arm"], times), ["arm"]);
        }
    }

    #[test]
    fn further_words_are_no_nouns() {
        let mut nouns = Nouns::default();
        let names: Vec<String> = (0..=WORDS_MAX).map(|nth| nth.to_string()).collect();
        let stems: Vec<&str> = names.iter().map(String::as_str).collect();
        let once = Counts { seen: 1, last: 1, documents: 1, values: 0 };
        nouns.add_all(&stems, &vec![once; stems.len()]);
        let kind = |nth: usize| nouns.kind("word", &names[nth]);
        assert_eq!((kind(0), kind(WORDS_MAX - 1), kind(WORDS_MAX)), (Kind::Noun, Kind::Noun, Kind::Other));
    }
}
