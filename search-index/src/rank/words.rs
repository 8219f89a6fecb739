//! What each word of a query stands for, seen by what the index has.
//!
//! Path: the terms of a query → a word that no document has becomes its pieces (`hp80`: `hp`, `80`) → two neighbours that documents write as one stand
//! for that too (`smart watch`: `smartwatch`) → a word that still nobody has stands for those a slip away; or becomes the two words it is run together
//! from (`ipadstand`: `ipad`, `stand`); or stands for those two slips away → what else they say by the query's synonyms ([`say`]) → [`Word`]s, in the order of
//! the query. A word that has synonyms is none that is looked for otherwise.
//! Bounds: [`TERMS_MAX`] words, [`UNKNOWN_MAX`] of them looked for otherwise than as they stand, and [`NEAR_MAX`] other words for one.

use std::ops::Range;

use crate::analysis::{Analyzer, QueryTerm, TOKEN_BYTES_MAX, cjk};
use crate::budget::{Meter, cost};
use crate::head::Head;
use crate::near::{Near, Slips, slips_of};
use crate::query::{Query, TERMS_MAX, Words};
use crate::refusal::QueryError;
use crate::segment::Segment;
use crate::synonyms::Way;

use super::groups::Likeness;
use super::spelling::Spelling;
use super::ways::{say, ways};

/// Words of a query that nobody has and that are looked for otherwise, each by walks over the dictionary; further ones find nothing.
pub(crate) const UNKNOWN_MAX: usize = 4;
/// Other words that one may stand for; of more, those that most documents have.
const NEAR_MAX: usize = 32;
/// Characters of each half of a word that is run together from two.
const HALF_CHARS_MIN: usize = 3;

/// A word to look for.
pub(crate) struct Word {
    pub(crate) term: String,
    /// As it was typed, folded.
    pub(crate) form: String,
    /// Whether it is still being typed.
    pub(crate) goes_on: bool,
    /// Terms that will do too.
    pub(crate) others: Vec<(String, Likeness)>,
    /// Where what was typed is no word: those that it may be.
    pub(super) meant: Vec<String>,
    /// Words that will do too where they stand side by side.
    pub(crate) phrases: Vec<Way>,
    /// Its place among the distinct words of the text.
    place: usize,
    /// That, and the places of words which it is also a part of.
    places: Words,
}

/// What a query's words come to in one index.
pub(crate) struct Understood {
    pub(crate) words: Vec<Word>,
    /// Those that it has as they stand.
    pub(crate) known: Words,
    /// Those that it has not and looks for otherwise.
    pub(crate) guessed: Words,
    /// Those that have synonyms, or make one with a neighbour: they are no slips, whether or not it has them.
    pub(crate) meant_so: Words,
    /// How those may be spelt right, where the query asks that.
    pub(crate) spellings: Vec<Spelling>,
}

/// What the index has, by word.
pub(crate) struct Known<'a> {
    pub(crate) analyzer: &'a Analyzer,
    pub(crate) segments: &'a [Segment],
    pub(crate) head: &'a Head,
    pub(crate) meter: &'a Meter,
}

