//! Filters over a set of rows.
//!
//! Path: a set of matching rows + one `Filter` → `Rows::passing` → the rows of the set that pass. A filter reads whichever is less:
//! the sets of rows kept per brand and category, or the column entries of the rows in the set.
//! Where no set is needed (only the best rows are wanted) a filter is a set of its own if it names brands or categories ([`Rows::named`]), else a
//! [`Test`] of the rows that are good enough.
//! Where the budget is used up, rows that were not looked at do not pass: what is cut short finds less, and nothing wrong.

use crate::attributes::Column;
use crate::bitset::Bitset;
use crate::budget::{Meter, cost};
use crate::pieces::Pieces;
use crate::query::{FacetField, Filter};
use crate::rows::{NO_PRICE, NO_RATING, Rows};

/// Rows of a brand that are gone through at once.
const BRAND_ROWS: usize = 4096;

/// Whether a filter is on the field that a facet counts, and so is left out of that facet's counts.
pub(crate) fn same_field(filter: &Filter, field: &FacetField) -> bool {
    match (filter, field) {
        (Filter::Brand(_), FacetField::Brand)
        | (Filter::Category(_), FacetField::Category | FacetField::CategoryTree { .. })
        | (Filter::Price { .. }, FacetField::Price | FacetField::PriceHistogram { .. })
        | (Filter::Rating { .. }, FacetField::Rating)
        | (Filter::InStock(_), FacetField::InStock) => true,
        (
            Filter::Attribute { name, .. } | Filter::AttributeRange { name, .. },
            FacetField::Attribute(counted) | FacetField::AttributeHistogram { name: counted, .. },
        ) => name == counted,
        (
            Filter::Brand(_)
            | Filter::Category(_)
            | Filter::Price { .. }
            | Filter::Rating { .. }
            | Filter::Attribute { .. }
            | Filter::AttributeRange { .. }
            | Filter::InStock(_),
            _,
        ) => false,
    }
}

/// A filter asked of one row at a time.
pub(crate) enum Test<'a> {
    /// Both ends included; no price is never between them.
    Price(i64, i64),
    /// As prices.
    Rating(u16, u16),
    /// Any of these values of the attribute.
    Values(u32, Vec<u32>),
    /// A number of the attribute, both ends included.
    Numbers(u32, &'a Column, f64, f64),
    /// Any row but these, which ascend.
    NoneOf(&'a [u32]),
    /// No row passes.
    Never,
}

impl Test<'_> {
    /// What it costs to ask it of a row.
    pub(crate) fn cost(&self) -> u64 {
        match self {
            Self::Price(..) | Self::Rating(..) | Self::Never => cost::COLUMN,
            Self::Values(_, wanted) => cost::TEST + wanted.len() as u64 / cost::TEST_VALUES,
            Self::Numbers(..) | Self::NoneOf(_) => cost::TEST,
        }
    }

    pub(crate) fn passes(&self, rows: &Rows, row: u32) -> bool {
        let values = |attribute: u32| rows.values.of(row).iter().filter(move |entry| entry.0 == attribute).map(|entry| entry.1);
        match self {
            Self::Price(min, max) => (*min..=*max).contains(&rows.prices[row as usize]),
            Self::Rating(min, max) => (*min..=*max).contains(&rows.ratings[row as usize]),
            Self::Values(attribute, wanted) => values(*attribute).any(|value| wanted.contains(&value)),
            Self::Numbers(attribute, column, min, max) => {
                values(*attribute).filter_map(|value| column.number(value)).any(|number| (*min..=*max).contains(&number))
            }
            Self::NoneOf(left_out) => left_out.binary_search(&row).is_err(),
            Self::Never => false,
        }
    }
}

/// The ends of a price filter, outside of which the mark of no price is.
fn prices(min: Option<i64>, max: Option<i64>) -> (i64, i64) {
    (min.unwrap_or(NO_PRICE).max(NO_PRICE + 1), max.unwrap_or(i64::MAX))
}

/// As [`prices`].
fn ratings(min: Option<u16>, max: Option<u16>) -> (u16, u16) {
    (min.unwrap_or(0), max.unwrap_or(NO_RATING - 1).min(NO_RATING - 1))
}

impl Rows {
    /// The rows in use that pass a filter on brands or categories. O(rows found, and a bit a row).
    pub(crate) fn named(&self, filter: &Filter, meter: &Meter) -> Option<Bitset> {
        match filter {
            Filter::Brand(wanted) => {
                let mut set = Bitset::with_rows(self.end());
                for id in wanted.iter().filter_map(|name| self.brands.find(name)) {
                    self.insert_brand(id, meter, |row| set.insert(row));
                }
                Some(set)
            }
            Filter::Category(keys) => Some(self.in_categories(&self.live, keys, meter)),
            Filter::Price { .. }
            | Filter::Rating { .. }
            | Filter::Attribute { .. }
            | Filter::AttributeRange { .. }
            | Filter::InStock(_) => None,
        }
    }

