//! Rows in which words stand side by side: what is quoted, what a field must have, and synonyms of several words.
//!
//! Path: [`Operators`] → per part of the index the rows that have all words of a phrase, by the lists → of these the ones whose sheets have them in order, in one
//! field → a set for all conditions together, which is to the search what its filters are.
//! Stop words count here, and endings do not: a phrase is compared as the dictionary has its words. A phrase of one word is that word, or what is spelt otherwise
//! and found by it.
//! Cost: a sheet read for each row that has all words of a phrase, some 100 ns and more for long texts; nothing for queries without. A quotation is looked for in the rows
//! that have those before it. Where the budget is used up, rows that were not looked at are taken to have nothing of what must stand, and all of what must not.

use smallvec::SmallVec;

use crate::analysis::Role;
use crate::bitset::Bitset;
use crate::budget::{Meter, cost};
use crate::forward::{NO_TERM, Tokens};
use crate::impact::Field;
use crate::index::Index;
use crate::operators::{Operators, Phrase};
use crate::postings::List;
use crate::segment::Segment;

impl Index {
    /// The rows in use that have what must stand and not what must not.
    pub(crate) fn rows_of(&self, operators: &Operators<'_>, meter: &Meter) -> Bitset {
        let mut rows = self.rows.live.clone();
        for phrase in &operators.required {
            rows = self.rows_with(phrase, None, &rows, false, meter);
        }
        for phrase in &operators.unwanted {
            rows.and_not(&self.rows_with(phrase, None, &rows, true, meter));
        }
        for condition in &operators.conditions {
            let of_condition = self.rows_of_condition(condition, &rows, meter);
            if condition.not { rows.and_not(&of_condition) } else { rows.and(&of_condition) }
        }
        rows
    }

    /// Those of the rows that have the phrase, in that field if there is one; with `doubtful`, those too that may have it and were not all looked at.
    pub(crate) fn rows_with(&self, phrase: &Phrase, field: Option<Field>, among: &Bitset, doubtful: bool, meter: &Meter) -> Bitset {
        let mut rows = Bitset::default();
        let wanted = |row: u32| among.contains(row);
        for segment in &self.segments {
            let all = in_segment(segment, phrase, field, (meter, &wanted), |row, _| rows.insert(row));
            if !all && doubtful {
                rows.or(&may_have(segment, phrase));
            }
        }
        let all = self.head.with_phrase(phrase, field, (meter, &wanted), |row, _| rows.insert(row));
        if !all && doubtful {
            phrase.first().into_iter().flat_map(|term| self.head.postings(term.as_bytes())).for_each(|(row, _)| rows.insert(row));
        }
        rows
    }
}

/// Words of a phrase that rows are asked for where there is no time to look where the words stand.
const WORDS_OF_DOUBTFUL: usize = 4;

/// The rows that have the rarest words of a phrase, in whichever order. O(a bit a row).
fn may_have(segment: &Segment, phrase: &Phrase) -> Bitset {
    let mut lists = lists(segment, phrase).unwrap_or_default();
    lists.sort_by_key(|(list, _)| list.len());
    let sets = lists.iter().take(WORDS_OF_DOUBTFUL).map(|(list, _)| {
        let mut rows = Bitset::default();
        list.mark_in(&mut rows);
        rows
    });
    let both = |mut rows: Bitset, others: Bitset| {
        rows.and(&others);
        rows
    };
    sets.reduce(both).unwrap_or_default()
}

/// A phrase's words in a segment, each with its list and its number; `None` where one is not there.
type Found<'a> = SmallVec<[(List<'a>, u32); 8]>;

fn lists<'a>(segment: &'a Segment, phrase: &Phrase) -> Option<Found<'a>> {
    phrase.iter().map(|term| Some((segment.postings(term.as_bytes())?.0, segment.term(term.as_bytes())?))).collect()
}

fn shortest(lists: &Found<'_>) -> Option<usize> {
    (0..lists.len()).min_by_key(|nth| lists[*nth].0.len())
}

/// Calls `found` with each row of `among` in which the phrase stands, in that field if there is one, ascending, and the least of its words' impacts there; some rows are
/// perhaps not in use. Answers whether all were looked at.
pub(crate) fn in_segment(
    segment: &Segment,
    phrase: &Phrase,
    field: Option<Field>,
    (meter, among): (&Meter, &dyn Fn(u32) -> bool),
    mut found: impl FnMut(u32, u8),
) -> bool {
    let Some(lists) = lists(segment, phrase) else { return true };
    let Some(shortest) = shortest(&lists) else { return true };
    let lead = lists[shortest].0;
    let others = lists.iter().enumerate().filter(|(nth, _)| *nth != shortest).map(|(_, (list, _))| list);
    let others: SmallVec<[&List<'_>; 8]> = others.collect();
    let terms: SmallVec<[u32; 8]> = lists.iter().map(|(_, term)| *term).collect();
    let forward = segment.forward();
    let mut at = 0;
    for (row, impact) in lead.iter() {
        if !meter.may_spend(cost::COLUMN) {
            return false;
        }
        if !among(row) {
            continue;
        }
        meter.charge(others.len() as u64 * cost::FIND);
        let Some(least) = others.iter().try_fold(impact, |least, other| Some(least.min(other.find(row)?))) else { continue };
        if others.is_empty() && field.is_none() {
            found(row, least);
            continue;
        }
        at += forward.rows()[at..].partition_point(|other| *other < row);
        if forward.rows().get(at) != Some(&row) {
            continue;
        }
        meter.charge(cost::SHEET + forward.sheet(at).len() as u64 * cost::SHEET_BYTE);
        if stands(forward.tokens(at), field, &terms, |form| segment.terms_of(form).term) {
            found(row, least);
        }
    }
    true
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
