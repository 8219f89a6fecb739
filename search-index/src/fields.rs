//! Conditions on one field, in the text of a query: `brand:hp laptop`, `title:"usb c"`, `-brand:canon`, `screen_size:15.6`.
//!
//! Path: text → [`Named::at`] (a name, a colon and a value, without spaces between them) → what the name is of: a field of every document, or an attribute that some
//! document has → [`Condition`] → [`Index::rows_of_condition`], a set of rows. Where the name is of nothing, the text is words as it stands.
//! A value is looked for by its words, as they are folded and stemmed everywhere, side by side in the field; a single one in any spelling that finds the document too. It
//! is looked for as it stands: without slips and synonyms. It says which documents are found and not in which order.
//! Attributes are called by their names, each stretch of what is no letter or digit being one underscore: `Screen size (inch)` is `screen_size_inch`.
//! Cost: a sheet read for each row that has all words of the value, some 100 ns; of brands, categories and attributes each distinct value taken apart, some 100 ns a
//! word. Where the budget ends, rows that were not looked at are not found, whichever way the condition is.

use smallvec::SmallVec;

use crate::analysis::{Analyzer, Role, fold_name};
use crate::attributes::Column;
use crate::bitset::Bitset;
use crate::budget::{Meter, cost};
use crate::counts::FacetKey;
use crate::impact::Field;
use crate::index::Index;
use crate::names::Names;
use crate::operators::{Phrase, is_quote, of_quotation};

/// Before the name of an attribute that is called as a field is: `attr.brand:x`.
const OF_ATTRIBUTE: &str = "attr.";

/// A value looked at: folded, cut into words, and these brought to their stems.
const VALUE_COST: u64 = 3 * cost::STEM;

/// What a condition is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A searched text of the document.
    Text(Field),
    Brand,
    /// Any key of the path.
    Category,
    /// All attributes that are called so, see [`called`].
    Attribute(String),
}

/// Fields that every index has, by what they are called.
const PLACES: [(&str, Place); 7] = [
    ("title", Place::Text(Field::Title)),
    ("description", Place::Text(Field::Description)),
    ("model", Place::Text(Field::Model)),
    ("keywords", Place::Text(Field::Keywords)),
    // The keywords of a product are what its variants are called.
    ("sku", Place::Text(Field::Keywords)),
    ("brand", Place::Brand),
    ("category", Place::Category),
];

/// What an attribute is called in a query's text: folded, and each stretch of what is no letter or digit one underscore. Empty for a name without any.
pub(crate) fn called(name: &str) -> String {
    let folded = fold_name(name);
    let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// What a row must have, or must not, in one field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) place: Place,
    pub(crate) value: Value,
    /// Whether rows that have it are not wanted.
    pub(crate) not: bool,
}

/// What is looked for in a field; text, a number or a flag, whatever the field has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    /// Any of these: the words, and other spellings of all of them together.
    pub(crate) any_of: SmallVec<[Phrase; 2]>,
    number: Option<f64>,
    flag: Option<bool>,
}

impl Value {
    /// `None` for what has no words.
    fn of(text: &str, analyzer: &Analyzer) -> Option<Self> {
        let words = analyzer.phrase(text);
        if words.is_empty() {
            return None;
        }
        let mut any_of: SmallVec<[Phrase; 2]> = SmallVec::new();
        any_of.extend(analyzer.spelling_of_all(text).map(|spelling| vec![spelling]).filter(|spelling| *spelling != words));
        any_of.insert(0, words);
        let text = text.trim();
        let is_number = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'));
        let flag = ["false", "true"].iter().position(|flag| text.eq_ignore_ascii_case(flag)).map(|at| at == 1);
        Some(Self { any_of, number: text.parse().ok().filter(|_| is_number), flag })
    }

    /// Whether a text says it. O(text), and no memory but for the text's tokens: this is asked of every distinct value of a field.
    fn is_in(&self, text: &str, analyzer: &Analyzer) -> bool {
        let is = |token: &str, term: &str| {
            // No stem of a Latin word begins otherwise than the word.
            let may_be = !token.is_ascii() || token.as_bytes().first() == term.as_bytes().first();
            may_be && analyzer.stem(token) == term
        };
        // For each phrase that is begun, which it is and how many words of it stand there.
        let mut begun: SmallVec<[(usize, usize); 4]> = SmallVec::new();
        let mut found = false;
        Analyzer::document_tokens(&analyzer.fold(text), |token, role| match role {
            _ if found => {}
            // A single word is there in any spelling.
            Role::Spelling => found = self.any_of.iter().any(|phrase| phrase.len() == 1 && is(token, &phrase[0])),
            Role::Word { .. } => {
                begun.extend((0..self.any_of.len()).map(|nth| (nth, 0)));
                begun.retain(|(nth, words)| {
                    let stands = is(token, &self.any_of[*nth][*words]);
                    *words += 1;
                    found |= stands && *words == self.any_of[*nth].len();
                    stands && !found
                });
            }
        });
        found
    }