    /// A filter on columns or attributes as a test; `None` for those that [`Rows::named`] answers, and for stock, which only the caller knows.
    pub(crate) fn test(&self, filter: &Filter) -> Option<Test<'_>> {
        match filter {
            Filter::Brand(_) | Filter::Category(_) | Filter::InStock(_) => None,
            Filter::Price { min, max } => {
                let (min, max) = prices(*min, *max);
                Some(Test::Price(min, max))
            }
            Filter::Rating { min, max } => {
                let (min, max) = ratings(*min, *max);
                Some(Test::Rating(min, max))
            }
            Filter::Attribute { name, any_of } => Some(self.attributes.numbered(name).map_or(Test::Never, |(id, column)| {
                Test::Values(id, any_of.iter().filter_map(|value| column.find_wanted(value)).collect())
            })),
            Filter::AttributeRange { name, min, max } => Some(self.attributes.numbered(name).map_or(Test::Never, |(id, column)| {
                Test::Numbers(id, column, min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY))
            })),
        }
    }

    /// Rows of `set` that pass. `in_stock` is asked by [`Filter::InStock`] alone.
    pub(crate) fn passing(&self, set: &Bitset, filter: &Filter, in_stock: &dyn Fn(u32) -> bool, meter: &Meter) -> Bitset {
        match filter {
            _ if !meter.may_go_on() => Bitset::default(),
            Filter::Brand(names) => self.of_brands(set, names, meter),
            Filter::Category(keys) => self.in_categories(set, keys, meter),
            Filter::Price { min, max } => {
                let (min, max) = prices(*min, *max);
                self.scan(set, &self.prices, meter, |price| (min..=max).contains(&price))
            }
            Filter::Rating { min, max } => {
                let (min, max) = ratings(*min, *max);
                self.scan(set, &self.ratings, meter, |rating| (min..=max).contains(&rating))
            }
            Filter::Attribute { name, any_of } => {
                let Some(column) = self.attributes.column(name) else { return Bitset::default() };
                let wanted: Vec<u32> = any_of.iter().filter_map(|value| column.find_wanted(value)).collect();
                let mut passing = Bitset::with_rows(self.end());
                if !wanted.is_empty() {
                    column.for_each_in(set, meter, |row, value| {
                        if wanted.contains(&value) {
                            passing.insert(row);
                        }
                    });
                }
                passing
            }
            Filter::AttributeRange { name, min, max } => {
                let Some(column) = self.attributes.column(name) else { return Bitset::default() };
                let (min, max) = (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY));
                let mut passing = Bitset::with_rows(self.end());
                column.for_each_in(set, meter, |row, value| {
                    if column.number(value).is_some_and(|number| (min..=max).contains(&number)) {
                        passing.insert(row);
                    }
                });
                passing
            }
            Filter::InStock(wanted) => {
                let mut passing = Bitset::with_rows(self.end());
                set.each(meter, cost::COLUMN, |row| {
                    if in_stock(row) == *wanted {
                        passing.insert(row);
                    }
                });
                passing
            }
        }
    }

    /// Rows of the set on a path with any of the keys. O(a bit a row, and the paths).
    fn in_categories(&self, set: &Bitset, keys: &[String], meter: &Meter) -> Bitset {
        let wanted: Vec<u32> = keys.iter().filter_map(|key| self.categories.keys.find(key)).collect();
        if wanted.is_empty() {
            return Bitset::default();
        }
        let has = |place: u32| self.categories.path(place).iter().any(|key| wanted.contains(key));
        meter.charge(self.categories.place_end() as u64 * 2 * cost::COLUMN);
        let places: Vec<bool> = (0..self.categories.place_end() as u32).map(has).collect();
        let mut passing = Bitset::with_rows(self.end());
        let words = passing.words_mut(0, set.words().len());
        self.stretches.each(
            set,
            meter,
            |row| self.places[row as usize],
            |place, rows, at| {
                if places.get(place as usize) == Some(&true) {
                    words[at] |= rows;
                }
            },
        );
        passing
    }

    fn scan<T: Copy>(&self, set: &Bitset, column: &Pieces<T>, meter: &Meter, test: impl Fn(T) -> bool) -> Bitset {
        let mut passing = Bitset::with_rows(self.end());
        set.each_of(column, meter, cost::COLUMN, |row, value| {
            if test(value) {
                passing.insert(row);
            }
        });
        passing
    }

    /// Calls `insert` with the rows of a brand, some thousand of them for each look at the budget.
    fn insert_brand(&self, id: u32, meter: &Meter, mut insert: impl FnMut(u32)) {
        let mut rows = self.brands.rows(id).iter();
        while rows.len() > 0 && meter.may_spend(rows.len().min(BRAND_ROWS) as u64 * cost::COLUMN) {
            rows.by_ref().take(BRAND_ROWS).for_each(&mut insert);
        }
    }

    /// Rows of the set that have any of the brands: by the brands' own rows when those are fewer than the set, else row by row.
    fn of_brands(&self, set: &Bitset, wanted: &[String], meter: &Meter) -> Bitset {
        let ids: Vec<u32> = wanted.iter().filter_map(|name| self.brands.find(name)).collect();
        if ids.iter().map(|id| self.brands.rows(*id).len()).sum::<u64>() >= set.count() {
            return self.scan(set, &self.brand_ids, meter, |brand| ids.contains(&brand));
        }
        let mut passing = Bitset::with_rows(self.end());
        for id in ids {
            self.insert_brand(id, meter, |row| {
                if set.contains(row) {
                    passing.insert(row);
                }
            });
        }
        passing
    }
}