impl Known<'_> {
    /// Documents that have the term.
    pub(crate) fn frequency(&self, term: &str) -> u64 {
        self.frequency_of(term.as_bytes())
    }

    /// As [`Known::frequency`].
    pub(crate) fn frequency_of(&self, term: &[u8]) -> u64 {
        let of_segments = self.segments.iter().filter_map(|segment| segment.postings(term));
        of_segments.map(|(_, live)| u64::from(live)).sum::<u64>() + self.head.postings(term).len() as u64
    }

    fn has(&self, term: &str) -> bool {
        self.segments.iter().any(|segment| segment.postings(term.as_bytes()).is_some()) || self.head.postings(term.as_bytes()).len() > 0
    }

    /// Whether any document has the term as it stands, or the word that it may yet become.
    pub(crate) fn has_term(&self, QueryTerm { term, form, goes_on, .. }: &QueryTerm) -> bool {
        let in_head = |form: &str| {
            self.meter.charge(self.head.term_count() as u64);
            !self.head.beginning(form).is_empty()
        };
        let begins = |form: &str| self.segments.iter().any(|segment| segment.begins_any(form, self.meter)) || in_head(form);
        self.has(term) || (*goes_on && begins(form))
    }

    /// Gives a word the terms of forms that are near it, by the fewest slips of any form, the most frequent ones.
    pub(super) fn near(&self, word: &mut Word, slips: Slips) {
        // The first letter is nearly always right, and a walk from it goes over a part of the dictionary only.
        self.near_by(Near::new(&word.form, slips, true, word.goes_on), word);
        if word.others.is_empty() && slips == Slips::One {
            self.near_by(Near::new(&word.form, slips, false, word.goes_on), word);
        }
    }

    fn near_by(&self, near: Near, word: &mut Word) {
        if !self.meter.may_go_on() {
            return;
        }
        let near = &near.within(self.meter.left() / cost::STEP);
        let forms = self.segments.iter().flat_map(|segment| segment.near_forms(near)).chain(self.head.near_forms(near));
        let mut forms: Vec<(String, Slips)> = forms.collect();
        self.meter.charge(forms.len() as u64 * 2 * cost::STEM);
        let mut terms: Vec<(String, Slips)> = forms.iter().map(|(form, slips)| (self.analyzer.stem(form).into_owned(), *slips)).collect();
        if terms.is_empty() {
            // What only its plural is written of.
            terms = self.segments.iter().flat_map(|segment| segment.near_terms(near)).chain(self.head.near_terms(near)).collect();
        }
        self.meter.charge(near.steps() * cost::STEP);
        if near.is_spent() {
            self.meter.cut();
        }
        terms.sort_unstable();
        terms.dedup_by(|next, first| next.0 == first.0);
        if terms.len() > NEAR_MAX {
            self.meter.charge(terms.len() as u64 * cost::TERM);
            terms.sort_by_cached_key(|(term, slips)| (*slips, std::cmp::Reverse(self.frequency(term))));
            terms.truncate(NEAR_MAX);
            terms.sort_unstable();
        }
        forms.retain(|(form, _)| terms.binary_search_by(|(term, _)| (**term).cmp(&*self.analyzer.stem(form))).is_ok());
        forms.sort_unstable();
        forms.dedup_by(|next, first| next.0 == first.0);
        word.meant = forms.into_iter().map(|(form, _)| form).collect();
        word.others = terms.into_iter().map(|(term, slips)| (term, Likeness::Slipped(slips))).collect();
    }

    /// The two words that one is run together from: those of which the rarer one is the most frequent. Of equals the first half is the shortest.
    fn halves(&self, form: &str) -> Option<[String; 2]> {
        if !form.chars().all(char::is_alphabetic) {
            return None;
        }
        self.meter.charge(form.len() as u64 * 2 * (cost::STEM + cost::TERM));
        let mut best: Option<(u64, [String; 2])> = None;
        for (at, _) in form.char_indices() {
            let (left, right) = form.split_at(at);
            if left.chars().count() < HALF_CHARS_MIN || right.chars().count() < HALF_CHARS_MIN {
                continue;
            }
            let terms = [self.analyzer.stem(left).into_owned(), self.analyzer.stem(right).into_owned()];
            let rarer = self.frequency(&terms[0]).min(self.frequency(&terms[1]));
            if rarer > best.as_ref().map_or(0, |(frequency, _)| *frequency) {
                best = Some((rarer, terms));
            }
        }
        best.map(|(_, terms)| terms)
    }

    /// The words of a query's terms; `query` says whether slips are looked for, which words are right though nobody here has them, and what else they say.
    ///
    /// # Errors
    /// [`QueryError::TooManyTerms`].
    pub(crate) fn understand(&self, terms: Vec<QueryTerm>, query: &Query) -> Result<Understood, QueryError> {
        few_enough(terms.len())?;
        self.meter.charge((terms.len() * (1 + self.segments.len())) as u64 * cost::TERM);
        let (mut known, mut guessed) = (Words::default(), Words::default());
        let names: Vec<&str> = terms.iter().map(|term| &*term.term).collect();
        let all_of = |stretch: Range<usize>| stretch.map(Words::one).fold(Words::default(), Words::or);
        let said: Vec<(Words, &Way)> = ways(&names, &query.synonyms).into_iter().map(|(stretch, way)| (all_of(stretch), way)).collect();
        let elsewhere = query.known_elsewhere();
        let right = said.iter().fold(elsewhere, |right, (places, _)| right.or(*places));
        let mut words: Vec<Word> = Vec::with_capacity(terms.len());
        for (place, term) in terms.into_iter().enumerate() {
            if self.has_term(&term) {
                known.insert(place);
            }
            let QueryTerm { term, form, pieces, goes_on } = term;
            let word = Word { form, goes_on, ..Word::of(term, place) };
            match pieces.filter(|_| !known.contains(place) && !elsewhere.contains(place)) {
                Some(pieces) => {
                    guessed.insert(place);
                    pieces.into_iter().for_each(|piece| add(&mut words, Word::of(piece, place)));
                }
                None => add(&mut words, word),
            }
        }
        self.join(&mut words);
        let joined = words.iter().filter(|word| !word.others.is_empty()).map(|word| Words::one(word.place));
        let meant_so = joined.fold(right, Words::or);
        let mut found = Vec::with_capacity(words.len());
        let (mut unknown, mut spellings) = (0, Vec::new());
        for mut word in words {
            let found_as_it_stands = known.or(guessed).or(right).contains(word.place);
            // Of two characters of a run none is a slip.
            let may_be_another = !found_as_it_stands && word.others.is_empty() && !cjk::is_of_run(&word.form);
            if may_be_another && unknown < UNKNOWN_MAX {
                unknown += 1;
                let halves = self.guess(&mut word, query.typos);
                if query.did_you_mean {
                    self.spellings(&word, halves.as_ref(), query.typos, &mut spellings);
                }
                if halves.is_some() || !word.others.is_empty() {
                    guessed.insert(word.place);
                }
                if let Some(halves) = halves {
                    halves.into_iter().for_each(|half| add(&mut found, Word::of(half, word.place)));
                    continue;
                }
            }
            add(&mut found, word);
        }
        few_enough(found.len())?;
        say(&mut found, &said, &query.synonyms);
        Ok(Understood { words: found, known, guessed, meant_so, spellings })
    }

    /// Gives a word that nobody has others to stand for; or answers the two words that it is run together from.
    fn guess(&self, word: &mut Word, typos: bool) -> Option<[String; 2]> {
        let slips = slips_of(&word.form).filter(|_| typos);
        if slips.is_some() {
            self.near(word, Slips::One);
        }
        if !word.others.is_empty() || !self.meter.may_go_on() {
            // What is farther away is for words that have nothing nearer, which nobody knows of this one.
            return None;
        }
        let halves = self.halves(&word.form);
        if halves.is_none() && slips == Some(Slips::Two) {
            self.near(word, Slips::Two);
        }
        halves
    }

    /// Neighbours that documents write as one word stand for that as well, both of them.
    fn join(&self, words: &mut [Word]) {
        for at in 1..words.len() {
            let joined = [&*words[at - 1].form, &*words[at].form].concat();
            if joined.len() > TOKEN_BYTES_MAX || !joined.chars().all(char::is_alphabetic) {
                continue;
            }
            let term = self.analyzer.stem(&joined);
            // A word with an ending, as `red` and `de` would be in Dutch, is that word alone.
            if words[at - 1..=at].iter().all(|word| word.term != term) && self.has(&term) {
                for word in &mut words[at - 1..=at] {
                    word.others.push((term.to_string(), Likeness::Same));
                }
            }
        }
    }
}