    fn is(&self, key: &FacetKey, analyzer: &Analyzer) -> bool {
        match key {
            FacetKey::Text(text) => self.is_in(text, analyzer),
            FacetKey::Number(number) => self.number == Some(*number),
            FacetKey::Bool(flag) => self.flag == Some(*flag),
        }
    }
}

/// A name with a colon and a value behind it.
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    value: &'a str,
    /// Where the text goes on.
    pub(crate) end: usize,
}

impl<'a> Named<'a> {
    /// What stands at this place of a text, where a word begins: a name that begins with a letter, a colon, and a quotation or all up to the next space.
    pub(crate) fn at(text: &'a str, at: usize) -> Option<Self> {
        let rest = &text[at..];
        let len = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))?;
        let (name, behind) = rest.split_at(len);
        let value = behind.strip_prefix(':').filter(|_| name.starts_with(char::is_alphabetic))?;
        let (from, first) = (text.len() - value.len(), value.chars().next()?);
        if is_quote(first) {
            let (value, end) = of_quotation(text, from, first)?;
            return Some(Self { name, value, end });
        }
        let value = &value[..value.find(char::is_whitespace).unwrap_or(value.len())];
        let begins = value.strip_prefix('-').unwrap_or(value).starts_with(char::is_alphanumeric);
        begins.then_some(Self { name, value, end: from + value.len() })
    }

    /// The condition that it is, if it is one. `is_attribute` says whether there are attributes that are [`called`] so.
    pub(crate) fn condition(&self, not: bool, analyzer: &Analyzer, is_attribute: &mut dyn FnMut(&str) -> bool) -> Option<Condition> {
        let of_attribute = self.name.get(..OF_ATTRIBUTE.len()).filter(|begin| begin.eq_ignore_ascii_case(OF_ATTRIBUTE));
        let known = PLACES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(self.name)).map(|(_, place)| place);
        let place = known.or_else(|| {
            let called = called(&self.name[of_attribute.map_or(0, str::len)..]);
            (!called.is_empty() && is_attribute(&called)).then_some(Place::Attribute(called))
        })?;
        Some(Condition { place, value: Value::of(self.value, analyzer)?, not })
    }
}

impl Index {
    /// Which of these are names of attributes here, as [`named_fields`](crate::named_fields) has them.
    #[must_use]
    pub fn fields_among(&self, names: &[String]) -> Vec<String> {
        names.iter().filter(|name| self.rows.attributes.is_called(name)).cloned().collect()
    }

    /// Rows that have what the condition is of, some of them perhaps not of `among`. Where the budget ends they are fewer, and of a condition that forbids them more.
    pub(crate) fn rows_of_condition(&self, condition: &Condition, among: &Bitset, meter: &Meter) -> Bitset {
        let Condition { place, value, not } = condition;
        let rows = match place {
            Place::Text(field) => {
                let mut rows = Bitset::default();
                value.any_of.iter().for_each(|phrase| rows.or(&self.rows_with(phrase, Some(*field), among, *not, meter)));
                return rows;
            }
            Place::Brand => self.rows_of_names(&self.rows.brands, value, meter),
            Place::Category => self.rows_of_names(&self.rows.categories.keys, value, meter),
            Place::Attribute(name) => {
                let mut rows = Bitset::default();
                self.rows.attributes.called(name).for_each(|column| self.add_rows_of_column(column, value, &mut rows, meter));
                rows
            }
        };
        // Of those that were not looked at nobody knows that they may be found.
        if *not && !meter.may_go_on() { among.clone() } else { rows }
    }

    fn rows_of_names(&self, names: &Names, value: &Value, meter: &Meter) -> Bitset {
        let mut rows = Bitset::default();
        for id in (0..names.id_end() as u32).filter(|id| !names.rows(*id).is_empty()) {
            if !meter.may_spend(VALUE_COST) {
                break;
            }
            if value.is_in(names.text(id), &self.analyzer) {
                meter.charge(names.rows(id).len() * cost::COLUMN);
                names.rows(id).iter().for_each(|row| rows.insert(row));
            }
        }
        rows
    }

