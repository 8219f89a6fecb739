//! The part of the index that takes writes: hash maps of forms and terms, with growing posting lists.
//!
//! Path: a row's sheet of tokens → `Head::insert` → searchable at once → `Head::seal` → a `Segment`.
//! Removal here is complete (nothing of the row stays), so rows of the head are free for use again at once.

use std::hash::BuildHasher;

use hashbrown::{HashMap, HashTable};

use crate::analysis::Analyzer;
use crate::budget::{Meter, cost};
use crate::forward::{FORMS_MAX, NO_TERM, Sheet, TermsOf, Token, Tokens, occurrences};
use crate::impact::{Field, impacts};
use crate::names::HASHER;
use crate::near::{Near, Slips};
use crate::nouns::{Kind, Nouns, heads, title_words};
use crate::phrases::stands;
use crate::postings::{HEAD_MARK, MARKS_MAX, TITLE_MARK};
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
    terms: TermsOf,
}

/// What is needed to take a row out, and to seal it.
struct Row {
    sheet: Box<[u8]>,
    terms: Box<[u32]>,
}

/// Mutable postings of the newest rows.
#[derive(Default)]
pub(crate) struct Head {
    table: HashTable<u32>,
    forms: Vec<Form>,
    form_table: HashTable<u32>,
    terms: Vec<Term>,
    rows: HashMap<u32, Row, foldhash::fast::FixedState>,
    /// Of the row being entered.
    found: Vec<(u32, Field)>,
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

    /// The number of a token's form.
    pub(crate) fn form(&mut self, analyzer: &Analyzer, token: &str) -> u32 {
        let hash = HASHER.hash_one(token);
        if let Some(known) = self.form_table.find(hash, |id| *self.forms[*id as usize].token == *token) {
            return *known;
        }
        let term = self.term_id(analyzer.stem(token).as_bytes());
        let id = self.forms.len() as u32;
        assert!(id < FORMS_MAX, "the head is sealed long before");
        self.forms.push(Form { token: token.into(), terms: TermsOf { term, ..TermsOf::NONE } });
        let forms = &self.forms;
        self.form_table.insert_unique(hash, id, |id| HASHER.hash_one(&*forms[*id as usize].token));
        id
    }

    /// Makes the form one that a title has.
    fn mark_title(&mut self, form: u32) {
        let Form { token, terms } = &self.forms[form as usize];
        if terms.title == NO_TERM {
            let mut marked = Vec::with_capacity(token.len() + 1);
            marked.push(TITLE_MARK);
            marked.extend_from_slice(token.as_bytes());
            let title = self.term_id(&marked);
            self.forms[form as usize].terms.title = title;
        }
    }

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

    /// Enters a row with its sheet, whose forms are those of [`Head::form`].
    pub(crate) fn insert(&mut self, row: u32, sheet: &Sheet, nouns: &mut Nouns) {
        // Titles come first.
        for Token { form, role, .. } in sheet.tokens().take_while(|token| token.field == Field::Title) {
            if role.is_word() {
                self.mark_title(form);
            }
        }
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        let lengths = occurrences(sheet.tokens(), |form| self.forms[form as usize].terms, &mut found);
        self.add_heads(sheet, nouns, &mut found);
        let mut terms = Vec::new();
        impacts(&mut found, &lengths.scales(), |id, impact| {
            let term = &mut self.terms[id as usize];
            // Fresh rows are the highest; a row used again goes to its place.
            let at = if term.rows.last().is_none_or(|last| *last < row) {
                term.rows.len()
            } else {
                term.rows.partition_point(|other| *other < row)
            };
            term.rows.insert(at, row);
            term.impacts.insert(at, impact);
            terms.push(id);
        });
        self.found = found;
        self.rows.insert(row, Row { sheet: sheet.bytes().into(), terms: terms.into() });
    }

