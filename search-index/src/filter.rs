//! Filters over a set of rows.
//!
//! Path: a set of matching rows + one `Filter` → `Rows::passing` → the rows of the set that pass. A filter reads whichever is less:
//! the sets of rows kept per brand and category, or the column entries of the rows in the set.

use crate::bitset::Bitset;
use crate::names::Names;
use crate::query::{FacetField, Filter};
use crate::rows::{NO_PRICE, NO_RATING, Rows};

/// Whether a filter is on the field that a facet counts, and so is left out of that facet's counts.
pub(crate) fn same_field(filter: &Filter, field: &FacetField) -> bool {
    match (filter, field) {
        (Filter::Brand(_), FacetField::Brand)
        | (Filter::Category(_), FacetField::Category)
        | (Filter::Price { .. }, FacetField::Price | FacetField::PriceHistogram { .. })
        | (Filter::InStock(_), FacetField::InStock) => true,
        (Filter::Attribute { name, .. } | Filter::AttributeRange { name, .. }, FacetField::Attribute(counted)) => name == counted,
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

impl Rows {
    /// Rows of `set` that pass. `in_stock` is asked by [`Filter::InStock`] alone.
    pub(crate) fn passing(&self, set: &Bitset, filter: &Filter, in_stock: &dyn Fn(u32) -> bool) -> Bitset {
        match filter {
            Filter::Brand(names) => {
                self.with_names(set, &self.brands, names, |wanted| self.scan(set, |row| wanted.contains(&self.brand_ids[row])))
            }
            Filter::Category(keys) => self.with_names(set, &self.categories.keys, keys, |wanted| {
                let places: Vec<bool> = (0..self.categories.place_end() as u32)
                    .map(|place| self.categories.path(place).iter().any(|key| wanted.contains(key)))
                    .collect();
                self.scan(set, |row| places.get(self.places[row] as usize).copied().unwrap_or(false))
            }),
            Filter::Price { min, max } => {
                let (min, max) = (min.unwrap_or(NO_PRICE).max(NO_PRICE + 1), max.unwrap_or(i64::MAX));
                self.scan(set, |row| (min..=max).contains(&self.prices[row]))
            }
            Filter::Rating { min, max } => {
                let (min, max) = (min.unwrap_or(0), max.unwrap_or(NO_RATING - 1).min(NO_RATING - 1));
                self.scan(set, |row| (min..=max).contains(&self.ratings[row]))
            }
            Filter::Attribute { name, any_of } => {
                let Some(column) = self.attributes.column(name) else { return Bitset::default() };
                let wanted: Vec<u32> = any_of.iter().filter_map(|value| column.find_wanted(value)).collect();
                let mut passing = Bitset::with_rows(self.end());
                if !wanted.is_empty() {
                    column.for_each_in(set, |row, value| {
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
                column.for_each_in(set, |row, value| {
                    if column.number(value).is_some_and(|number| (min..=max).contains(&number)) {
                        passing.insert(row);
                    }
                });
                passing
            }
            Filter::InStock(wanted) => self.scan(set, |row| in_stock(row as u32) == *wanted),
        }
    }

    fn scan(&self, set: &Bitset, test: impl Fn(usize) -> bool) -> Bitset {
        let mut passing = Bitset::with_rows(self.end());
        for row in set.iter() {
            if test(row as usize) {
                passing.insert(row);
            }
        }
        passing
    }

    /// Rows of the set that any of the names has: by the names' own rows when those are fewer than the set, else by `scan`.
    fn with_names(&self, set: &Bitset, names: &Names, wanted: &[String], scan: impl FnOnce(&[u32]) -> Bitset) -> Bitset {
        let ids: Vec<u32> = wanted.iter().filter_map(|name| names.find(name)).collect();
        if ids.is_empty() {
            return Bitset::default();
        }
        if ids.iter().map(|id| names.rows(*id).len()).sum::<u64>() >= set.count() {
            return scan(&ids);
        }
        let mut passing = Bitset::with_rows(self.end());
        for id in ids {
            names.rows(id).iter().filter(|row| set.contains(*row)).for_each(|row| passing.insert(row));
        }
        passing
    }
}
