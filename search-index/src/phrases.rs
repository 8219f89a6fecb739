//! Rows in which words stand side by side: what is quoted, what a field must have, and synonyms of several words.
//!
//! Path: [`Operators`] → per part of the index the rows that have all words of a phrase, by the lists → of these the ones whose sheets have them in order, in one
//! field → a set for all conditions together, which is to the search what its filters are.
//! Stop words count here, and endings do not: a phrase is compared as the dictionary has its words. A phrase of one word is that word, or what is spelt otherwise
//! and found by it.
//! Cost: a sheet read for each row that has all words of a phrase, some 100 ns; nothing for queries without.

use smallvec::SmallVec;

use crate::analysis::Role;
use crate::bitset::Bitset;
use crate::forward::{NO_TERM, Tokens};
use crate::impact::Field;
use crate::index::Index;
use crate::operators::{Operators, Phrase};
use crate::postings::List;
use crate::segment::Segment;

impl Index {
    /// The rows in use that have what must stand and not what must not.
    pub(crate) fn rows_of(&self, operators: &Operators<'_>) -> Bitset {
        let mut rows = self.rows.live.clone();
        for phrase in &operators.required {
            rows.and(&self.rows_with(phrase));
        }
        for phrase in &operators.unwanted {
            rows.and_not(&self.rows_with(phrase));
        }
        for condition in &operators.conditions {
            let of_condition = self.rows_of_condition(condition);
            if condition.not { rows.and_not(&of_condition) } else { rows.and(&of_condition) }
        }
        rows
    }

    /// Rows that have the phrase, some of them perhaps not in use.
    fn rows_with(&self, phrase: &Phrase) -> Bitset {
        let mut rows = Bitset::default();
        for segment in &self.segments {
            in_segment(segment, phrase, None, |row, _| rows.insert(row));
        }
        self.head.with_phrase(phrase, None, |row, _| rows.insert(row));
        rows
    }
}

/// Calls `found` with each row in which the phrase stands, in that field if there is one, ascending, and the least of its words' impacts there; some rows are perhaps
/// not in use.
pub(crate) fn in_segment(segment: &Segment, phrase: &Phrase, field: Option<Field>, mut found: impl FnMut(u32, u8)) {
    let lists: Option<SmallVec<[(List<'_>, u32); 8]>> =
        phrase.iter().map(|term| Some((segment.postings(term.as_bytes())?.0, segment.term(term.as_bytes())?))).collect();
    let Some(lists) = lists else { return };
    let Some((shortest, (lead, _))) = lists.iter().enumerate().min_by_key(|(_, (list, _))| list.len()) else { return };
    if lists.len() == 1 && field.is_none() {
        return lead.iter().for_each(|(row, impact)| found(row, impact));
    }
    let terms: SmallVec<[u32; 8]> = lists.iter().map(|(_, term)| *term).collect();
    let forward = segment.forward();
    let mut at = 0;
    for (row, impact) in lead.iter() {
        let mut others = lists.iter().enumerate().filter(|(nth, _)| *nth != shortest).map(|(_, (list, _))| list.find(row));
        let Some(least) = others.try_fold(impact, |least, other| Some(least.min(other?))) else { continue };
        at += forward.rows()[at..].partition_point(|other| *other < row);
        if forward.rows().get(at) == Some(&row) && stands(forward.tokens(at), field, &terms, |form| segment.terms_of(form).term) {
            found(row, least);
        }
    }
}

/// The least impact of the phrase's words in the nth row of a segment, if it stands there.
pub(crate) fn in_row(segment: &Segment, phrase: &Phrase, nth: usize) -> Option<u8> {
    let row = segment.forward().rows()[nth];
    let impact = |term: &String| segment.postings(term.as_bytes())?.0.find(row);
    let least = phrase.iter().try_fold(u8::MAX, |least, term| Some(least.min(impact(term)?)))?;
    let terms: Option<SmallVec<[u32; 8]>> = phrase.iter().map(|term| segment.term(term.as_bytes())).collect();
    stands(segment.forward().tokens(nth), None, &terms?, |form| segment.terms_of(form).term).then_some(least)
}

/// Whether the terms, each with a number, come side by side in that field, or in any. A single one is in a field also as another spelling.
pub(crate) fn stands(tokens: Tokens<'_>, wanted: Option<Field>, terms: &[u32], term_of: impl Fn(u32) -> u32) -> bool {
    let tokens = tokens.filter(|token| wanted.is_none_or(|wanted| token.field == wanted));
    if let ([term], Some(_)) = (terms, wanted) {
        return tokens.into_iter().any(|token| term_of(token.form) == *term);
    }
    // The words before the one at hand, as far back as the phrase is long.
    let mut last: SmallVec<[u32; 8]> = SmallVec::from_elem(NO_TERM, terms.len());
    let mut field = None;
    for token in tokens {
        if token.role == Role::Spelling {
            continue;
        }
        if field != Some(token.field) {
            field = Some(token.field);
            last.fill(NO_TERM);
        }
        last.rotate_left(1);
        if let Some(newest) = last.last_mut() {
            *newest = term_of(token.form);
        }
        if last[..] == *terms {
            return true;
        }
    }
    false
}
