//! Joining segments in small steps, while searches go on over the old ones.
//!
//! Path: `choose` (which segments) → `Compaction::step` (terms and forms in byte order, then rows in order, a budget at a time) → `finish`
//! (the old segments are gone, and the index takes the new one). Rows that were removed before it began are left out and become free; rows
//! removed meanwhile are copied and counted out at the end, so that every list of the new segment agrees with the others.

use fst::Streamer;
use fst::map::OpBuilder;

use crate::bitset::Bitset;
use crate::forward::{NO_TERM, TermsOf};
use crate::segment::{Segment, SegmentBuilder};

/// Segments of one size class that are joined: more makes fewer, longer merges.
const FAN_IN: usize = 4;
/// Rows from which a segment is no longer joined with others; only rows that are gone make it be written again.
pub(crate) const SEGMENT_ROWS_MAX: usize = 1 << 20;
const _: () = assert!(SEGMENT_ROWS_MAX * 1024 <= u32::MAX as usize, "even at 1,024 terms a row the starts of lists fit in 32 bits");

/// Which segments to join next, ascending; empty when none is worth it. O(segments).
///
/// Half-dead ones first, then four of one size class (factors of four): every row is copied once a class.
pub(crate) fn choose(segments: &[Segment]) -> Vec<usize> {
    if let Some(at) = segments.iter().position(|segment| 2 * segment.dead().len() > segment.len()) {
        return vec![at];
    }
    let class = |segment: &Segment| segment.len().max(1).ilog2() / 2;
    for wanted in 0..=SEGMENT_ROWS_MAX.ilog2() / 2 {
        let mut same: Vec<usize> = Vec::new();
        let mut rows = 0;
        for (at, segment) in segments.iter().enumerate() {
            if class(segment) == wanted && rows + segment.len() <= SEGMENT_ROWS_MAX && same.len() < FAN_IN {
                same.push(at);
                rows += segment.len();
            }
        }
        if same.len() == FAN_IN {
            return same;
        }
    }
    Vec::new()
}

struct Input {
    /// Index into the segments; stable, since only this compaction takes segments out and new ones go to the end.
    segment: usize,
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
    /// Rows that go into the new segment: those live when it began.
    keep: Bitset,
    died: Vec<u32>,
    builder: SegmentBuilder,
    phase: Phase,
}

impl Compaction {
    pub(crate) fn new(chosen: &[usize], segments: &[Segment], live: &Bitset) -> Self {
        let input = |&segment: &usize| Input {
            segment,
            terms: vec![NO_TERM; segments[segment].term_count()],
            forms: vec![0; segments[segment].form_count()],
            next_row: 0,
        };
        let inputs = chosen.iter().map(input).collect();
        Self { inputs, keep: live.clone(), died: Vec::new(), builder: SegmentBuilder::default(), phase: Phase::Terms { last: None } }
    }

    /// Tells of a row removed while this goes on, if it may be in one of the inputs.
    pub(crate) fn row_died(&mut self, segment: usize, row: u32) {
        if self.inputs.iter().any(|input| input.segment == segment) {
            self.died.push(row);
        }
    }

    /// Does about `budget` postings' worth of work; `true` when everything is copied.
    pub(crate) fn step(&mut self, segments: &[Segment], budget: usize) -> bool {
        match &mut self.phase {
            Phase::Terms { last } => {
                let mut union = OpBuilder::new();
                for input in &self.inputs {
                    union.push(segments[input.segment].terms_after(last.as_deref()));
                }
                let mut union = union.union();
                let (mut spent, mut joined) = (0, Vec::new());
                let mut reached = None;
                while let Some((term, places)) = union.next() {
                    joined.clear();
                    for place in places {
                        let found = segments[self.inputs[place.index].segment].list(place.value as usize);
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
                    None => Phase::Forms { last: None },
                };
                false
            }
            Phase::Forms { last } => {
                let mut union = OpBuilder::new();
                for input in &self.inputs {
                    union.push(segments[input.segment].forms_after(last.as_deref()));
                }
                let mut union = union.union();
                let mut spent = 0;
                let mut reached = None;
                while let Some((form, places)) = union.next() {
                    spent += 4 * places.len();
                    let mut new = TermsOf::NONE;
                    for place in places {
                        let input = &self.inputs[place.index];
                        let old = segments[input.segment].terms_of(place.value as u32);
                        let number = |old: u32| input.terms.get(old as usize).copied().filter(|number| *number != NO_TERM);
                        new.term = number(old.term).unwrap_or(new.term);
                        new.title = number(old.title).unwrap_or(new.title);
                        new.head = number(old.head).unwrap_or(new.head);
                    }
                    if new.term != NO_TERM {
                        let number = self.builder.form(form, new);
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
                    let row = |input: &Input| segments[input.segment].forward().rows().get(input.next_row).copied();
                    let Some(input) = self.inputs.iter_mut().filter(|input| row(input).is_some()).min_by_key(|input| row(input)) else {
                        return true;
                    };
                    let forward = segments[input.segment].forward();
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
        for input in self.inputs.iter().rev() {
            let old = segments.remove(input.segment);
            free.extend(old.dead().iter().copied().filter(|row| !self.keep.contains(*row)));
        }
        for row in self.died {
            let known = new.remove(row);
            debug_assert!(known, "rows that died meanwhile were copied");
        }
        (new, free)
    }
}
