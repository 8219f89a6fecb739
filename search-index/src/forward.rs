//! What each document says, word by word.
//!
//! Path: a document's texts → [`analyse`] (fields in order, tokens as numbers of forms) → [`Sheet`], the bytes of one document → [`Forward`], those of many.
//! Read back as [`Tokens`]: for a document's terms when it is removed, for merges, for saving, and for whatever asks where words stand.
//! A form is a token as texts have it, folded and not stemmed. Further spellings of words (`tn2110` for `TN-2110`) are marked: they find the document,
//! but they stand nowhere in it and count in no length.
//!
//! Bytes of a sheet: a byte with a bit a field that has tokens, from the lowest on; then for each of these the varint of its tokens, and each token as a
//! varint of four times its form, plus 1 for a further spelling, or 2 for a word that ends a phrase.

use crate::analysis::{Analyzer, Role};
use crate::document::{AttributeValue, Document};
use crate::impact::{FIELDS, Field, Lengths};
use crate::segment::shrink;

/// Forms have numbers below this, so that one and its marks are 32 bits.
pub(crate) const FORMS_MAX: u32 = 1 << 30;
/// In the place of a term's number: none.
pub(crate) const NO_TERM: u32 = u32::MAX;

/// The tokens of one document, while they are being written.
#[derive(Default)]
pub(crate) struct Sheet {
    bytes: Vec<u8>,
    field: Vec<u32>,
}

impl Sheet {
    fn begin(&mut self) {
        self.bytes.clear();
        self.bytes.push(0);
    }

    fn token(&mut self, form: u32, role: Role) {
        let role = match role {
            Role::Word { ends: false } => 0,
            Role::Spelling => 1,
            Role::Word { ends: true } => 2,
        };
        self.field.push(form << 2 | role);
    }

    fn end_field(&mut self, field: Field) {
        if self.field.is_empty() {
            return;
        }
        self.bytes[0] |= 1 << field as u8;
        push_varint(&mut self.bytes, self.field.len() as u32);
        for token in self.field.drain(..) {
            push_varint(&mut self.bytes, token);
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn tokens(&self) -> Tokens<'_> {
        Tokens::new(&self.bytes)
    }
}

/// Writes a document's tokens; `form_of` gives each its number.
pub(crate) fn analyse(analyzer: &Analyzer, document: &Document, sheet: &mut Sheet, mut form_of: impl FnMut(&str) -> u32) {
    sheet.begin();
    let mut add = |sheet: &mut Sheet, text: &str| {
        if !text.is_empty() {
            Analyzer::document_tokens(&analyzer.fold(text), |token, role| sheet.token(form_of(token), role));
        }
    };
    for field in FIELDS {
        match field {
            Field::Title => add(sheet, &document.title),
            Field::Brand => add(sheet, document.brand.as_deref().unwrap_or_default()),
            Field::Model => add(sheet, &document.model),
            Field::Keywords => add(sheet, &document.keywords),
            Field::Description => add(sheet, &document.description),
            Field::Attributes => {
                for (_, value) in &document.attributes {
                    match value {
                        AttributeValue::Text(text) => add(sheet, text),
                        AttributeValue::Keyword(_) | AttributeValue::Number(_) | AttributeValue::Bool(_) => {}
                    }
                }
            }
        }
        sheet.end_field(field);
    }
}

/// A token of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) field: Field,
    pub(crate) form: u32,
    pub(crate) role: Role,
}

