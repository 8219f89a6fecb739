//! Many documents at once: how a segment is made of documents that have no rows yet.
//!
//! Path: documents → [`Gather`] (analysed one by one, forms and names by number), or a saved segment that was read → [`Batch`] → [`Index::settle`]:
//! rows given by (category path, popularity, key) → columns → terms of the forms, stemmed once each → sheets in order of rows → each list's length
//! counted, then all lists filled in one walk over the sheets → `Segment`.
//! Documents of a category stand together and the best first, so a list's rows come in runs, whole stretches of it can be passed over, and what is
//! counted by category is counted by stretches. Time is linear in the words, but for the sorting of documents and of distinct words.

use std::cmp::Reverse;
use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::{HashMap, HashTable};

use crate::analysis::Analyzer;
use crate::attributes::{Attributes, RowAttributes};
use crate::document::{DocKey, Document, DocumentError};
use crate::forward::{FORMS_MAX, Sheet, TermsOf, Tokens, analyse, occurrences};
use crate::impact::{Field, impacts};
use crate::index::{Columns, Index};
use crate::names::HASHER;
use crate::nouns::{Kind, heads, title_words};
use crate::postings::{Filling, HEAD_MARK, TITLE_MARK};
use crate::rows::{Entry, NO_ID};
use crate::segment::{Segment, SegmentBuilder, SegmentId};

/// A document that has no row yet.
pub(crate) struct Doc {
    pub(crate) key: DocKey,
    pub(crate) stamp: u64,
    pub(crate) partition: u16,
    pub(crate) released: i64,
    pub(crate) columns: Columns,
    /// Numbers in the batch.
    pub(crate) brand: Option<u32>,
    pub(crate) path: Option<u32>,
    /// Where its values are in [`Batch::entries`].
    pub(crate) entries: Range<usize>,
    /// Where its tokens are in [`Batch::sheets`].
    pub(crate) sheet: Range<usize>,
}

/// Documents that have no rows yet, no key twice.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) docs: Vec<Doc>,
    /// Documents that another of the same key came after.
    pub(crate) outdone: Vec<Doc>,
    /// By the numbers in the sheets.
    pub(crate) forms: Vec<Box<str>>,
    pub(crate) sheets: Vec<u8>,
    /// As [`Attributes::enter`] takes them.
    pub(crate) entries: Vec<(u32, u32)>,
    pub(crate) brands: Vec<Box<str>>,
    pub(crate) paths: Vec<Vec<String>>,
}

/// Words of a batch, by the numbers of its forms.
struct Words {
    forms: Vec<Box<str>>,
    stems: Vec<Box<str>>,
    kinds: Vec<Kind>,
}

/// In the place of a form's number in a segment: no sheet has it.
const NO_FORM: u32 = u32::MAX;

/// Makes a batch of documents.
#[derive(Default)]
pub(crate) struct Gather {
    batch: Batch,
    forms: HashTable<u32>,
    brands: HashMap<String, u32, foldhash::fast::FixedState>,
    paths: HashMap<Vec<String>, u32, foldhash::fast::FixedState>,
    by_key: HashMap<DocKey, u32, foldhash::fast::FixedState>,
    sheet: Sheet,
}

