//! Which queries a rule is for.
//!
//! Path: what a shop writes → [`Pattern`]; a query's text → [`Typed`] → [`Pattern::matches`] → the caller puts what its rules come to into the [`Query`](crate::Query).
//! Where no rule is for the text as it stands and no index knows some of its words ([`unknown`](crate::unknown)), [`Pattern::matches_misspelt`] tells whether one
//! is for what these may be meant to be.
//!
//! Both sides are analysed as queries are: words by their stems, in any order, one that comes twice counted once, stop words not counted where there are others. What a
//! query forbids is not among its words, and what it quotes is.

use std::cell::OnceCell;

use crate::analysis::{Analyzer, Language, QueryTerm};
use crate::near::{Near, slips_of};
use crate::operators::{Operators, is_among};
use crate::query::{QUERY_BYTES_MAX, TERMS_MAX, Words};
use crate::rank::words::UNKNOWN_MAX;

/// Distinct words of a pattern. More is refused.
pub const PATTERN_WORDS_MAX: usize = 16;

/// How a pattern's words are those of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PatternKind {
    /// The query has these words and no others.
    Is,
    /// It has them among others.
    Contains,
}

/// Queries with certain words.
///
/// ```
/// use search_index::{Pattern, PatternKind, Typed};
/// let pattern = Pattern::new("garden chairs", PatternKind::Contains)?;
/// assert!(pattern.matches(&Typed::new("Chair for the garden, green")));
/// assert!(!pattern.matches(&Typed::new("garden table")));
/// # Ok::<(), search_index::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Distinct; stems and, for slips, the words as they stand.
    words: Vec<(String, String)>,
    kind: PatternKind,
}

/// Why a pattern was refused. Whoever wrote it can act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// No letter or digit: every query would be such a one, or none.
    #[error("no word in {text:?}")]
    NoWord {
        /// The text.
        text: String,
    },
    /// A text over [`QUERY_BYTES_MAX`]: no query is so long.
    #[error("a pattern of {len} bytes, at most {QUERY_BYTES_MAX} are taken")]
    TooLong {
        /// Bytes found.
        len: usize,
    },
    /// More distinct words than [`PATTERN_WORDS_MAX`].
    #[error("{len} words in {text:?}, at most {PATTERN_WORDS_MAX} are taken")]
    TooManyWords {
        /// The text.
        text: String,
        /// Words found.
        len: usize,
    },
}

/// A query's text as patterns see it, made once for all of them: the whole text of a query that is no longer being typed.
pub struct Typed {
    /// By their places in [`Words`].
    words: Vec<TypedWord>,
}

struct TypedWord {
    term: String,
    form: String,
    /// What is near the word as it stands, and near its stem; of words that may have slips. Made when it is first asked.
    near: OnceCell<Option<[Near; 2]>>,
}

/// Characters that a word and what it may be meant to be differ by at most: two slips, and an ending of either.
const LENGTHS_APART_MAX: usize = 5;

impl Typed {
    /// As [`Typed::in_language`], in English and where there are no attributes.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self::in_language(Language::English, text, &[])
    }

    /// O(text). A text that no index takes, for its length or for what it has too many of, is to patterns one without words. What it says of `fields`, as
    /// [`Query::fields`](crate::Query::fields) has them, are no words of it.
    #[must_use]
    pub fn in_language(language: Language, text: &str, fields: &[String]) -> Self {
        let analyzer = Analyzer::new(language);
        let terms = match Operators::of(text, &analyzer, &mut |name| is_among(name, fields)) {
            Ok(operators) if text.len() <= QUERY_BYTES_MAX => analyzer.query_terms(&operators.words, false),
            Ok(_) | Err(_) => Vec::new(),
        };
        if terms.len() > TERMS_MAX {
            return Self { words: Vec::new() };
        }
        let word = |QueryTerm { term, form, .. }: QueryTerm| TypedWord { term, form, near: OnceCell::new() };
        Self { words: terms.into_iter().map(word).collect() }
    }
}

impl TypedWord {
    fn is(&self, (term, _): &(String, String)) -> bool {
        self.term == *term
    }