    fn add_rows_of_column(&self, column: &Column, value: &Value, rows: &mut Bitset, meter: &Meter) {
        let is_wanted = |id: u32| meter.may_spend(VALUE_COST) && value.is(column.value(id), &self.analyzer);
        let wanted: Vec<bool> = (0..column.value_end() as u32).map(is_wanted).collect();
        if wanted.contains(&true) {
            column.for_each_in(&self.rows.live, meter, |row, id| {
                if wanted[id as usize] {
                    rows.insert(row);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test] // Attribute's name, and how it is called.
    fn names_of_attributes() {
        for (name, wanted) in [
            ("colour", "colour"),
            ("Screen size (inch)", "screen_size_inch"),
            ("t_operating_temperature__t_t_", "t_operating_temperature_t_t"),
            ("Größe", "grosse"),
            ("--", ""),
        ] {
            assert_eq!(called(name), wanted);
            assert_eq!(called(wanted), wanted, "it is called as it is called");
        }
    }

    #[test] // Text, and the condition that it begins with; `colour` and `brand` are attributes.
    fn conditions() {
        let rows: [(&str, Option<(Place, &str)>); 22] = [
            ("brand:hp laptop", Some((Place::Brand, "hp"))),
            ("Brand:HP", Some((Place::Brand, "hp"))),
            ("title:\"usb cables\" x", Some((Place::Text(Field::Title), "usb cabl"))),
            ("title:“usb c”", Some((Place::Text(Field::Title), "usb c"))),
            ("sku:TN-2110", Some((Place::Text(Field::Keywords), "tn 2110 | tn2110"))),
            ("colour:dark-red", Some((Place::Attribute("colour".into()), "dark red"))),
            ("attr.colour:red", Some((Place::Attribute("colour".into()), "red"))),
            ("attr.brand:hp", Some((Place::Attribute("brand".into()), "hp"))),
            ("colour:-5", Some((Place::Attribute("colour".into()), "5"))),
            ("attr.title:x", None),
            ("size:42", None),
            ("http://example.com", None),
            ("16:9", None),
            ("4:3 ratio", None),
            ("brand: hp", None),
            ("brand:", None),
            ("brand", None),
            ("brand::hp", None),
            ("brand:\"hp", None),
            ("brand:\"\"", None),
            ("(brand:hp", None),
            ("brand hp:x", None),
        ];
        for (text, wanted) in rows {
            let analyzer = Analyzer::default();
            let found = Named::at(text, 0)
                .and_then(|named| named.condition(false, &analyzer, &mut |name| ["colour", "brand"].contains(&name)))
                .map(|found| (found.place, found.value.any_of.iter().map(|phrase| phrase.join(" ")).collect::<Vec<_>>().join(" | ")));
            assert_eq!(found, wanted.map(|(place, value)| (place, value.to_owned())), "{text}");
        }
    }

    #[test] // Value that is looked for, text that has it, text that has not.
    fn values_are_looked_for_by_words() {
        let analyzer = Analyzer::default();
        for (value, has, has_not) in [
            ("hp", "HP", "HPE"),
            ("packard", "Hewlett-Packard", "Packardbell"),
            ("hewlett-packard", "Hewlett Packard", "Packard Hewlett"),
            ("printer", "Laser printers", "printed"),
            ("tn2110", "TN-2110", "TN 2110"),
            ("tn-2110", "TN2110", "2110 TN"),
            ("8gb", "8 GB", "8 x GB"),
            ("the", "For the desk", "these"),
        ] {
            let value = Value::of(value, &analyzer).expect("it has words");
            assert!(value.is_in(has, &analyzer) && !value.is_in(has_not, &analyzer), "{value:?}");
        }
        let number = Value::of("1.50", &analyzer).expect("it has words");
        assert!(number.is(&FacetKey::Number(1.5), &analyzer) && !number.is(&FacetKey::Number(1.0), &analyzer));
        let flag = Value::of("True", &analyzer).expect("it has words");
        assert!(flag.is(&FacetKey::Bool(true), &analyzer) && !flag.is(&FacetKey::Bool(false), &analyzer));
    }

    proptest! {
        #[test] // Against all words of the text, compared stretch by stretch.
        fn words_stand_as_they_are_compared_one_by_one(value in "(a|b|lamps|tn-21)( (a|b|lamp|21)){0,4}", text in "((a|b|lamp|tn-21|tn21)[ ,]){0,12}") {
            let analyzer = Analyzer::default();
            let value = Value::of(&value, &analyzer).expect("it has words");
            let (mut words, mut spellings) = (Vec::new(), Vec::new());
            Analyzer::document_tokens(&analyzer.fold(&text), |token, role| {
                let term = analyzer.stem(token).into_owned();
                if role.is_word() { &mut words } else { &mut spellings }.push(term);
            });
            let stands = |phrase: &Phrase| {
                words.windows(phrase.len()).any(|stretch| stretch == &phrase[..]) || (phrase.len() == 1 && spellings.contains(&phrase[0]))
            };
            prop_assert_eq!(value.is_in(&text, &analyzer), value.any_of.iter().any(stands), "{:?} in {}", value, text);
        }
    }
}