impl Gather {
    /// Takes a document; of one key the last counts.
    ///
    /// # Errors
    /// As [`Document::check`].
    pub(crate) fn add(&mut self, analyzer: &Analyzer, attributes: &mut Attributes, document: &Document) -> Result<(), DocumentError> {
        document.check()?;
        let Self { batch, forms, brands, paths, by_key, sheet } = self;
        let known = &mut batch.forms;
        analyse(analyzer, document, sheet, |token| {
            let hash = HASHER.hash_one(token);
            if let Some(form) = forms.find(hash, |form| *known[*form as usize] == *token) {
                return *form;
            }
            let form = known.len() as u32;
            assert!(form < FORMS_MAX, "a batch of at most a million documents has fewer words");
            known.push(token.into());
            forms.insert_unique(hash, form, |form| HASHER.hash_one(&*known[*form as usize]));
            form
        });
        let (entries, sheets) = (batch.entries.len(), batch.sheets.len());
        attributes.entries_of(&document.attributes, &mut batch.entries);
        batch.sheets.extend_from_slice(sheet.bytes());
        let brand = document.brand.as_deref().map(|brand| {
            *brands.entry_ref(brand).or_insert_with(|| {
                batch.brands.push(brand.into());
                batch.brands.len() as u32 - 1
            })
        });
        let path = (!document.category.is_empty()).then(|| {
            if let Some(path) = paths.get(&document.category) {
                return *path;
            }
            let path = batch.paths.len() as u32;
            batch.paths.push(document.category.clone());
            paths.insert(document.category.clone(), path);
            path
        });
        let Document { key, stamp, partition, released, price, rating, popularity, margin, .. } = *document;
        let columns = Columns { price, rating, popularity, margin };
        let (entries, sheet) = (entries..batch.entries.len(), sheets..batch.sheets.len());
        let mut doc = Doc { key, stamp, partition, released, columns, brand, path, entries, sheet };
        match by_key.get(&key) {
            Some(at) => {
                std::mem::swap(&mut batch.docs[*at as usize], &mut doc);
                batch.outdone.push(doc);
            }
            None => {
                by_key.insert(key, batch.docs.len() as u32);
                batch.docs.push(doc);
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Batch {
        self.batch
    }
}

impl Index {
    /// Gives the documents rows and makes a segment of them; each takes the place of the one with its key. `None` when there are none.
    pub(crate) fn settle(&mut self, batch: Batch) -> Option<SegmentId> {
        let Batch { docs, outdone, forms, sheets, entries, brands, paths } = batch;
        let rows = &mut self.rows;
        let base = rows.fresh(docs.len());
        let order = order(&docs, &paths);

        // Values first, so that those of documents that go meanwhile are not given up and taken again; see `Attributes::entry_of`.
        for (row, doc) in (base..).zip(&order) {
            let list = rows.attributes.enter(row, entries[docs[*doc as usize].entries.clone()].iter().copied());
            rows.values.put(row, &list);
        }
        let behind = base + docs.len() as u32; // no row yet
        let enter = |doc: &Doc| rows.attributes.enter(behind, entries[doc.entries.clone()].iter().copied());
        let unneeded: Vec<RowAttributes> = outdone.iter().map(enter).collect();
        unneeded.iter().for_each(|list| rows.attributes.remove(behind, list));
        drop(entries);
        for doc in &docs {
            self.remove(doc.key);
        }

        let rows = &mut self.rows;
        rows.reserve(docs.len());
        let (mut brand_ids, mut path_ids) = (vec![NO_ID; brands.len()], vec![NO_ID; paths.len()]);
        for (row, doc) in (base..).zip(&order) {
            let Doc { key, stamp, partition, released, columns, brand, path, .. } = &docs[*doc as usize];
            let brand = brand.map_or(NO_ID, |brand| {
                let id = &mut brand_ids[brand as usize];
                match *id {
                    NO_ID => *id = rows.brands.insert(&brands[brand as usize], row),
                    known => rows.brands.insert_again(known, row),
                }
                *id
            });
            let place = path.map_or(NO_ID, |path| {
                let id = &mut path_ids[path as usize];
                match *id {
                    NO_ID => *id = rows.categories.insert(&paths[path as usize], row),
                    known => rows.categories.insert_again(known, row),
                }
                *id
            });
            let entry = Entry { key: *key, stamp: *stamp, partition: *partition, released: *released, brand, place };
            rows.enter(row, entry, *columns);
        }
        let sheets = order.iter().map(|doc| &sheets[docs[*doc as usize].sheet.clone()]);
        let Self { nouns, analyzer, .. } = self;
        let stems: Vec<Box<str>> = forms.iter().map(|form| analyzer.stem(form).into()).collect();
        let kinds = nouns.learn(&forms, &stems, sheets.clone(), Some);
        let words = Words { forms, stems, kinds };
        let segment = self.segment(base, &words, sheets);
        self.take_segment(segment)
    }

    /// A segment of rows from `base` on, by their sheets.
    fn segment<'a>(&self, base: u32, words: &Words, sheets: impl Iterator<Item = &'a [u8]> + Clone) -> Segment {
        let mut builder = SegmentBuilder::default();
        let numbers = self.add_words(&mut builder, words, sheets.clone());
        for (row, sheet) in (base..).zip(sheets) {
            builder.row(row, sheet, |form| numbers[form as usize]);
        }
        let (forward, terms_of) = (builder.forward(), builder.terms_of());
        let mut counts = vec![0_u32; builder.term_count()];
        let mut last_seen = vec![u32::MAX; counts.len()];
        let mut kinds = vec![Kind::Other; terms_of.len()];
        for (number, kind) in numbers.iter().zip(&words.kinds).filter(|(number, _)| **number != NO_FORM) {
            kinds[*number as usize] = *kind;
        }
        let mut title = Vec::new();
        let is_learnt = self.nouns.is_learnt();
        let mut add_heads = |nth: usize, found: &mut Vec<(u32, Field)>| {
            if is_learnt {
                title_words(forward.tokens(nth), Some, &mut title);
                heads(&title, |form| kinds[form as usize], |form| found.push((terms_of[form as usize].head, Field::Title)));
            }
        };
        let mut found: Vec<(u32, Field)> = Vec::new();
        for nth in 0..forward.len() {
            found.clear();
            let _ = occurrences(forward.tokens(nth), |form| terms_of[form as usize], &mut found);
            add_heads(nth, &mut found);
            for (term, _) in &found {
                let last_seen = &mut last_seen[*term as usize];
                if *last_seen != nth as u32 {
                    *last_seen = nth as u32;
                    counts[*term as usize] += 1;
                }
            }
        }
        drop(last_seen);
        let mut filling = Filling::new(&counts);
        for nth in 0..forward.len() {
            found.clear();
            let lengths = occurrences(forward.tokens(nth), |form| terms_of[form as usize], &mut found);
            add_heads(nth, &mut found);
            impacts(&mut found, &lengths.scales(), |term, impact| filling.add(term, forward.rows()[nth], impact));
        }
        let postings = filling.finish();
        builder.finish_with(postings)
    }

    /// Adds the forms that the sheets have, and their terms; answers the new number of each form.
    fn add_words<'a>(&self, builder: &mut SegmentBuilder, words: &Words, sheets: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u32> {
        let Words { forms, stems, kinds } = words;
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
        enum Use {
            None,
            Somewhere,
            Title,
        }
        let mut uses = vec![Use::None; forms.len()];
        let mut met = vec![0_u32; forms.len()];
        for token in sheets.clone().flat_map(Tokens::new) {
            let found = if token.field == Field::Title && token.role.is_word() { Use::Title } else { Use::Somewhere };
            met[token.form as usize] += 1;
            let most = &mut uses[token.form as usize];
            if *most < found {
                *most = found;
            }
        }
        let mut is_head = vec![false; forms.len()];
        if self.nouns.is_learnt() {
            let mut title = Vec::new();
            for sheet in sheets {
                title_words(Tokens::new(sheet), Some, &mut title);
                heads(&title, |form| kinds[form as usize], |form| is_head[form as usize] = true);
            }
        }
        let mut used: Vec<u32> = (0..forms.len() as u32).filter(|form| uses[*form as usize] != Use::None).collect();
        used.sort_unstable_by(|a, b| forms[*a as usize].cmp(&forms[*b as usize]));
        // The bytes of each term, once for each form that leads to it, and whether it is the one of titles.
        let mut terms: Vec<(Vec<u8>, u32, u8)> = Vec::with_capacity(2 * used.len());
        for &form in &used {
            let token = &*forms[form as usize];
            let stem = &*stems[form as usize];
            terms.push((stem.as_bytes().to_vec(), form, 0));
            if is_head[form as usize] {
                terms.push(([&[HEAD_MARK], stem.as_bytes()].concat(), form, HEAD_MARK));
            }
            if uses[form as usize] == Use::Title {
                terms.push(([&[TITLE_MARK], token.as_bytes()].concat(), form, TITLE_MARK));
            }
        }
        terms.sort_unstable();
        let mut terms_of = vec![TermsOf::NONE; forms.len()];
        for same in terms.chunk_by(|a, b| a.0 == b.0) {
            let number = builder.bare_term(&same[0].0);
            for (_, form, mark) in same {
                let terms = &mut terms_of[*form as usize];
                *(match *mark {
                    TITLE_MARK => &mut terms.title,
                    HEAD_MARK => &mut terms.head,
                    _ => &mut terms.term,
                }) = number;
            }
        }
        let mut numbers = vec![NO_FORM; forms.len()];
        builder.number_forms(used.iter().map(|form| met[*form as usize]));
        for form in used {
            let at = form as usize;
            numbers[at] = builder.form(forms[at].as_bytes(), terms_of[at], met[at]);
        }
        numbers
    }
}

/// The documents' numbers in the order of their rows: by category path, those without one first, then the most popular first, then by key.
fn order(docs: &[Doc], paths: &[Vec<String>]) -> Vec<u32> {
    let mut by_path: Vec<u32> = (0..paths.len() as u32).collect();
    by_path.sort_unstable_by_key(|path| &paths[*path as usize]);
    let mut ranks = vec![0_u32; paths.len()];
    for (rank, path) in (1..).zip(by_path) {
        ranks[path as usize] = rank;
    }
    let mut order: Vec<u32> = (0..docs.len() as u32).collect();
    order.sort_unstable_by_key(|at| {
        let Doc { key, columns, path, .. } = &docs[*at as usize];
        (path.map_or(0, |path| ranks[path as usize]), Reverse(columns.popularity), *key)
    });
    order
}
