//! Other ways to say what is typed: what a shop knows about its customers' words.
//!
//! Path: [`Synonym`]s → [`Synonyms::new`] (analysed, refused if over a bound) → [`Query::synonyms`](crate::Query::synonyms) → neighbouring words of a query are looked up as
//! they are understood (`rank::ways`) → each of them also stands for what the other ways say.
//! Nothing of it is stored in an index, so rules change between one search and the next, and all indexes of a search agree.
//!
//! What is typed is compared as queries are: in order, by stems, so that case, diacritics and number do not matter, without stop words where there are other words, a
//! word that comes twice taken once. What is found is compared as quotations are: one word is that word, several stand side by side in one field, stop words among them.
//! Rules are not followed twice: what is found by one is not looked up again.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::analysis::{Analyzer, Language};
use crate::operators::Phrase;
use crate::query::QUERY_BYTES_MAX;

/// Words of one way to say it, a run of a script without spaces being one. More is refused.
pub const SYNONYM_WORDS_MAX: usize = 4;
/// Pairs of characters that such runs are looked up by, and other words, of one way to say it. More is refused.
pub const SYNONYM_PAIRS_MAX: usize = 16;
/// Ways to say a thing in one rule, on each side. More is refused.
pub const SYNONYM_WAYS_MAX: usize = 32;
/// Rules. More is refused.
pub const SYNONYMS_MAX: usize = 10_000;

/// One rule: whoever types one of `typed` is also shown what says one of `found`. It holds both ways where both lists are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// What may be typed, 1 to [`SYNONYM_WAYS_MAX`] texts of up to [`SYNONYM_WORDS_MAX`] words.
    pub typed: Vec<String>,
    /// What is shown for it as well, likewise.
    pub found: Vec<String>,
}

/// Rules made ready for queries.
///
/// ```
/// use std::sync::Arc;
/// use search_index::{DocKey, Document, Index, Query, Settings, Synonym, Synonyms};
/// let titled = |key, title: &str| Document { title: title.into(), ..Document::new(DocKey(key)) };
/// let index = Index::build(Settings::default(), [titled(1, "Flash drive, 64 GB"), titled(2, "USB stick")])?;
/// let ways: Vec<String> = vec!["usb stick".into(), "flash drive".into()];
/// let synonyms = Arc::new(Synonyms::new(&[Synonym { typed: ways.clone(), found: ways }])?);
/// let query = Query { text: Some("USB sticks".into()), synonyms, ..Query::default() };
/// assert_eq!(index.search(&query, None)?.hits.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Synonyms {
    /// Rules by what is typed: its stems with a blank between them.
    by_typed: BTreeMap<String, SmallVec<[u32; 1]>>,
    /// Words of the longest of these.
    longest: usize,
    /// What each rule finds, distinct, in its order.
    found: Vec<Vec<Way>>,
}

/// A way to say something: its words as the dictionary has them. Words of a query share it.
pub(crate) type Way = Arc<Phrase>;

/// Why rules were refused. Whoever wrote them can act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SynonymError {
    /// A rule that says nothing on one of its sides.
    #[error("a rule for nothing, or one that finds nothing; on its other side it has {other:?}")]
    EmptySide {
        /// The first text of its other side, if that has any.
        other: String,
    },
    /// A way to say something without a letter or digit.
    #[error("no word in {text:?}")]
    NoWord {
        /// The text.
        text: String,
    },
    /// More words than [`SYNONYM_WORDS_MAX`] in one way to say something.
    #[error("{len} words in {text:?}, at most {SYNONYM_WORDS_MAX} are taken")]
    TooManyWords {
        /// The text.
        text: String,
        /// Words found.
        len: usize,
    },
    /// More pairs of characters than [`SYNONYM_PAIRS_MAX`] in one way to say something, of a script without spaces.
    #[error("{len} pairs of characters in {text:?}, at most {SYNONYM_PAIRS_MAX} are taken")]
    TooManyPairs {
        /// The text.
        text: String,
        /// Pairs found, and other words.
        len: usize,
    },
    /// A text over [`QUERY_BYTES_MAX`]: nobody could type it.
    #[error("a synonym of {len} bytes, at most {QUERY_BYTES_MAX} are taken")]
    TooLong {
        /// Bytes found.
        len: usize,
    },
    /// More than [`SYNONYM_WAYS_MAX`] on one side of a rule.
    #[error("{len} ways to say {text:?} in one rule, at most {SYNONYM_WAYS_MAX} are taken")]
    TooManyWays {
        /// The first of them.
        text: String,
        /// Found.
        len: usize,
    },
    /// More rules than [`SYNONYMS_MAX`].
    #[error("over {SYNONYMS_MAX} rules of synonyms")]
    TooManyRules,
}