    /// Learns from the row's title, and adds what it is about.
    fn add_heads(&mut self, sheet: &Sheet, nouns: &mut Nouns, found: &mut Vec<(u32, Field)>) {
        let mut words = Vec::new();
        title_words(sheet.tokens(), Some, &mut words);
        let mut of_title: Vec<u32> = words.iter().map(|(form, _)| *form).collect();
        of_title.sort_unstable();
        of_title.dedup();
        let forms: Vec<&str> = of_title.iter().map(|form| &*self.forms[*form as usize].token).collect();
        let term = |form: &u32| &*self.terms[self.forms[*form as usize].terms.term as usize].bytes;
        let stems: Vec<&str> = of_title.iter().map(|form| std::str::from_utf8(term(form)).unwrap_or_default()).collect();
        let number_of = |form: u32| of_title.binary_search(&form).ok().map(|at| at as u32);
        let kinds = nouns.learn(&forms, &stems, [sheet.bytes()].into_iter(), number_of);
        if nouns.is_learnt() {
            let mut about = Vec::new();
            heads(&words, |form| number_of(form).map_or(Kind::Other, |at| kinds[at as usize]), |form| about.push(form));
            found.extend(about.into_iter().map(|form| (self.mark_head(form), Field::Title)));
        }
    }

    fn mark_head(&mut self, form: u32) -> u32 {
        let TermsOf { term, head, .. } = self.forms[form as usize].terms;
        if head != NO_TERM {
            return head;
        }
        let marked = [&[HEAD_MARK], &*self.terms[term as usize].bytes].concat();
        let head = self.term_id(&marked);
        self.forms[form as usize].terms.head = head;
        head
    }

    /// The number of a term that any row had since the head was empty.
    pub(crate) fn term(&self, bytes: &[u8]) -> Option<u32> {
        self.table.find(HASHER.hash_one(bytes), |id| *self.terms[*id as usize].bytes == *bytes).copied()
    }

    pub(crate) fn terms_of(&self, form: u32) -> TermsOf {
        self.forms[form as usize].terms
    }

