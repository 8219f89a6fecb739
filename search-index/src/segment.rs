//! An immutable part of the index: dictionaries of terms and of forms, posting lists, and what each row says.
//!
//! Path: `Head::seal`, a bulk load or a merge → `SegmentBuilder` (terms in byte order, then forms in byte order, then rows in order) → `Segment`.
//! Terms are what queries look for: stems, marked words of titles, and marked stems of what titles are about. Forms are words as texts have them; each leads to its terms.
//! Terms are numbered in byte order; forms so that those met most have the smallest numbers ([`FormNumbers`]), which are the fewest bytes in what rows say.
//! Immutable but for removals: a removed row is counted out of the frequencies of all its terms at once, which its own tokens name,
//! while the postings keep it until a merge leaves it out.
//! Cost: 3 bytes a posting, about 2 a token, 8 a form, and the dictionaries.

use fst::{IntoStreamer, Map, MapBuilder, Streamer};

use crate::budget::{Meter, cost};
use crate::forward::{Forward, NO_TERM, TermsOf, occurrences};
use crate::near::{Near, Slips};
use crate::postings::{List, MARKS_MAX, Store};

/// Names a segment of one index for as long as it lives. No other segment of the index ever has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub(crate) u64);

impl SegmentId {
    /// Of a segment that is in no index yet.
    pub(crate) const UNNAMED: Self = Self(0);
}

/// See the module.
pub(crate) struct Segment {
    /// Its name while it lives; [`Index`](crate::Index) gives it.
    pub(crate) id: SegmentId,
    terms: Map<Vec<u8>>,
    forms: Map<Vec<u8>>,
    /// By form.
    terms_of: Vec<TermsOf>,
    /// By term.
    postings: Store,
    /// Live rows by term; of the marked ones that say what a title is about, all rows.
    frequencies: Vec<u32>,
    forward: Forward,
    dead: Vec<u32>,
}

impl Segment {
    /// Rows held, removed ones included.
    pub(crate) fn len(&self) -> usize {
        self.forward.len()
    }

    pub(crate) fn forward(&self) -> &Forward {
        &self.forward
    }

    pub(crate) fn dead(&self) -> &[u32] {
        &self.dead
    }

