//! From text to terms, the same way for documents and queries.
//!
//! Path: text → `fold` (compatibility forms, case, diacritics, apostrophes) → `tokens` (Unicode words, model numbers in one piece, every two neighbours of
//! what is written without spaces: `cjk`) → `stem` (of the index's `language`) → terms. Documents also get the other spellings of what mixes letters and
//! digits, so that `tn2110` and `TN-2110` find each other, and numbers with units in the one way that `measures` has for each, which is what a query looks for: `8 GB` and
//! `8gb`, `1.5 litres` and `1500ml`. Queries keep to one spelling and fall back to its pieces.

pub(crate) mod cjk;
mod fold;
mod language;
mod measures;
mod rules;
mod tokens;

use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use self::language::Stems;
pub use self::language::{Language, UnknownLanguage};
use self::measures::{Measure, Reading};
pub(crate) use self::rules::Rules;
use self::tokens::{Token, ends_phrase, is_last_of_run, pieces, thinned, tokens};
pub(crate) use self::tokens::{last_word, words};
use crate::query::TERMS_MAX;

/// Of everything between a text and its terms with their impacts, the weights of fields included. Raised with every change that gives any text
/// others, so that what was saved under the old rules is not mixed with what is made under the new.
pub(crate) const ANALYSIS_VERSION: u32 = 6;

/// Bytes of a token after folding; the rest of a longer one is cut off, on both sides alike.
pub(crate) const TOKEN_BYTES_MAX: usize = 64;

/// Characters from which on an unfinished word stands for all that begin with it: a single one begins too many.
pub(crate) const PREFIX_CHARS_MIN: usize = 2;

/// A word or number of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryTerm {
    /// As in the dictionary.
    pub(crate) term: String,
    /// The word as it stands, folded.
    pub(crate) form: String,
    /// What to look for, both of them, when the dictionary does not have the term.
    pub(crate) pieces: Option<[String; 2]>,
    /// Whether the word may yet go on.
    pub(crate) goes_on: bool,
}

/// What a query's text comes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueryTerms {
    /// Distinct, in order.
    pub(crate) terms: Vec<QueryTerm>,
    /// Distinct stop words that are not among them.
    pub(crate) left_out: Vec<&'static str>,
    /// The place of the one that says what is looked for: the last one before what it is for.
    pub(crate) about: usize,
}

/// Which part a term plays in the text it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A word of the text: counts towards the text's length.
    Word {
        /// Whether its phrase ends with it: what comes then begins behind a comma, a bracket or the like.
        ends: bool,
    },
    /// Another spelling of such words.
    Spelling,
}

impl Role {
    pub(crate) fn is_word(self) -> bool {
        matches!(self, Self::Word { .. })
    }
}

/// A name as it is compared, in all languages alike.
pub(crate) fn fold_name(name: &str) -> String {
    fold::fold(name, Language::English)
}

/// Takes texts of one language apart.
pub(crate) struct Analyzer {
    stems: Stems,
    rules: &'static Rules,
}

impl Default for Analyzer {
    fn default() -> Self {
        Self::new(Language::default())
    }
}

impl Analyzer {
    /// O(1).
    pub(crate) fn new(language: Language) -> Self {
        Self { stems: Stems::new(language), rules: language.rules() }
    }

    pub(crate) fn language(&self) -> Language {
        self.stems.language()
    }

    /// The text as it is compared.
    pub(crate) fn fold(&self, text: &str) -> String {
        fold::fold(text, self.language())
    }