    /// What a row says; `None` when it is not here.
    pub(crate) fn tokens(&self, row: u32) -> Option<Tokens<'_>> {
        Some(Tokens::new(&self.rows.get(&row)?.sheet))
    }

    /// Takes a row out; `false` when it is not here.
    pub(crate) fn remove(&mut self, row: u32) -> bool {
        let Some(Row { terms, .. }) = self.rows.remove(&row) else { return false };
        for id in &terms {
            let term = &mut self.terms[*id as usize];
            if let Ok(at) = term.rows.binary_search(&row) {
                term.rows.remove(at);
                term.impacts.remove(at);
            }
        }
        true
    }

    /// Each term of a row with its impact there, marked ones among them, in no order; `None` when the row is not here. O(terms · log).
    pub(crate) fn terms_of_row(&self, row: u32) -> Option<Vec<(Vec<u8>, u8)>> {
        let with_impact = |id: &u32| {
            let term = &self.terms[*id as usize];
            let at = term.rows.binary_search(&row).ok()?;
            Some((term.bytes.to_vec(), term.impacts[at]))
        };
        Some(self.rows.get(&row)?.terms.iter().filter_map(with_impact).collect())
    }

    /// A term's rows and impacts; nothing when no row has it.
    pub(crate) fn postings(&self, bytes: &[u8]) -> impl ExactSizeIterator<Item = (u32, u8)> + '_ {
        let (rows, impacts) = self.term(bytes).map_or((&[][..], &[][..]), |id| {
            let term = &self.terms[id as usize];
            (&term.rows[..], &term.impacts[..])
        });
        rows.iter().copied().zip(impacts.iter().copied())
    }

    /// Calls `found` with each row of `among` in which the terms stand side by side, in that field if there is one, ascending, and the least of their impacts there. Answers whether all were looked at.
    /// O(rows of the rarest term · words).
    pub(crate) fn with_phrase(
        &self,
        phrase: &[String],
        field: Option<Field>,
        (meter, among): (&Meter, &dyn Fn(u32) -> bool),
        mut found: impl FnMut(u32, u8),
    ) -> bool {
        let Some(ids) = phrase.iter().map(|term| self.term(term.as_bytes())).collect::<Option<Vec<u32>>>() else { return true };
        let Some(rarest) = ids.iter().map(|id| &self.terms[*id as usize].rows).min_by_key(|rows| rows.len()) else { return true };
        for row in rarest {
            if !meter.may_spend(cost::COLUMN) {
                return false;
            }
            if !among(*row) {
                continue;
            }
            meter.charge(cost::SHEET + self.rows.get(row).map_or(0, |row| row.sheet.len() as u64) * cost::SHEET_BYTE);
            let stands = |row: &Row| stands(Tokens::new(&row.sheet), field, &ids, |form| self.forms[form as usize].terms.term);
            if (ids.len() == 1 && field.is_none()) || self.rows.get(row).is_some_and(stands) {
                let impact = |id: &u32| self.terms[*id as usize].rows.binary_search(row).map(|at| self.terms[*id as usize].impacts[at]);
                found(*row, ids.iter().filter_map(|id| impact(id).ok()).min().unwrap_or(1));
            }
        }
        true
    }

    /// The terms with rows of all forms that begin with `prefix`, each once. O(forms).
    pub(crate) fn beginning(&self, prefix: &str) -> Vec<&[u8]> {
        let mut found: Vec<u32> = self.forms.iter().filter(|form| form.token.starts_with(prefix)).map(|form| form.terms.term).collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|id| &self.terms[id as usize]).filter(|term| !term.rows.is_empty()).map(|term| &*term.bytes).collect()
    }

    /// Forms near a word whose terms have rows, in no order. O(forms).
    pub(crate) fn near_forms(&self, near: &Near) -> impl Iterator<Item = (String, Slips)> {
        let with_rows = self.forms.iter().filter(|form| !self.terms[form.terms.term as usize].rows.is_empty());
        with_rows.filter_map(|form| Some((form.token.to_string(), near.of(&form.token)?)))
    }

    /// Terms near a word that have rows, in no order. O(terms).
    pub(crate) fn near_terms(&self, near: &Near) -> impl Iterator<Item = (String, Slips)> {
        let with_rows =
            self.terms.iter().filter(|term| !term.rows.is_empty() && term.bytes.first().is_some_and(|first| *first > MARKS_MAX));
        with_rows.filter_map(|term| std::str::from_utf8(&term.bytes).ok()).filter_map(|term| Some((term.to_owned(), near.of(term)?)))
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
        let has_rows = |term: u32| term != NO_TERM && !head.terms[term as usize].rows.is_empty();
        let mut order: Vec<u32> = (0..head.terms.len() as u32).filter(|id| has_rows(*id)).collect();
        order.sort_unstable_by(|a, b| head.terms[*a as usize].bytes.cmp(&head.terms[*b as usize].bytes));
        let mut numbers = vec![NO_TERM; head.terms.len()];
        let mut builder = SegmentBuilder::default();
        for id in order {
            let term = &head.terms[id as usize];
            numbers[id as usize] = builder.term(&term.bytes, term.rows.iter().copied().zip(term.impacts.iter().copied()));
        }
        let number_of = |term: u32| if term == NO_TERM { NO_TERM } else { numbers[term as usize] };
        let mut order: Vec<u32> = (0..head.forms.len() as u32).filter(|id| has_rows(head.forms[*id as usize].terms.term)).collect();
        order.sort_unstable_by(|a, b| head.forms[*a as usize].token.cmp(&head.forms[*b as usize].token));
        let mut forms = vec![0; head.forms.len()];
        builder.number_forms_by_stems();
        for id in order {
            let Form { token, terms: TermsOf { term, title, head: about } } = &head.forms[id as usize];
            let terms = TermsOf { term: number_of(*term), title: number_of(*title), head: number_of(*about) };
            forms[id as usize] = builder.form_of_stem(token.as_bytes(), terms);
        }
        let mut rows: Vec<(u32, Row)> = head.rows.into_iter().collect();
        rows.sort_unstable_by_key(|(row, _)| *row);
        for (row, Row { sheet, .. }) in rows {
            builder.row(row, &sheet, |form| forms[form as usize]);
        }
        builder.finish()
    }
}