    pub(crate) fn list(&self, term: usize) -> List<'_> {
        self.postings.list(term)
    }

    /// A term's postings, removed rows included, and the count of live ones. `None` when no live row has it.
    pub(crate) fn postings(&self, term: &[u8]) -> Option<(List<'_>, u32)> {
        let term = self.terms.get(term)? as usize;
        let live = self.frequencies[term];
        (live > 0).then(|| (self.list(term), live))
    }

    /// Each term of a row with its impact there, marked ones among them, in byte order; `None` when the row is not here. O(terms · log).
    pub(crate) fn terms_of_row(&self, row: u32) -> Option<Vec<(Vec<u8>, u8)>> {
        let nth = self.forward.find(row)?;
        let of_form = |form: u32| {
            let TermsOf { term, title, head } = self.terms_of(form);
            [term, title, head]
        };
        let mut terms: Vec<u32> = self.forward.tokens(nth).flat_map(|token| of_form(token.form)).filter(|term| *term != NO_TERM).collect();
        terms.sort_unstable();
        terms.dedup();
        // A form leads to what some title is about, or has in it: the lists say whether this one does.
        let with_impact = |term: u32| Some((self.terms.as_fst().get_key(u64::from(term))?, self.list(term as usize).find(row)?));
        Some(terms.into_iter().filter_map(with_impact).collect())
    }

    /// The number of a term.
    pub(crate) fn term(&self, term: &[u8]) -> Option<u32> {
        self.terms.get(term).map(|number| number as u32)
    }

    /// The terms with live rows of all forms that begin with `prefix`, ascending; of the first forms in the order of bytes, where the budget ends. O(these forms).
    pub(crate) fn beginning(&self, prefix: &str, meter: &Meter) -> Vec<u32> {
        let mut found = Vec::new();
        let mut forms = self.forms.range().ge(prefix).into_stream();
        while let Some((form, number)) = forms.next() {
            if !form.starts_with(prefix.as_bytes()) || !meter.may_spend(cost::FORM) {
                break;
            }
            found.push(self.terms_of(number as u32).term);
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|term| self.frequencies[*term as usize] > 0);
        found
    }

    /// Calls `found` with each form that begins with `prefix` and goes on, in byte order, as far as the budget goes. O(these forms).
    pub(crate) fn each_longer_form(&self, prefix: &str, meter: &Meter, mut found: impl FnMut(&str)) {
        let mut forms = self.forms.range().gt(prefix).into_stream();
        while let Some((form, _)) = forms.next() {
            if !form.starts_with(prefix.as_bytes()) || !meter.may_spend(cost::FORM) {
                break;
            }
            if let Ok(form) = std::str::from_utf8(form) {
                found(form);
            }
        }
    }

    /// Whether a live row has a form that begins with `prefix`, as a word that is being typed is taken to have one where the budget ends. Nearly always O(1).
    pub(crate) fn begins_any(&self, prefix: &str, meter: &Meter) -> bool {
        let mut forms = self.forms.range().ge(prefix).into_stream();
        while let Some((form, number)) = forms.next() {
            if !form.starts_with(prefix.as_bytes()) {
                return false;
            }
            if !meter.may_spend(cost::FORM) {
                return true;
            }
            if self.frequencies[self.terms_of(number as u32).term as usize] > 0 {
                return true;
            }
        }
        false
    }

    /// Forms near a word whose terms live rows have, in byte order. O(the part of the dictionary that may be near).
    pub(crate) fn near_forms(&self, near: &Near) -> Vec<(String, Slips)> {
        near_of(&self.forms, near, |form| self.frequencies[self.terms_of(form).term as usize] > 0)
    }

    /// Terms near a word that live rows have, likewise.
    pub(crate) fn near_terms(&self, near: &Near) -> Vec<(String, Slips)> {
        near_of(&self.terms, near, |term| self.frequencies[term as usize] > 0)
    }

    /// Calls `visit(term, live rows)` for terms with the prefix in byte order, until it answers `false`.
    pub(crate) fn for_each_with_prefix(&self, prefix: &[u8], mut visit: impl FnMut(&[u8], u64) -> bool) {
        let mut stream = self.terms.range().ge(prefix).into_stream();
        while let Some((term, number)) = stream.next() {
            if !term.starts_with(prefix) {
                break;
            }
            let live = self.frequencies[number as usize];
            if live > 0 && !visit(term, u64::from(live)) {
                break;
            }
        }
    }

    /// The terms from the first after `after` on.
    pub(crate) fn terms_after(&self, after: Option<&[u8]>) -> fst::map::Stream<'_> {
        after_of(&self.terms, after)
    }

    /// The forms from the first after `after` on.
    pub(crate) fn forms_after(&self, after: Option<&[u8]>) -> fst::map::Stream<'_> {
        after_of(&self.forms, after)
    }

    pub(crate) fn term_count(&self) -> usize {
        self.frequencies.len()
    }

    /// Numbers of forms are below this.
    pub(crate) fn forms_end(&self) -> usize {
        self.terms_of.len()
    }

    pub(crate) fn terms_of(&self, form: u32) -> TermsOf {
        self.terms_of[form as usize]
    }

    /// Counts a row out; `false` when it is not here. The caller sees to it that a row is removed once.
    pub(crate) fn remove(&mut self, row: u32) -> bool {
        let Some(nth) = self.forward.find(row) else { return false };
        let mut found = Vec::new();
        // Not those that say what a title is about: these only ever add to a score, and are not counted.
        let _ = occurrences(self.forward.tokens(nth), |form| self.terms_of(form), &mut found);
        found.sort_unstable();
        found.dedup_by_key(|(term, _)| *term);
        for (term, _) in found {
            self.frequencies[term as usize] -= 1;
        }
        self.dead.push(row);
        true
    }

    /// Bytes of the heap in use.
    pub(crate) fn bytes(&self) -> usize {
        self.terms.as_fst().as_bytes().len()
            + self.forms.as_fst().as_bytes().len()
            + size_of::<TermsOf>() * self.terms_of.len()
            + self.postings.bytes()
            + 4 * (self.frequencies.len() + self.dead.len())
            + self.forward.bytes()
    }
}

fn after_of<'a>(dictionary: &'a Map<Vec<u8>>, after: Option<&[u8]>) -> fst::map::Stream<'a> {
    match after {
        Some(key) => dictionary.range().gt(key).into_stream(),
        None => dictionary.stream(),
    }
}

fn near_of(dictionary: &Map<Vec<u8>>, near: &Near, has_rows: impl Fn(u32) -> bool) -> Vec<(String, Slips)> {
    let mut found = Vec::new();
    let mut keys = dictionary.search_with_state(near).into_stream();
    while let Some((key, number, state)) = keys.next() {
        if has_rows(number as u32)
            && key.first().is_some_and(|first| *first > MARKS_MAX)
            && let Some(slips) = near.slips(&state)
            && let Ok(key) = std::str::from_utf8(key)
        {
            found.push((key.to_owned(), slips));
        }
    }
    found
}