    /// The dictionary's form of a token: stemmed when it is a word of the language.
    pub(crate) fn stem<'a>(&self, token: &'a str) -> Cow<'a, str> {
        self.stems.of(token)
    }

    /// A word that says little, as rules have it.
    fn stop(&self, word: &str) -> Option<&'static str> {
        let Rules { stops, elided, .. } = self.rules;
        stops.iter().chain(*elided).find(|stop| **stop == word).copied()
    }

    /// Words of a text as it is shown, each with its place; what is cut off before a vowel is a word of its own.
    pub(crate) fn shown_words<'a>(&self, text: &'a str) -> Vec<(usize, &'a str)> {
        let words = text.unicode_word_indices();
        if self.rules.elided.is_empty() {
            return words.collect();
        }
        let mut found = Vec::new();
        for (at, word) in words {
            let cut = word.find(['\'', '’']).filter(|cut| self.rules.elided.contains(&&*(word[..*cut].to_lowercase() + "'")));
            match cut.map(|cut| word.ceil_char_boundary(cut + 1)) {
                Some(cut) => found.extend([(at, &word[..cut]), (at + cut, &word[cut..])]),
                None => found.push((at, word)),
            }
        }
        found
    }

    /// The terms of words that say little, ascending. O(these words).
    pub(crate) fn stop_terms(&self) -> Vec<String> {
        let mut terms: Vec<String> = self.rules.stops.iter().chain(self.rules.elided).map(|stop| self.stem(stop).into_owned()).collect();
        terms.sort_unstable();
        terms
    }

    /// Every unstemmed token under which a document with this folded text can be found.
    pub(crate) fn document_tokens(folded: &str, mut emit: impl FnMut(&str, Role)) {
        let found = tokens(folded);
        let (mut glued, mut begun) = (String::new(), None);
        for (at, token) in found.iter().enumerate() {
            let text = &folded[token.range.clone()];
            let next = found.get(at + 1);
            emit(text, Role::Word { ends: ends_phrase(folded, token, next) });
            if let Some(second) = token.second {
                emit(&folded[token.range.start..second], Role::Spelling);
                if is_last_of_run(token, next) {
                    emit(&folded[second..token.range.end], Role::Spelling);
                }
            }
            if text.ends_with('\'')
                && let Some(next) = next.filter(|next| next.range.start == token.range.end)
            {
                glued.clear();
                glued.push_str(text.trim_end_matches('\''));
                glued.push_str(&folded[next.range.clone()]);
                if glued.len() <= TOKEN_BYTES_MAX {
                    emit(&glued, Role::Spelling);
                }
            }
            if let Some((left, right)) = pieces(text) {
                emit(left, Role::Spelling);
                emit(right, Role::Spelling);
            }
            let next_joined = next.is_some_and(|next| next.joined);
            if token.joined && !next_joined {
                let mut from = at;
                while found[from].joined {
                    from -= 1;
                }
                glued.clear();
                found[from..=at].iter().for_each(|piece| glued.push_str(&folded[piece.range.clone()]));
                if glued.len() <= TOKEN_BYTES_MAX && glued.bytes().any(|b| b.is_ascii_digit()) {
                    emit(&glued, Role::Spelling);
                }
            }
            // A measure whose unit stands by itself comes behind both.
            if let Some((from, measure)) = begun.take() {
                Self::measure_tokens(folded, &found, from, &measure, &mut emit);
            }
            match Measure::at(folded, &found, at, Reading::Document) {
                Some(measure) if measure.tokens > 1 => begun = Some((at, measure)),
                Some(measure) => Self::measure_tokens(folded, &found, at, &measure, &mut emit),
                None => {}
            }
        }
    }

    /// A measure's further spellings: as it stands without a space, and in the one way; and those of numbers that share its unit.
    fn measure_tokens(folded: &str, tokens: &[Token], from: usize, measure: &Measure<'_>, emit: &mut impl FnMut(&str, Role)) {
        let Measure { number, unit, is_sign, said, tokens: len } = measure;
        let glued = [*number, *unit].concat();
        // What is joined by signs is a spelling already.
        let joined = |at: usize| tokens.get(at).is_some_and(|token| token.joined);
        let is_known = *len == 1 || (joined(from + 1) && !joined(from) && !joined(from + 2));
        if !is_known && glued.len() <= TOKEN_BYTES_MAX {
            emit(&glued, Role::Spelling);
        }
        if *len == 1 && !is_sign && pieces(&glued).is_none() {
            emit(number, Role::Spelling);
            emit(unit, Role::Spelling);
        }
        if *said != glued || *is_sign {
            emit(said, Role::Spelling);
        }
        measure.sharing(folded, tokens, from, |said| emit(said, Role::Spelling));
    }

    /// What all of a text is, if it is a number with a unit, in the one way.
    pub(crate) fn measure(folded: &str) -> Option<String> {
        let found = tokens(folded);
        let measure = found.first().and_then(|_| Measure::at(folded, &found, 0, Reading::Document))?;
        (measure.tokens == found.len()).then_some(measure.said)
    }

    /// Where the words of folded text are under which a document with it can be found, single characters of runs among them, and no other spellings.
    pub(crate) fn document_places(folded: &str, mut found: impl FnMut(Range<usize>)) {
        for Token { range, second, .. } in tokens(folded) {
            if let Some(second) = second {
                found(range.start..second);
                found(second..range.end);
            }
            found(range);
        }
    }

    /// The terms of words that stand side by side, stop words among them; of a number with a unit alone the one way to say it.
    pub(crate) fn phrase(&self, text: &str) -> Vec<String> {
        let folded = self.fold(text);
        if let Some(measure) = Self::measure(&folded) {
            return vec![measure];
        }
        tokens(&folded).into_iter().map(|token| self.stem(&folded[token.range]).into_owned()).collect()
    }

    /// The term of all words of a text together, where documents that spell them as one are found by that too: `tn2110` of `TN-2110`.
    pub(crate) fn spelling_of_all(&self, text: &str) -> Option<String> {
        let (mut all, mut spelling) = (String::new(), None);
        Self::document_tokens(&self.fold(text), |token, role| match role {
            Role::Word { .. } => all.push_str(token),
            Role::Spelling => spelling = Some(token.to_owned()),
        });
        spelling.filter(|spelling| *spelling == all).map(|spelling| self.stem(&spelling).into_owned())
    }

    /// How many words a text has, a run of a script without spaces being one.
    pub(crate) fn words_in(&self, text: &str) -> usize {
        let folded = self.fold(text);
        let mut end = 0;
        tokens(&folded).iter().filter(|token| std::mem::replace(&mut end, token.range.end) <= token.range.start).count()
    }

    /// The stems of a name, one behind the other, stop words left out when there is anything else: what a query is held against that may say it.
    pub(crate) fn name(&self, text: &str) -> String {
        let terms = self.query_terms(text, false);
        terms.iter().map(|term| &*term.term).collect::<Vec<_>>().join(" ")
    }

    /// The distinct terms of a query, in order, stop words left out when there is anything else.
    ///
    /// With `unfinished`, a last word at the very end of the text may go on: it is no stop word yet, and words that begin with it are looked for too,
    /// from [`PREFIX_CHARS_MIN`] characters on.
    pub(crate) fn query_terms(&self, text: &str, unfinished: bool) -> Vec<QueryTerm> {
        self.query(text, unfinished).terms
    }

    /// As [`Analyzer::query_terms`], and the stop words that were left out, [`TERMS_MAX`] at most.
    pub(crate) fn query(&self, text: &str, unfinished: bool) -> QueryTerms {
        let folded = self.fold(text);
        let tokens = tokens(&folded);
        let found = self.terms_of(&folded, &tokens, unfinished);
        if found.terms.len() <= TERMS_MAX || tokens.iter().all(|token| token.second.is_none()) {
            return found;
        }
        // A sentence without spaces has as many terms as characters; half of them say the same.
        self.terms_of(&folded, &thinned(tokens), unfinished)
    }

    fn terms_of(&self, folded: &str, tokens: &[Token], unfinished: bool) -> QueryTerms {
        let last = if unfinished { last_word(folded) } else { folded.len() };
        let is_last = |token: &Token| token.range.start == last;
        let stops = |token: &Token| if is_last(token) { None } else { self.stop(&folded[token.range.clone()]) };
        let only_stop_words = tokens.iter().all(|token| stops(token).is_some());
        let mut terms: Vec<QueryTerm> = Vec::with_capacity(tokens.len());
        let mut left_out: Vec<&'static str> = Vec::new();
        let mut about = None;
        let reading = if unfinished { Reading::Unfinished } else { Reading::Query };
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if let Some(measure) = Measure::at(folded, tokens, at, reading) {
                at += measure.tokens;
                if terms.iter().all(|known| known.term != measure.said) {
                    let goes_on = is_last(&tokens[at - 1]);
                    terms.push(self.measured(measure, goes_on));
                }
                continue;
            }
            at += 1;
            let word = &folded[token.range.clone()];
            if let Some(stop) = stops(token).filter(|_| !only_stop_words) {
                left_out.push(stop);
                if about.is_none() && self.rules.before_others.contains(&word) {
                    about = terms.len().checked_sub(1);
                }
                continue;
            }
            let term = self.stem(word).into_owned();
            if terms.iter().all(|known| known.term != term) {
                let pieces = pieces(word).map(|(left, right)| [self.stem(left).into_owned(), self.stem(right).into_owned()]);
                let goes_on = is_last(token) && word.chars().nth(PREFIX_CHARS_MIN - 1).is_some() && !cjk::is_of_run(word);
                terms.push(QueryTerm { term, form: word.to_owned(), pieces, goes_on });
            }
        }
        left_out.sort_unstable();
        left_out.dedup();
        left_out.truncate(TERMS_MAX);
        let about = about.unwrap_or(terms.len().saturating_sub(1));
        QueryTerms { terms, left_out, about }
    }

    /// A number with a unit, to be looked for in the one way it is said; where nobody has that, the number and the word behind it.
    fn measured(&self, measure: Measure<'_>, goes_on: bool) -> QueryTerm {
        let Measure { number, unit, is_sign, said, .. } = measure;
        // A sign is nothing to look for.
        let (form, word) =
            if is_sign { (number.to_owned(), number.to_owned()) } else { ([number, unit].concat(), self.stem(unit).into_owned()) };
        QueryTerm { term: said, form, pieces: Some([number.to_owned(), word]), goes_on }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> String {
        let analyzer = Analyzer::default();
        let mut terms = Vec::new();
        Analyzer::document_tokens(&Analyzer::default().fold(text), |token, role| {
            let mark = if role.is_word() { "" } else { "+" };
            terms.push(format!("{mark}{}", analyzer.stem(token)));
        });
        terms.join(" ")
    }

    #[test] // Text, then its words; `|` where a phrase ends.
    fn phrases_end() {
        for (text, words) in [
            ("Sony camera, black (new)", "sony camera| black| new|"),
            ("cover for f/ iPhone - silicone", "cover for f| iphone| silicone|"),
            ("wi-fi e-book reader", "wi fi e book reader|"),
            ("1,000 sheets; 15.6\" screen", "1000 sheets| 15.6| screen|"),
            ("", ""),
        ] {
            let mut found = Vec::new();
            Analyzer::document_tokens(&Analyzer::default().fold(text), |token, role| match role {
                Role::Word { ends } => found.push(token.to_owned() + if ends { "|" } else { "" }),
                Role::Spelling => {}
            });
            assert_eq!(found.join(" "), words, "{text}");
        }
    }

    #[test] // Query, and the word that says what is looked for.
    fn what_a_query_is_about() {
        for (text, about) in
            [("laptop bag", "bag"), ("kurtas for men", "kurta"), ("for men", "men"), ("bag with wheels for laptops", "bag"), ("ink", "ink")]
        {
            let QueryTerms { terms, about: place, .. } = Analyzer::default().query(text, false);
            assert_eq!(terms[place].term, about, "{text}");
        }
    }

    fn query(text: &str) -> String {
        let terms = Analyzer::default().query_terms(text, false);
        terms.into_iter().map(|term| term.term).collect::<Vec<_>>().join(" ")
    }

    #[test] // Text, then the terms of a document; `+` marks further spellings.
    fn documents() {
        for (text, terms) in [
            ("HP 80 Original Cyan", "hp 80 origin cyan"),
            ("Ink Cartridges", "ink cartridg"),
            ("CB541A", "cb541a"),
            ("TN-2110", "tn 2110 +tn2110"),
            ("TN2110", "tn2110 +tn +2110"),
            ("8GB", "8gb +8 +gb"),
            ("8 GB RAM", "8 gb +8gb ram"),
            ("8-GB RAM", "8 gb +8gb ram"),
            ("4/8 GB", "4 8 +48 gb +8gb +4gb"),
            ("4/8-GB", "4 8 gb +48gb +8gb +4gb"),
            ("1500 ml", "1500 ml +1500ml +1.5l"),
            ("1500ml", "1500ml +1500 +ml +1.5l"),
            ("1.5l", "1.5l +1.5 +l"),
            ("16 gigabytes", "16 gigabyt +16gigabytes +16gb"),
            ("15.6-inch", "15.6 inch +15.6inch +15.6in"),
            ("15.6\" screen", "15.6 +15.6in screen"),
            ("v2.0", "v2.0"),
            ("1,000 sheets, 2,5 mm", "1000 sheet 2.5 mm +2.5mm"),
            ("Men's don't O’Neill", "men dont oneil"),
            ("Café Müller Straße Ångström", "cafe muller strass angstrom"),
            ("ﬁre ①②", "fire 12"),
            ("wi-fi", "wi fi"),
            ("A4/A3", "a4 +a +4 a3 +a +3 +a4a3"),
            ("日本語 プリンター", "日本 +日 本語 +本 +語 プリ +プ リン +リ ンタ +ン ター +タ +ー"),
            ("Привет мир", "привет мир"),
            ("हिन्दी", "हिन्दी"),
            ("--- !!", ""),
            ("", ""),
            ("'", ""),
        ] {
            assert_eq!(document(text), terms, "{text}");
        }
    }

    #[test]
    fn queries() {
        for (text, terms) in [
            ("hp ink cartridge", "hp ink cartridg"),
            ("the case for a laptop", "case laptop"),
            ("the", "the"),
            ("for the", "for the"),
            ("printers printer", "printer"),
            ("brother tn-2110 toner", "brother tn 2110 toner"),
            ("1500 ml kettle of 8 GB", "1.5l kettl 8gb"),
            ("15,6\" laptop \"iphone 11\" case", "15.6in laptop iphon 11 case"),
            ("2 in 1 laptop in 15 in", "2 1 laptop 15in"),
            ("1tb 1000 gb", "1tb"),
            ("  ?! ", ""),
        ] {
            assert_eq!(query(text), terms, "{text}");
        }
        let term = &Analyzer::default().query_terms("HP80", false)[0];
        assert_eq!(term.pieces, Some(["hp".into(), "80".into()]));
        for (text, form, pieces) in
            [("2000 grams", "2000grams", ["2000", "gram"]), ("15.6\" x", "15.6", ["15.6", "15.6"]), ("1.5l", "1.5l", ["1.5", "l"])]
        {
            let term = &Analyzer::default().query_terms(text, false)[0];
            assert_eq!((&*term.form, &term.pieces), (form, &Some(pieces.map(String::from))), "{text}");
        }
    }

    #[test] // Text, then its terms while it is being typed; `*` marks a word that may go on.
    fn unfinished_queries() {
        for (text, terms) in [
            ("ink cartrid", "ink cartrid*"),
            ("ink cartridges", "ink cartridg*"),
            ("ink ", "ink"),
            ("case for", "case for*"),
            ("case for ", "case"),
            ("for", "for*"),
            ("hp l", "hp l"),
            ("ink ink", "ink"),
            ("tn-21", "tn 21*"),
            ("ssd 500 g", "ssd 500g*"),
            ("ssd 500 g ", "ssd 500g"),
            ("tv 55 in", "tv 55 in*"),
            ("tv 55 in ", "tv 55in"),
            ("tv 55\"", "tv 55in"),
            ("", ""),
        ] {
            let found = Analyzer::default().query_terms(text, true);
            let found: Vec<String> = found.into_iter().map(|term| term.term + if term.goes_on { "*" } else { "" }).collect();
            assert_eq!(found.join(" "), terms, "{text}");
        }
    }

    #[test]
    fn long_tokens_are_cut_at_a_character() {
        let long = "é".repeat(40) + "ж";
        assert_eq!(query(&long).len(), 42);
        assert_eq!(query(&"ж".repeat(100)).len(), TOKEN_BYTES_MAX);
        assert_eq!(query(&"x".repeat(300)), "x".repeat(TOKEN_BYTES_MAX));
    }
}