impl Word {
    /// Whether it is, or is a part of, the word at this place of the text.
    pub(crate) fn is_at(&self, place: usize) -> bool {
        self.place == place
    }

    /// Whether it stands for anything but its term.
    pub(super) fn has_alternatives(&self) -> bool {
        self.goes_on || !self.others.is_empty() || !self.phrases.is_empty()
    }

    /// Its stem, as the name of something has it.
    pub(crate) fn name(&self) -> &str {
        let mut slipped = self.others.iter().filter(|(_, likeness)| matches!(likeness, Likeness::Slipped(_)));
        match (slipped.next(), slipped.next()) {
            // Misspelt, and it can be one word only.
            (Some((other, _)), None) if !self.meant.is_empty() => other,
            _ => &self.term,
        }
    }

    /// What was typed or may be meant, as texts have it.
    pub(crate) fn exact(&self) -> impl Iterator<Item = &str> {
        self.meant.iter().map(String::as_str).chain(self.meant.is_empty().then_some(&*self.form))
    }

    /// Which of the distinct words of the text it stands for, or for a part of which.
    pub(crate) fn place(&self) -> u8 {
        self.place as u8
    }

    /// That one, and others which it is also a part of.
    pub(super) fn places(&self) -> Words {
        self.places
    }

    /// A part of the word at this place.
    pub(super) fn of(part: String, place: usize) -> Self {
        let places = Words::one(place);
        Self { term: part.clone(), form: part, goes_on: false, others: Vec::new(), meant: Vec::new(), phrases: Vec::new(), place, places }
    }
}

/// Adds a word, unless its term is there: that one stands for both then.
fn add(words: &mut Vec<Word>, word: Word) {
    match words.iter_mut().find(|known| known.term == word.term) {
        Some(known) => known.places = known.places.or(word.places),
        None => words.push(word),
    }
}

/// Whether a query has no more words than it may.
pub(crate) fn few_enough(len: usize) -> Result<(), QueryError> {
    if len > TERMS_MAX { Err(QueryError::TooManyTerms { len }) } else { Ok(()) }
}