    /// Whether it may be the word with a slip or two; by stems as well, so that number does not matter here either.
    fn may_be(&self, (term, form): &(String, String)) -> bool {
        if self.form.chars().count().abs_diff(form.chars().count()) > LENGTHS_APART_MAX {
            return false;
        }
        let near = || slips_of(&self.form).map(|slips| [&self.form, &self.term].map(|word| Near::new(word, slips, false, false)));
        self.near.get_or_init(near).as_ref().is_some_and(|[of_form, of_term]| of_form.of(form).is_some() || of_term.of(term).is_some())
    }
}

impl Pattern {
    /// [`Pattern::in_language`], in English.
    ///
    /// # Errors
    /// A text without a word, or over a bound.
    pub fn new(text: &str, kind: PatternKind) -> Result<Self, PatternError> {
        Self::in_language(Language::English, text, kind)
    }

    /// A pattern for queries typed in the same language. O(text).
    ///
    /// # Errors
    /// A text without a word, or over a bound.
    pub fn in_language(language: Language, text: &str, kind: PatternKind) -> Result<Self, PatternError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(PatternError::TooLong { len: text.len() });
        }
        let terms = Analyzer::new(language).query_terms(text, false);
        match terms.len() {
            0 => Err(PatternError::NoWord { text: text.to_owned() }),
            1..=PATTERN_WORDS_MAX => Ok(Self { words: terms.into_iter().map(|term| (term.term, term.form)).collect(), kind }),
            len => Err(PatternError::TooManyWords { text: text.to_owned(), len }),
        }
    }

    /// Whether the query is such a one, in any order of words, whatever their case, diacritics and number. O(words of the one · words of the other).
    #[must_use]
    pub fn matches(&self, typed: &Typed) -> bool {
        self.fits(typed.words.len()) && self.words.iter().all(|word| typed.words.iter().any(|typed| typed.is(word)))
    }

    /// As [`Pattern::matches`], where words at the first few places in `unknown` may be slips of the finger away from those of the pattern, as far as a search looks
    /// for them: four words, one slip from 4 letters on, two from 8. Each of the others is meant as it stands, and none stands for two of the pattern. O(words² of the pattern · words
    /// of the query) at worst.
    #[must_use]
    pub fn matches_misspelt(&self, typed: &Typed, unknown: Words) -> bool {
        if !self.fits(typed.words.len()) {
            return false;
        }
        let unknown = unknown.first_of(UNKNOWN_MAX);
        let may_be = |nth: usize, place: usize| {
            let (word, typed) = (&self.words[nth], &typed.words[place]);
            typed.is(word) || (unknown.contains(place) && typed.may_be(word))
        };
        let mut taken = vec![None; typed.words.len()];
        (0..self.words.len()).all(|nth| find_place(nth, &may_be, &mut taken, &mut Words::default()))
    }

    fn fits(&self, words: usize) -> bool {
        match self.kind {
            PatternKind::Is => self.words.len() == words,
            PatternKind::Contains => self.words.len() <= words,
        }
    }
}