/// The tokens of a sheet, in order. It ends at whatever is not as [`Sheet`] writes it.
#[derive(Clone)]
pub(crate) struct Tokens<'a> {
    rest: &'a [u8],
    /// Fields still to come, the one at hand included.
    fields: u8,
    /// Tokens left of the field at hand.
    left: u32,
    field: Field,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(sheet: &'a [u8]) -> Self {
        let (fields, rest) = sheet.split_first().map_or((0, sheet), |(fields, rest)| (*fields, rest));
        Self { rest, fields, left: 0, field: Field::Title }
    }

    fn varint(&mut self) -> Option<u32> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        let mut value = u32::from(first & 0x7f);
        if *first < 0x80 {
            return Some(value);
        }
        for shift in [7, 14, 21, 28] {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u32::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

/// Whether bytes are as [`Sheet`] writes them, with forms below `forms`.
pub(crate) fn is_sheet(bytes: &[u8], forms: usize) -> bool {
    let mut tokens = Tokens::new(bytes);
    let mut fields = tokens.fields;
    if bytes.is_empty() || fields >> FIELDS.len() != 0 {
        return false;
    }
    while fields != 0 {
        fields &= fields - 1;
        let Some(count) = tokens.varint().filter(|count| *count > 0) else { return false };
        for _ in 0..count {
            if tokens.varint().is_none_or(|token| (token >> 2) as usize >= forms || token & 3 == 3) {
                return false;
            }
        }
    }
    tokens.rest.is_empty()
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        while self.left == 0 {
            let field = *FIELDS.get(self.fields.trailing_zeros() as usize)?;
            self.fields &= self.fields - 1;
            self.field = field;
            self.left = self.varint()?;
        }
        self.left -= 1;
        let token = self.varint()?;
        let role = if token & 1 == 0 { Role::Word { ends: token & 2 == 2 } } else { Role::Spelling };
        Some(Token { field: self.field, form: token >> 2, role })
    }
}

/// The terms that a form leads to: its stem; where it is a word of a title, the entry that suggestions complete; where a title is about it, its marked stem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TermsOf {
    pub(crate) term: u32,
    /// [`NO_TERM`] if no title has the form.
    pub(crate) title: u32,
    /// [`NO_TERM`] if no title is about it.
    pub(crate) head: u32,
}

impl TermsOf {
    pub(crate) const NONE: Self = Self { term: NO_TERM, title: NO_TERM, head: NO_TERM };
}

/// Adds each occurrence of a term, and answers how long the fields are.
pub(crate) fn occurrences(tokens: Tokens<'_>, terms: impl Fn(u32) -> TermsOf, found: &mut Vec<(u32, Field)>) -> Lengths {
    let mut lengths = Lengths::default();
    for Token { field, form, role } in tokens {
        let TermsOf { term, title, .. } = terms(form);
        found.push((term, field));
        if role.is_word() {
            lengths.add(field);
            if field == Field::Title {
                found.push((title, field));
            }
        }
    }
    lengths
}

/// The sheets of many rows.
#[derive(Default)]
pub(crate) struct Forward {
    /// Ascending.
    rows: Vec<u32>,
    /// Where the nth row's sheet ends in `bytes`.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Forward {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// A row's place; `None` if it is not here. O(1) where rows follow each other, as a bulk load leaves them.
    pub(crate) fn find(&self, row: u32) -> Option<usize> {
        let guess = row.checked_sub(*self.rows.first()?)? as usize;
        if self.rows.get(guess) == Some(&row) { Some(guess) } else { self.rows.binary_search(&row).ok() }
    }

    pub(crate) fn sheet(&self, nth: usize) -> &[u8] {
        let from = nth.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.bytes[from..self.ends[nth] as usize]
    }

    pub(crate) fn tokens(&self, nth: usize) -> Tokens<'_> {
        Tokens::new(self.sheet(nth))
    }

    /// Adds a row behind the others, its sheet with each form's number changed to `form_of` it.
    pub(crate) fn push(&mut self, row: u32, sheet: &[u8], form_of: impl Fn(u32) -> u32) {
        debug_assert!(self.rows.last().is_none_or(|last| *last < row), "rows come in order");
        push_sheet(&mut self.bytes, sheet, form_of);
        self.rows.push(row);
        self.ends.push(u32::try_from(self.bytes.len()).expect("merges stop short of four gigabytes of sheets"));
    }

    /// Gives back what is not needed.
    pub(crate) fn shrink(&mut self) {
        shrink(&mut self.rows);
        shrink(&mut self.ends);
        shrink(&mut self.bytes);
    }

    /// Makes room for the rows of another, so that nothing is moved while they come.
    pub(crate) fn reserve_for(&mut self, other: &Self) {
        self.rows.reserve(other.rows.len());
        self.ends.reserve(other.ends.len());
        self.bytes.reserve(other.bytes.len());
    }

    /// Bytes of the heap in use.
    pub(crate) fn bytes(&self) -> usize {
        4 * (self.rows.len() + self.ends.len()) + self.bytes.len()
    }
}