/// Which numbers forms get: classes of as many as a token has in one byte and in two, of those met most, and all others behind. As forms come in byte order and not in
/// this, a class may be full before its last member comes, or end with numbers that no form has.
struct FormNumbers {
    /// How often a form is met at least to be in each class but the last.
    least: [u32; 2],
    /// The next of each class.
    next: [u32; 3],
}

/// Numbers below these are a byte of a token and two bytes: a varint has 7 bits a byte, of which two are marks.
const FORM_CLASSES: [u32; 2] = [1 << 5, 1 << 12];

impl FormNumbers {
    /// O(forms).
    fn of(mut met: Vec<u32>) -> Self {
        let least = FORM_CLASSES.map(|end| match end as usize {
            end if met.len() <= end => 0,
            end => *met.select_nth_unstable_by(end - 1, |a, b| b.cmp(a)).1,
        });
        Self { least, next: [0, FORM_CLASSES[0], FORM_CLASSES[1]] }
    }

    fn next(&mut self, met: u32) -> u32 {
        let has_room = |class: &usize| met >= self.least[*class] && self.next[*class] < FORM_CLASSES[*class];
        let class = (0..FORM_CLASSES.len()).find(has_room).unwrap_or(FORM_CLASSES.len());
        self.next[class] += 1;
        self.next[class] - 1
    }
}

/// Makes a segment: terms and forms each in byte order, each form after its terms; then all rows, ascending.
pub(crate) struct SegmentBuilder {
    terms: MapBuilder<Vec<u8>>,
    term_count: u32,
    /// Terms with a mark, which come first.
    marked_terms: u32,
    forms: MapBuilder<Vec<u8>>,
    form_numbers: FormNumbers,
    terms_of: Vec<TermsOf>,
    postings: Store,
    forward: Forward,
}

impl Default for SegmentBuilder {
    fn default() -> Self {
        Self {
            terms: MapBuilder::memory(),
            term_count: 0,
            marked_terms: 0,
            forms: MapBuilder::memory(),
            form_numbers: FormNumbers::of(Vec::new()),
            terms_of: Vec::new(),
            postings: Store::with_bitmaps(),
            forward: Forward::default(),
        }
    }
}

/// Gives back what a vector does not need, unless it is so little that moving everything costs more.
pub(crate) fn shrink<T>(vector: &mut Vec<T>) {
    if vector.capacity() - vector.len() > vector.len() / 16 {
        vector.shrink_to_fit();
    }
}

const BYTE_ORDER: &str = "keys come in byte order, and memory does not fail to write";

