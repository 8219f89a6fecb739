//! An immutable part of the index: dictionaries of terms and of forms, posting lists, and what each row says.
//!
//! Path: `Head::seal`, a bulk load or a merge → `SegmentBuilder` (terms in byte order, then forms in byte order, then rows in order) → `Segment`.
//! Terms are what queries look for: stems, marked words of titles, and marked stems of what titles are about. Forms are words as texts have them; each leads to its terms.
//! Terms are numbered in byte order; forms so that those met most have the smallest numbers ([`FormNumbers`]), which are the fewest bytes in what rows say.
//! Immutable but for removals: a removed row is counted out of the frequencies of all its terms at once, which its own tokens name,
//! while the postings keep it until a merge leaves it out.
//! Cost: 3 bytes a posting, about 2 a token, 12 a form, and the dictionaries.

use fst::{IntoStreamer, Map, MapBuilder, Streamer};

use crate::budget::{Meter, cost};
use crate::form_numbers::{FormNumbers, Met};
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

/// Makes a segment: terms and forms each in byte order, each form after its terms; then all rows, ascending.
pub(crate) struct SegmentBuilder {
    terms: MapBuilder<Vec<u8>>,
    term_count: u32,
    /// Of the stems so far.
    met: Met,
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
            met: Met::default(),
            forms: MapBuilder::memory(),
            form_numbers: FormNumbers::of(&Met::default()),
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
        let list = self.postings.push(postings);
        if term.first().is_some_and(|first| *first > MARKS_MAX) {
            self.met.add(self.postings.count(list as usize));
        }
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
        number
    }

    /// Numbers forms from now on by how often they are met: these are the figures of all. O(forms).
    pub(crate) fn number_forms(&mut self, met: impl Iterator<Item = u32>) {
        let mut all = Met::default();
        met.for_each(|met| all.add(met));
        self.form_numbers = FormNumbers::of(&all);
    }

    /// As [`SegmentBuilder::number_forms`], where terms have their postings: a form is met as often as its stem. O(1).
    pub(crate) fn number_forms_by_stems(&mut self) {
        self.form_numbers = FormNumbers::of(&self.met);
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
        let Self { terms, term_count, met: _, forms, form_numbers: _, mut terms_of, mut postings, mut forward } = self;
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