/// Finds a place for a word of the pattern, of those that none has or that the one there can do without: augmenting paths (Kuhn 1955). `seen` are places that
/// were tried for it.
fn find_place(nth: usize, may_be: &dyn Fn(usize, usize) -> bool, taken: &mut [Option<usize>], seen: &mut Words) -> bool {
    for place in 0..taken.len() {
        if seen.contains(place) || !may_be(nth, place) {
            continue;
        }
        seen.insert(place);
        if taken[place].is_none_or(|other| find_place(other, may_be, taken, seen)) {
            taken[place] = Some(nth);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use std::sync::Arc;

    use crate::{DocKey, Document, Index, Query, Settings, Synonym, Synonyms, unknown};

    fn is(text: &str) -> Pattern {
        Pattern::new(text, PatternKind::Is).expect("within bounds")
    }

    fn contains(text: &str) -> Pattern {
        Pattern::new(text, PatternKind::Contains).expect("within bounds")
    }

    #[test] // Synonyms, titles, query: whether a word of it may be misspelt.
    fn what_is_meant_so_is_not_misspelt() {
        for (synonym, titles, query, wanted) in [
            (None, ["television"; 2], "telly", true),
            (Some("telly"), ["television"; 2], "telly", false),
            (None, ["smartwatch", "lamp"], "smart watch", false),
            (None, ["lamp", "lamp"], "smart watch", true),
        ] {
            let synonyms = synonym.map(|typed| Synonym { typed: vec![typed.to_owned()], found: vec!["television".to_owned()] });
            let synonyms = Arc::new(Synonyms::new(synonyms.iter()).expect("within bounds"));
            let query = Query { text: Some(query.into()), synonyms, ..Query::default() };
            // Each title on a shard of its own.
            let parts = titles.map(|title| {
                let document = Document { title: title.into(), ..Document::new(DocKey(1)) };
                Index::build(Settings::default(), [document]).expect("within bounds").search_part(&query, None).expect("within bounds")
            });
            assert_eq!(!unknown(&parts).is_empty(), wanted, "{query:?}");
        }
    }

    #[test]
    fn of_many_words_that_nobody_has_the_first_few_may_be_slips() {
        let typed = Typed::new("aaaa bbbb cccc dddd eeee");
        let unknown = Words::first(5);
        for (pattern, wanted) in [("aaab", true), ("dddc", true), ("eeed", false), ("eeee", true)] {
            assert_eq!(contains(pattern).matches_misspelt(&typed, unknown), wanted, "{pattern}");
        }
        assert!(contains("bbbc").matches_misspelt(&typed, unknown.without(Words::one(0))));
    }

    #[test] // Pattern, query, whether the query is it, whether it contains it.
    fn words_in_any_order_and_form() {
        for (pattern, query, same, within) in [
            ("garden chair", "garden chair", true, true),
            ("garden chair", "Chairs, GARDEN", true, true),
            ("garden chair", "a chair for the garden", true, true),
            ("the garden chair", "chair garden", true, true),
            ("garden chair", "garden chair green", false, true),
            ("garden chair", "garden chair garden", true, true),
            ("garden garden", "garden", true, true),
            ("garden chair", "garden", false, false),
            ("garden chair", "", false, false),
            ("garden chair", "garden -chair", false, false),
            ("garden", "garden -chair", true, true),
            ("garden chair", "\"garden chair\" -green", true, true),
            ("cafe", "Cafés", true, true),
            ("tn-2110", "TN 2110", true, true),
            ("garden", "gardem", false, false),
            ("the", "the", true, true),
            ("the", "the garden", false, false),
        ] {
            let typed = Typed::new(query);
            assert_eq!((is(pattern).matches(&typed), contains(pattern).matches(&typed)), (same, within), "{pattern} / {query}");
        }
    }

    #[test] // Pattern, query, the places that no index knows, whether the query may be meant to be it.
    fn unknown_words_may_be_slips_away() {
        for (pattern, query, unknown, wanted) in [
            ("garden", "gardne", &[0][..], true),
            ("garden", "gardne", &[], false), // it is a word
            ("garden", "gadrne", &[0], false),
            ("headphones", "haedphnoes", &[0], true), // two in a long one
            ("garden", "graedns", &[0], false),
            ("lamps", "lapm", &[0], true), // number does not matter
            ("lamp", "lapms", &[0], true),
            ("fan", "fna", &[0], false), // short words have too many neighbours
            ("tn2110", "tn2111", &[0], false),
            ("garden chair", "chiar for the gardne", &[0, 1], true),
            ("garden chair", "chiar for the gardne", &[0], false),
            ("garden chair", "chair gardne", &[1], true),
            ("garden chair", "chair gardne", &[0], false),
            ("garden", "garden", &[0], true),
            // One word is not two.
            ("lamp lamb", "lamq", &[0], false),
            ("lamp lamb", "lamq lamx", &[0, 1], true),
            ("lamp lamb", "lamq lamp", &[0], true),
            ("lamb lamp", "lamp lamq", &[1], true),
        ] {
            let mut words = Words::default();
            unknown.iter().for_each(|place| words.insert(*place));
            assert_eq!(is(pattern).matches_misspelt(&Typed::new(query), words), wanted, "{pattern} / {query}");
            assert_eq!(contains(pattern).matches_misspelt(&Typed::new(query), words), wanted, "{pattern} / {query}");
        }
        let one = Words::one(0);
        assert!(contains("garden").matches_misspelt(&Typed::new("gardne chair"), one));
        assert!(!is("garden").matches_misspelt(&Typed::new("gardne chair"), one));
    }

    #[test]
    fn what_is_over_a_bound_is_refused() {
        let refused = |text: &str| Pattern::new(text, PatternKind::Is).expect_err("over a bound");
        assert_eq!(refused("…"), PatternError::NoWord { text: "…".into() });
        assert_eq!(refused(&"a".repeat(QUERY_BYTES_MAX + 1)), PatternError::TooLong { len: QUERY_BYTES_MAX + 1 });
        let words = |len: usize| (0..len).map(|nth| format!("w{nth}x ")).collect::<String>();
        assert!(Pattern::new(&words(PATTERN_WORDS_MAX), PatternKind::Is).is_ok());
        assert!(matches!(refused(&words(PATTERN_WORDS_MAX + 1)), PatternError::TooManyWords { len: 17, .. }));
        // What no index takes has no words.
        let garden = contains("garden");
        assert!(garden.matches(&Typed::new(&("garden ".to_owned() + &words(TERMS_MAX - 1)))));
        assert!(!garden.matches(&Typed::new(&("garden ".to_owned() + &words(TERMS_MAX)))));
        assert!(!garden.matches(&Typed::new(&("garden ".to_owned() + &"-x ".repeat(9)))));
        assert!(!garden.matches(&Typed::new(&("garden".to_owned() + &" ".repeat(QUERY_BYTES_MAX)))));
    }

    #[test]
    fn a_pattern_is_found_where_no_shard_knows_the_word() {
        let index = |titles: &[&str]| {
            let documents = titles.iter().zip(1..).map(|(title, key)| Document { title: (*title).into(), ..Document::new(DocKey(key)) });
            Index::build(Settings::default(), documents).expect("a few")
        };
        let shards = [index(&["Garden table"]), index(&["Green chair", "Gardner's guide"])];
        let unknown = |text: &str| {
            let query = Query { text: Some(text.into()), ..Query::default() };
            unknown(&shards.iter().map(|index| index.search_part(&query, None).expect("within bounds")).collect::<Vec<_>>())
        };
        let misspelt = |text: &str| is("garden chair").matches_misspelt(&Typed::new(text), unknown(text));
        assert!(misspelt("gradens chiar"));
        assert!(!misspelt("gardner chair"), "one shard has it: it is what is meant");
        assert!(is("sofa").matches_misspelt(&Typed::new("sofs"), unknown("sofs")), "no index has anything near it");
    }

    proptest! {
        #[test] // Texts of words that the index has (but for stop words) and words that it has not.
        fn places_are_those_of_a_search(
            words in prop::collection::vec("lamps?|desk|the|for|hp80|fana?|gredan|-desk|-xyzab|\"desk|lamp\"|lapm|qqqqqq|xy9", 0..8),
        ) {
            let text = words.join(" ");
            let document = Document { title: "lamps for the desk, fan".into(), ..Document::new(DocKey(1)) };
            let index = Index::build(Settings::default(), [document]).expect("one");
            let query = Query { text: Some(text.clone()), ..Query::default() };
            let part = index.search_part(&query, None).expect("within bounds");
            let (known, guessed) = (part.known, part.guessed);
            let unknown = unknown(&[part]);
            let typed = Typed::new(&text);
            for (place, word) in typed.words.iter().enumerate() {
                let has = ["lamp", "desk", "fan", "the", "for"].contains(&&*word.term);
                prop_assert_eq!((unknown.contains(place), known.contains(place)), (!has, has), "{} in {}", word.term, text);
            }
            prop_assert!((typed.words.len()..TERMS_MAX).all(|place| !unknown.contains(place) && !known.contains(place)));
            prop_assert!(guessed.without(unknown).is_empty());
        }
    }
}
