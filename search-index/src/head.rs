//! The part of the index that takes writes: a hash map of terms with growing posting lists.
//!
//! Path: a row's terms with their impacts → `Head::insert` → searchable at once → `Head::seal` → a `Segment`.
//! Removal here is complete (nothing of the row stays), so rows of the head are free for use again at once.

use std::hash::BuildHasher;

use hashbrown::{HashMap, HashTable};

use crate::analysis::Analyzer;
use crate::names::HASHER;
use crate::postings::TITLE_MARK;
use crate::segment::{Segment, SegmentBuilder};

#[derive(Default)]
struct Term {
    bytes: Box<[u8]>,
    /// Ascending, and beside each the term's impact.
    rows: Vec<u32>,
    impacts: Vec<u8>,
}

/// A token as it stands in texts, with the terms it leads to: stemming is done once a token, not once an occurrence.
struct Form {
    token: Box<str>,
    term: u32,
    title: Option<u32>,
}

/// Mutable postings of the newest rows.
#[derive(Default)]
pub(crate) struct Head {
    table: HashTable<u32>,
    forms: Vec<Form>,
    form_table: HashTable<u32>,
    terms: Vec<Term>,
    rows: HashMap<u32, Box<[u32]>, foldhash::fast::FixedState>,
}

impl Head {
    /// Rows held.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Distinct terms since the head was empty, those without rows included.
    pub(crate) fn term_count(&self) -> usize {
        self.terms.len()
    }

    /// The ids of a token's term and, for a word of a title, of its completion entry.
    pub(crate) fn token_ids(&mut self, analyzer: &Analyzer, token: &str, title: bool) -> (u32, Option<u32>) {
        let hash = HASHER.hash_one(token);
        let known = self.form_table.find(hash, |id| *self.forms[*id as usize].token == *token).copied();
        let form = known.unwrap_or_else(|| {
            let term = self.term_id(analyzer.stem(token).as_bytes());
            let id = self.forms.len() as u32;
            self.forms.push(Form { token: token.into(), term, title: None });
            let forms = &self.forms;
            self.form_table.insert_unique(hash, id, |id| HASHER.hash_one(&*forms[*id as usize].token));
            id
        });
        let Form { term, title: known, .. } = self.forms[form as usize];
        if !title || known.is_some() {
            return (term, known.filter(|_| title));
        }
        let mut marked = Vec::with_capacity(token.len() + 1);
        marked.push(TITLE_MARK);
        marked.extend_from_slice(token.as_bytes());
        let id = self.term_id(&marked);
        self.forms[form as usize].title = Some(id);
        (term, Some(id))
    }

    /// The id by which [`Head::insert`] takes a term.
    fn term_id(&mut self, bytes: &[u8]) -> u32 {
        let hash = HASHER.hash_one(bytes);
        if let Some(id) = self.table.find(hash, |id| *self.terms[*id as usize].bytes == *bytes) {
            return *id;
        }
        let id = self.terms.len() as u32;
        self.terms.push(Term { bytes: bytes.into(), ..Term::default() });
        let terms = &self.terms;
        self.table.insert_unique(hash, id, |id| HASHER.hash_one(&*terms[*id as usize].bytes));
        id
    }

    /// Enters a row with its terms, each once.
    pub(crate) fn insert(&mut self, row: u32, terms: &[(u32, u8)]) {
        for &(id, impact) in terms {
            let term = &mut self.terms[id as usize];
            // Fresh rows are the highest; a row used again goes to its place.
            let at = if term.rows.last().is_none_or(|last| *last < row) {
                term.rows.len()
            } else {
                term.rows.partition_point(|other| *other < row)
            };
            term.rows.insert(at, row);
            term.impacts.insert(at, impact);
        }
        self.rows.insert(row, terms.iter().map(|(id, _)| *id).collect());
    }

    /// Takes a row out; `false` when it is not here.
    pub(crate) fn remove(&mut self, row: u32) -> bool {
        let Some(terms) = self.rows.remove(&row) else { return false };
        for id in &terms {
            let term = &mut self.terms[*id as usize];
            if let Ok(at) = term.rows.binary_search(&row) {
                term.rows.remove(at);
                term.impacts.remove(at);
            }
        }
        true
    }

    /// A term's rows and impacts; nothing when no row has it.
    pub(crate) fn postings(&self, bytes: &[u8]) -> impl ExactSizeIterator<Item = (u32, u8)> + '_ {
        let id = self.table.find(HASHER.hash_one(bytes), |id| *self.terms[*id as usize].bytes == *bytes);
        let (rows, impacts) = id.map_or((&[][..], &[][..]), |id| {
            let term = &self.terms[*id as usize];
            (&term.rows[..], &term.impacts[..])
        });
        rows.iter().copied().zip(impacts.iter().copied())
    }

    /// Terms that begin with `prefix` and have rows, with the count of rows, in no order. O(terms).
    pub(crate) fn terms_with_prefix(&self, prefix: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
        self.terms
            .iter()
            .filter(move |term| term.bytes.starts_with(prefix) && !term.rows.is_empty())
            .map(|term| (&*term.bytes, term.rows.len() as u64))
    }

    /// Turns all rows into a segment and leaves the head empty. O(postings + terms · log terms).
    pub(crate) fn seal(&mut self) -> Segment {
        let head = std::mem::take(self);
        let mut order: Vec<u32> = (0..head.terms.len() as u32).filter(|id| !head.terms[*id as usize].rows.is_empty()).collect();
        order.sort_unstable_by(|a, b| head.terms[*a as usize].bytes.cmp(&head.terms[*b as usize].bytes));
        let mut ordinals = vec![0_u32; head.terms.len()];
        let mut builder = SegmentBuilder::default();
        for id in order {
            let term = &head.terms[id as usize];
            ordinals[id as usize] = builder.term(&term.bytes, term.rows.iter().copied().zip(term.impacts.iter().copied()));
        }
        let mut docs: Vec<(u32, Box<[u32]>)> = head.rows.into_iter().collect();
        docs.sort_unstable_by_key(|(row, _)| *row);
        for (row, mut terms) in docs {
            terms.iter_mut().for_each(|id| *id = ordinals[*id as usize]);
            terms.sort_unstable();
            builder.doc(row, &terms);
        }
        builder.finish()
    }
}