/// Adds a sheet with each form's number changed to `form_of` it.
pub(crate) fn push_sheet(out: &mut Vec<u8>, sheet: &[u8], form_of: impl Fn(u32) -> u32) {
    let mut tokens = Tokens::new(sheet);
    let mut fields = tokens.fields;
    out.push(fields);
    while fields != 0 {
        fields &= fields - 1;
        let Some(count) = tokens.varint() else { break };
        push_varint(out, count);
        for _ in 0..count {
            let Some(token) = tokens.varint() else { break };
            push_varint(out, form_of(token >> 2) << 2 | token & 3);
        }
    }
}

/// LEB128: 7 bits a byte, the low ones first, the high bit set on all bytes but the last.
pub(crate) fn push_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::DocKey;

    fn document() -> Document {
        Document {
            title: "Brother TN-2110".into(),
            description: "toner".into(),
            attributes: vec![
                ("a".into(), AttributeValue::Text("black".into())),
                ("b".into(), AttributeValue::Number(1.0)),
                ("c".into(), AttributeValue::Text("8 GB".into())),
            ],
            ..Document::new(DocKey(1))
        }
    }

    fn sheet() -> (Sheet, Vec<String>) {
        let (mut sheet, mut forms) = (Sheet::default(), Vec::new());
        analyse(&Analyzer::default(), &document(), &mut sheet, |token| {
            forms.push(token.to_owned());
            forms.len() as u32 * 1_000 // some of one byte, some of more
        });
        (sheet, forms)
    }

    #[test]
    fn what_was_written_is_read() {
        let (sheet, forms) = sheet();
        let read: Vec<String> = sheet
            .tokens()
            .map(|Token { field, form, role }| {
                let mark = match role {
                    Role::Word { ends: false } => "",
                    Role::Word { ends: true } => ".",
                    Role::Spelling => "+",
                };
                format!("{field:?}:{mark}{}", forms[form as usize / 1_000 - 1])
            })
            .collect();
        let wanted = [
            "Title:brother",
            "Title:tn",
            "Title:.2110",
            "Title:+tn2110",
            "Description:.toner",
            "Attributes:.black",
            "Attributes:8",
            "Attributes:.gb",
            "Attributes:+8gb",
        ];
        assert_eq!(read, wanted);
        let mut forward = Forward::default();
        forward.push(3, sheet.bytes(), |form| form);
        forward.push(7, sheet.bytes(), |form| form + 5);
        assert_eq!((forward.len(), forward.rows(), forward.sheet(0)), (2, &[3, 7][..], sheet.bytes()));
        let moved: Vec<Token> = sheet.tokens().map(|token| Token { form: token.form + 5, ..token }).collect();
        assert_eq!(forward.tokens(1).collect::<Vec<_>>(), moved);
    }

    #[test]
    fn other_bytes_are_told_apart_and_end_early() {
        let (sheet, _) = sheet();
        let good = sheet.bytes();
        assert!(is_sheet(good, 9_001) && !is_sheet(good, 9_000) && is_sheet(&[0], 0));
        for cut in 0..good.len() {
            assert!(!is_sheet(&good[..cut], 9_001), "cut at {cut}");
            assert!(Tokens::new(&good[..cut]).count() < 9);
        }
        for bad in [&[0x40][..], &[1, 0], &[1, 1, 3], &[1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 1], &[0, 0], &[0xff; 9]] {
            assert!(!is_sheet(bad, usize::MAX), "{bad:?}");
            let _ = Tokens::new(bad).count();
        }
    }
}