impl SegmentBuilder {
    /// With room for what these segments have, so that nothing is moved while it grows.
    pub(crate) fn with_room<'a>(segments: impl Iterator<Item = &'a Segment> + Clone) -> Self {
        let sum = |of: fn(&Segment) -> usize| segments.clone().map(of).sum();
        let map = |bytes: usize| MapBuilder::new(Vec::with_capacity(bytes)).expect("memory does not fail to write");
        let mut builder = Self {
            terms: map(sum(|segment| segment.terms.as_fst().as_bytes().len())),
            forms: map(sum(|segment| segment.forms.as_fst().as_bytes().len())),
            terms_of: Vec::with_capacity(sum(|segment| segment.terms_of.len())),
            ..Self::default()
        };
        for segment in segments {
            builder.postings.reserve_for(&segment.postings);
            builder.forward.reserve_for(&segment.forward);
        }
        builder
    }

    /// Adds a term with its postings, ascending by row, and answers its number.
    ///
    /// # Panics
    /// When the term is not after the one before: our own bug.
    pub(crate) fn term(&mut self, term: &[u8], postings: impl Iterator<Item = (u32, u8)>) -> u32 {
        self.postings.push(postings);
        self.bare_term(term)
    }

    /// Adds a term whose postings come with [`SegmentBuilder::finish_with`], and answers its number.
    ///
    /// # Panics
    /// As [`SegmentBuilder::term`].
    pub(crate) fn bare_term(&mut self, term: &[u8]) -> u32 {
        let number = self.term_count;
        self.terms.insert(term, u64::from(number)).expect(BYTE_ORDER);
        self.term_count += 1;
        self.marked_terms += u32::from(term.first().is_some_and(|first| *first <= MARKS_MAX));
        number
    }

    /// Numbers forms from now on by how often they are met: these are the figures of all, or of as many of their kind. O(forms).
    pub(crate) fn number_forms(&mut self, met: Vec<u32>) {
        self.form_numbers = FormNumbers::of(met);
    }

    /// As [`SegmentBuilder::number_forms`], where terms have their postings: a form is met as often as its stem. O(terms).
    pub(crate) fn number_forms_by_stems(&mut self) {
        let met = (self.marked_terms..self.term_count).map(|term| self.postings.count(term as usize)).collect();
        self.number_forms(met);
    }

    /// Adds a form with its terms, met so often in the sense of [`SegmentBuilder::number_forms`], and answers its number.
    ///
    /// # Panics
    /// When the form is not after the one before: our own bug.
    pub(crate) fn form(&mut self, form: &[u8], terms: TermsOf, met: u32) -> u32 {
        debug_assert!(terms.term != NO_TERM, "each form has a stem");
        let number = self.form_numbers.next(met);
        self.forms.insert(form, u64::from(number)).expect(BYTE_ORDER);
        if self.terms_of.len() <= number as usize {
            self.terms_of.resize(number as usize + 1, TermsOf::NONE);
        }
        self.terms_of[number as usize] = terms;
        number
    }

    /// As [`SegmentBuilder::form`], met as often as its stem.
    pub(crate) fn form_of_stem(&mut self, form: &[u8], terms: TermsOf) -> u32 {
        let met = self.postings.count(terms.term as usize);
        self.form(form, terms, met)
    }

    /// Adds a row with its sheet, whose forms get the numbers that `form_of` answers.
    pub(crate) fn row(&mut self, row: u32, sheet: &[u8], form_of: impl Fn(u32) -> u32) {
        self.forward.push(row, sheet, form_of);
    }

    pub(crate) fn forward(&self) -> &Forward {
        &self.forward
    }

    /// By form, as far as they have been added.
    pub(crate) fn terms_of(&self) -> &[TermsOf] {
        &self.terms_of
    }

    pub(crate) fn term_count(&self) -> usize {
        self.term_count as usize
    }

    /// With the postings of all terms in their order.
    pub(crate) fn finish_with(mut self, postings: Store) -> Segment {
        self.postings = postings;
        self.finish()
    }

    pub(crate) fn finish(self) -> Segment {
        let Self { terms, term_count, marked_terms: _, forms, form_numbers: _, mut terms_of, mut postings, mut forward } = self;
        assert_eq!(postings.len(), term_count as usize, "each term has its list");
        postings.shrink();
        forward.shrink();
        shrink(&mut terms_of);
        let map = |builder: MapBuilder<Vec<u8>>| {
            let mut bytes = builder.into_inner().expect("memory does not fail to write");
            shrink(&mut bytes);
            Map::new(bytes).expect("the builder writes what the reader reads")
        };
        Segment {
            id: SegmentId::UNNAMED,
            terms: map(terms),
            forms: map(forms),
            terms_of,
            frequencies: (0..postings.len()).map(|term| postings.count(term)).collect(),
            postings,
            forward,
            dead: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // How often each of many forms is met; how many get a number of one byte and of two.
    fn those_met_most_have_the_smallest_numbers() {
        let met: Vec<u32> = (0..10_000_u32).map(|nth| nth.wrapping_mul(2_654_435_761) % 10_000).collect();
        for all in [0, 1, 31, 32, 33, 4_096, 4_097, 10_000] {
            let mut numbers = FormNumbers::of(met[..all].to_vec());
            let given: Vec<u32> = met[..all].iter().map(|met| numbers.next(*met)).collect();
            let mut distinct = given.clone();
            distinct.sort_unstable();
            assert_eq!(distinct, (0..all as u32).collect::<Vec<_>>(), "each once, and none left out");
            let mut best: Vec<u32> = given.iter().zip(&met).filter(|(number, _)| **number < 32).map(|(_, met)| *met).collect();
            best.sort_unstable_by_key(|met| std::cmp::Reverse(*met));
            let mut of_all = met[..all].to_vec();
            of_all.sort_unstable_by_key(|met| std::cmp::Reverse(*met));
            assert_eq!(best, of_all[..all.min(32)], "{all}");
        }
    }

    #[test] // Figures that are of something like the forms, and equal ones: no number comes twice.
    fn figures_may_be_off() {
        for (told, met) in [(vec![5; 9_000], 5), (vec![5; 9_000], 4), (vec![5; 9_000], 6), (Vec::new(), 0), (vec![1; 10], 9)] {
            let mut numbers = FormNumbers::of(told);
            let mut given: Vec<u32> = (0..9_000).map(|_| numbers.next(met)).collect();
            given.sort_unstable();
            given.dedup();
            assert_eq!(given.len(), 9_000);
        }
    }
}
