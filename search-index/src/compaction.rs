//! Joining segments in small steps, while searches go on over the old ones.
//!
//! Path: `choose` or `choose_at_rest` (which segments) → `Compaction::step` (terms and forms in byte order, then rows in order, a budget at a time) → `finish`
//! (the old segments are gone, and the index takes the new one). Rows that were removed before it began are left out and become free; rows
//! removed meanwhile are copied and counted out at the end, so that every list of the new segment agrees with the others.
//! While a large merge goes on smaller ones go before it, so that small segments do not pile up behind it: each posting is copied as often as without.

use fst::Streamer;
use fst::map::OpBuilder;
use smallvec::SmallVec;

use crate::bitset::Bitset;
use crate::forward::{NO_TERM, TermsOf};
use crate::segment::{Segment, SegmentBuilder, SegmentId};

/// Segments of one size class that are joined: more makes fewer, longer merges.
const FAN_IN: usize = 4;
/// Rows from which a segment is no longer joined with others; only rows that are gone make it be written again.
pub(crate) const SEGMENT_ROWS_MAX: usize = 1 << 20;
const _: () = assert!(SEGMENT_ROWS_MAX * 1024 <= u32::MAX as usize, "even at 1,024 terms a row the starts of lists fit in 32 bits");

/// At rest, segments this many times as large as all smaller ones together are joined with them, if not larger.
const REST_FACTOR: usize = 8;

/// Size classes.
const CLASSES: usize = SEGMENT_ROWS_MAX.ilog2() as usize / 2 + 1;

/// Factors of four.
fn class(segment: &Segment) -> usize {
    segment.len().clamp(1, SEGMENT_ROWS_MAX).ilog2() as usize / 2
}

/// Merges under way, and those that could be. O(segments · merges).
pub(crate) fn backlog(segments: &[Segment], under_way: &[Compaction]) -> usize {
    let mut waiting = [0; CLASSES];
    let is_taken = |segment: &&Segment| under_way.iter().any(|compaction| compaction.has(segment.id));
    segments
        .iter()
        .filter(|segment| segment.len() < SEGMENT_ROWS_MAX && !is_taken(segment))
        .for_each(|segment| waiting[class(segment)] += 1);
    waiting.iter().map(|segments| segments / FAN_IN).sum::<usize>() + under_way.len()
}

/// Which segments to join next, ascending, of those that none of the merges under way has; empty when none is worth it. O(segments · merges).
///
/// Half-dead ones first, then four of one size class: every row is copied once a class. What is begun while others are under way is smaller than
/// the smallest of these, which is the last.
pub(crate) fn choose(segments: &[Segment], under_way: &[Compaction]) -> Vec<usize> {
    let rows_max = under_way.last().map_or(usize::MAX, |last| last.rows - 1);
    let is_free = |segment: &Segment| segment.len() <= rows_max && !under_way.iter().any(|compaction| compaction.has(segment.id));
    if let Some(at) = segments.iter().position(|segment| 2 * segment.dead().len() > segment.len() && is_free(segment)) {
        return vec![at];
    }
    for wanted in 0..CLASSES {
        let mut same: Vec<usize> = Vec::new();
        let mut rows = 0;
        for (at, segment) in segments.iter().enumerate() {
            if class(segment) == wanted && rows + segment.len() <= SEGMENT_ROWS_MAX && same.len() < FAN_IN && is_free(segment) {
                same.push(at);
                rows += segment.len();
            }
        }
        if same.len() == FAN_IN && rows <= rows_max {
            return same;
        }
    }
    Vec::new()
}

/// Which segments to join when nothing is written: the smallest ones, as many as there are up to the largest that is at most [`REST_FACTOR`] times all below it
/// together; empty when none is. As far as [`SEGMENT_ROWS_MAX`] lets, each of those left is larger than that, so there are few: seven at most of a million rows. O(segments · log).
pub(crate) fn choose_at_rest(segments: &[Segment]) -> Vec<usize> {
    let mut by_size: Vec<usize> = (0..segments.len()).filter(|at| segments[*at].len() < SEGMENT_ROWS_MAX).collect();
    by_size.sort_unstable_by_key(|at| (segments[*at].len(), *at));
    let (mut smaller, mut chosen) = (0, 0);
    for (nth, at) in by_size.iter().enumerate() {
        let rows = segments[*at].len();
        if smaller + rows > SEGMENT_ROWS_MAX {
            break;
        }
        if nth > 0 && rows <= REST_FACTOR * smaller {
            chosen = nth + 1;
        }
        smaller += rows;
    }
    by_size.truncate(chosen);
    by_size.sort_unstable();
    by_size
}

const TAKEN: &str = "a segment that is being joined is taken out by nothing else";

struct Input {
    segment: SegmentId,
    /// Old number to new; [`NO_TERM`] for a term that has no row left.
    terms: Vec<u32>,
    /// Old number to new, of forms whose terms have rows.
    forms: Vec<u32>,
    next_row: usize,
}

enum Phase {
    Terms { last: Option<Vec<u8>> },
    Forms { last: Option<Vec<u8>> },
    Rows,
}

/// A merge under way.
pub(crate) struct Compaction {
    inputs: Vec<Input>,
    /// Of all inputs, dead ones too.
    rows: usize,
    /// Rows that go into the new segment: those live when it began.
    keep: Bitset,
    died: Vec<u32>,
    builder: SegmentBuilder,
    phase: Phase,
}