impl Synonyms {
    /// [`Synonyms::in_language`], in English.
    ///
    /// # Errors
    /// The first bound that is passed; nothing is made of the others then.
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a Synonym>) -> Result<Self, SynonymError> {
        Self::in_language(Language::English, rules)
    }

    /// Makes rules ready for indexes in a language. O(text · log ways).
    ///
    /// # Errors
    /// The first bound that is passed; nothing is made of the others then.
    pub fn in_language<'a>(language: Language, rules: impl IntoIterator<Item = &'a Synonym>) -> Result<Self, SynonymError> {
        let analyzer = Analyzer::new(language);
        let mut made = Self::default();
        for Synonym { typed, found } in rules {
            let number = made.found.len();
            if number == SYNONYMS_MAX {
                return Err(SynonymError::TooManyRules);
            }
            check_side(typed, found)?;
            check_side(found, typed)?;
            for text in typed {
                let _ = words(&analyzer, text)?;
                let name = analyzer.name(text);
                made.longest = made.longest.max(name.split(' ').count());
                let rules = made.by_typed.entry(name).or_default();
                if rules.last() != Some(&(number as u32)) {
                    rules.push(number as u32);
                }
            }
            let mut ways: Vec<Way> = Vec::with_capacity(found.len());
            for text in found {
                let way = Arc::new(words(&analyzer, text)?);
                if !ways.contains(&way) {
                    ways.push(way);
                }
            }
            made.found.push(ways);
        }
        Ok(made)
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Words that anything typed has at most.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// What is found for words with these stems, which have a blank between them; a way may come twice, of two rules.
    pub(crate) fn found(&self, typed: &str) -> impl Iterator<Item = &Way> {
        self.by_typed.get(typed).into_iter().flatten().flat_map(|rule| &self.found[*rule as usize])
    }
}

fn check_side(side: &[String], other: &[String]) -> Result<(), SynonymError> {
    match side {
        [] => Err(SynonymError::EmptySide { other: other.first().cloned().unwrap_or_default() }),
        [text, ..] if side.len() > SYNONYM_WAYS_MAX => Err(SynonymError::TooManyWays { text: text.clone(), len: side.len() }),
        _ => Ok(()),
    }
}

/// The words of one way to say something.
fn words(analyzer: &Analyzer, text: &str) -> Result<Phrase, SynonymError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(SynonymError::TooLong { len: text.len() });
    }
    let (words, text) = (analyzer.phrase(text), text.to_owned());
    match (analyzer.words_in(&text), words.len()) {
        (0, _) => Err(SynonymError::NoWord { text }),
        (len, _) if len > SYNONYM_WORDS_MAX => Err(SynonymError::TooManyWords { text, len }),
        (_, len) if len > SYNONYM_PAIRS_MAX => Err(SynonymError::TooManyPairs { text, len }),
        _ => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(typed: &[&str], found: &[&str]) -> Synonym {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Synonym { typed: texts(typed), found: texts(found) }
    }

    #[test] // Rules as what is typed and found; then the stems of something typed, and what it finds.
    fn rules_are_found_by_stems() {
        let rules = [
            rule(&["USB Sticks", "the thumb drive"], &["flash drive", "Flash Drives", "drive for the USB"]),
            rule(&["Café"], &["bistro"]),
            rule(&["usb stick", "usb sticks"], &["pendrive"]),
        ];
        let synonyms = Synonyms::new(&rules).expect("within bounds");
        for (typed, found) in [
            ("usb stick", "flash drive, drive for the usb, pendriv"),
            ("thumb drive", "flash drive, drive for the usb"),
            ("cafe", "bistro"),
            ("usb", ""),
            ("flash drive", ""),
        ] {
            let ways: Vec<String> = synonyms.found(typed).map(|way| way.join(" ")).collect();
            assert_eq!(ways.join(", "), found, "{typed}");
        }
        assert!(!synonyms.is_empty());
        assert_eq!(Synonyms::new(&[]), Ok(Synonyms::default()));
        assert!(Synonyms::default().is_empty());
    }

    #[test]
    fn what_is_over_a_bound_is_refused() {
        let refused = |rule: Synonym| Synonyms::new(&[rule]).expect_err("over a bound");
        assert_eq!(refused(rule(&["lamp"], &[])), SynonymError::EmptySide { other: "lamp".into() });
        assert_eq!(refused(rule(&[], &[])), SynonymError::EmptySide { other: String::new() });
        for (typed, found) in [("lamp", "-"), ("…", "lamp")] {
            assert!(matches!(refused(rule(&[typed], &[found])), SynonymError::NoWord { text } if text != "lamp"));
        }
        let long = ["a b c d e"; 1];
        assert_eq!(refused(rule(&["lamp"], &long)), SynonymError::TooManyWords { text: "a b c d e".into(), len: 5 });
        assert_eq!(refused(rule(&long, &["lamp"])), SynonymError::TooManyWords { text: "a b c d e".into(), len: 5 });
        assert!(Synonyms::new(&[rule(&["a b c d"], &["e f g h"])]).is_ok());
        assert_eq!(refused(rule(&[&"a".repeat(QUERY_BYTES_MAX + 1)], &["b"])), SynonymError::TooLong { len: QUERY_BYTES_MAX + 1 });
        let many = vec!["a"; SYNONYM_WAYS_MAX + 1];
        assert!(Synonyms::new(&[rule(&many[1..], &many[1..])]).is_ok());
        let error = SynonymError::TooManyWays { text: "a".into(), len: SYNONYM_WAYS_MAX + 1 };
        assert_eq!((refused(rule(&many, &["b"])), refused(rule(&["b"], &many))), (error.clone(), error));
        let lamp = rule(&["lamp"], &["lantern"]);
        assert!(Synonyms::new(std::iter::repeat_n(&lamp, SYNONYMS_MAX)).is_ok());
        assert_eq!(Synonyms::new(std::iter::repeat_n(&lamp, SYNONYMS_MAX + 1)), Err(SynonymError::TooManyRules));
    }
}