impl Compaction {
    pub(crate) fn new(chosen: &[usize], segments: &[Segment], live: &Bitset) -> Self {
        let input = |&segment: &usize| Input {
            segment: segments[segment].id,
            terms: vec![NO_TERM; segments[segment].term_count()],
            forms: vec![0; segments[segment].forms_end()],
            next_row: 0,
        };
        let inputs = chosen.iter().map(input).collect();
        let of_inputs = chosen.iter().map(|at| &segments[*at]);
        Self {
            inputs,
            rows: of_inputs.clone().map(Segment::len).sum(),
            keep: live.clone(),
            died: Vec::new(),
            builder: SegmentBuilder::with_room(of_inputs),
            phase: Phase::Terms { last: None },
        }
    }

    /// Whether the segment is one of those that are joined.
    fn has(&self, segment: SegmentId) -> bool {
        self.inputs.iter().any(|input| input.segment == segment)
    }

    /// Tells of a row removed while this goes on, if it may be in one of the inputs.
    pub(crate) fn row_died(&mut self, segment: SegmentId, row: u32) {
        if self.has(segment) {
            self.died.push(row);
        }
    }

    /// Does about `budget` postings' worth of work; `true` when everything is copied.
    pub(crate) fn step(&mut self, segments: &[Segment], budget: usize) -> bool {
        let of_input = |input: &Input| segments.iter().find(|segment| segment.id == input.segment).expect(TAKEN);
        let segments: SmallVec<[&Segment; FAN_IN]> = self.inputs.iter().map(of_input).collect();
        match &mut self.phase {
            Phase::Terms { last } => {
                let mut union = OpBuilder::new();
                for segment in &segments {
                    union.push(segment.terms_after(last.as_deref()));
                }
                let mut union = union.union();
                let (mut spent, mut joined) = (0, Vec::new());
                let mut reached = None;
                while let Some((term, places)) = union.next() {
                    joined.clear();
                    for place in places {
                        let found = segments[place.index].list(place.value as usize);
                        spent += found.len() + 4;
                        joined.extend(found.iter().filter(|(row, _)| self.keep.contains(*row)));
                    }
                    if !joined.is_empty() {
                        joined.sort_unstable(); // inputs hold different rows, but not ranges of rows
                        let number = self.builder.term(term, joined.iter().copied());
                        for place in places {
                            self.inputs[place.index].terms[place.value as usize] = number;
                        }
                    }
                    if spent >= budget {
                        reached = Some(term.to_vec());
                        break;
                    }
                }
                drop(union);
                self.phase = match reached {
                    Some(term) => Phase::Terms { last: Some(term) },
                    None => {
                        self.builder.number_forms_by_stems();
                        Phase::Forms { last: None }
                    }
                };
                false
            }
            Phase::Forms { last } => {
                let mut union = OpBuilder::new();
                for segment in &segments {
                    union.push(segment.forms_after(last.as_deref()));
                }
                let mut union = union.union();
                let mut spent = 0;
                let mut reached = None;
                while let Some((form, places)) = union.next() {
                    spent += 4 * places.len();
                    let mut new = TermsOf::NONE;
                    for place in places {
                        let input = &self.inputs[place.index];
                        let old = segments[place.index].terms_of(place.value as u32);
                        let number = |old: u32| input.terms.get(old as usize).copied().filter(|number| *number != NO_TERM);
                        new.term = number(old.term).unwrap_or(new.term);
                        new.title = number(old.title).unwrap_or(new.title);
                        new.head = number(old.head).unwrap_or(new.head);
                    }
                    if new.term != NO_TERM {
                        let number = self.builder.form_of_stem(form, new);
                        for place in places {
                            self.inputs[place.index].forms[place.value as usize] = number;
                        }
                    }
                    if spent >= budget {
                        reached = Some(form.to_vec());
                        break;
                    }
                }
                drop(union);
                self.phase = match reached {
                    Some(form) => Phase::Forms { last: Some(form) },
                    None => Phase::Rows,
                };
                false
            }
            Phase::Rows => {
                let mut spent = 0;
                while spent < budget {
                    let next = segments.iter().zip(&mut self.inputs).filter_map(|(segment, input)| {
                        let row = *segment.forward().rows().get(input.next_row)?;
                        Some((row, segment, input))
                    });
                    let Some((_, segment, input)) = next.min_by_key(|(row, ..)| *row) else { return true };
                    let forward = segment.forward();
                    let (sheet, found) = (forward.sheet(input.next_row), forward.rows()[input.next_row]);
                    input.next_row += 1;
                    spent += 1;
                    if self.keep.contains(found) {
                        let Input { forms, .. } = input;
                        self.builder.row(found, sheet, |form| forms[form as usize]);
                        spent += sheet.len() / 2;
                    }
                }
                false
            }
        }
    }

    /// Takes the old segments out and answers the new one, which may be empty, and the rows that became free.
    pub(crate) fn finish(self, segments: &mut Vec<Segment>) -> (Segment, Vec<u32>) {
        let mut new = self.builder.finish();
        let mut free = Vec::new();
        for input in &self.inputs {
            let at = segments.iter().position(|segment| segment.id == input.segment).expect(TAKEN);
            let old = segments.remove(at);
            free.extend(old.dead().iter().copied().filter(|row| !self.keep.contains(*row)));
        }
        for row in self.died {
            let known = new.remove(row);
            debug_assert!(known, "rows that died meanwhile were copied");
        }
        (new, free)
    }
}
