//! Counts over a set of rows: exact, unless the budget is used up, and then at most what they would be.
//!
//! Path: matching rows → `Faceting::new` (filters applied, each one on a counted field kept apart) → per request the rows that pass all
//! filters but the field's own → dense counters by value id → `Facet`. One pass over rows or column entries a facet.

use crate::bitset::Bitset;
use crate::budget::{Meter, cost};
use crate::category_nodes::nodes;
use crate::counts::{ColumnStats, Facet, FacetCounts, FacetKey, FacetValue, RATINGS_FROM, RatingBucket, histogram, top_values};
use crate::filter::same_field;
use crate::query::{FacetField, FacetRequest, Filter, FilterValue};
use crate::rows::{NO_PRICE, NO_RATING, Rows};

/// Matches after filtering, with what disjunctive counts need.
pub(crate) struct Faceting<'a> {
    /// Passing all filters on fields that no facet counts.
    narrowed: Bitset,
    /// For each other filter, the rows of `narrowed` that pass it.
    apart: Vec<(&'a Filter, Bitset)>,
    /// Passing all filters.
    pub(crate) passing: Bitset,
    /// Rows of `narrowed` in stock, if a facet asks.
    in_stock: Option<Bitset>,
    /// Whether those are all of them.
    all_asked: bool,
}

impl<'a> Faceting<'a> {
    /// Applies `filters` to `matches`; those on fields that `requests` count are kept apart.
    pub(crate) fn new(
        rows: &Rows,
        matches: Bitset,
        filters: &[&'a Filter],
        requests: &[FacetRequest],
        live: &dyn Fn(u32) -> bool,
        meter: &Meter,
    ) -> Self {
        let counted = |filter: &Filter| requests.iter().any(|request| same_field(filter, &request.field));
        let stock = |filter: &Filter| matches!(filter, Filter::InStock(_));
        let mut narrowed = matches;
        // The liveness function is the caller's and may be slow: it is asked last, about the fewest rows.
        for last in [false, true] {
            for filter in filters.iter().copied().filter(|filter| !counted(filter) && stock(filter) == last) {
                narrowed = rows.passing(&narrowed, filter, live, meter);
            }
        }
        if requests.is_empty() {
            // No filter is on a counted field then.
            return Self { passing: narrowed, narrowed: Bitset::default(), apart: Vec::new(), in_stock: None, all_asked: true };
        }
        let facet_of_stock = requests.iter().any(|request| request.field == FacetField::InStock);
        let in_stock = facet_of_stock.then(|| rows.passing(&narrowed, &Filter::InStock(true), live, meter));
        let all_asked = !facet_of_stock || meter.may_go_on();
        let mut passing = narrowed.clone();
        let apart: Vec<(&Filter, Bitset)> = filters
            .iter()
            .copied()
            .filter(|filter| counted(filter))
            .map(|filter| {
                // One answer of the liveness function serves the filter and the facet, so that the two agree.
                let asked = |row: u32| in_stock.as_ref().is_some_and(|set| set.contains(row));
                let pass = rows.passing(&narrowed, filter, &asked, meter);
                passing.and(&pass);
                (filter, pass)
            })
            .collect();
        Self { narrowed, apart, passing, in_stock, all_asked }
    }

    /// Answers one request; every value when `complete`, else the most frequent ones.
    pub(crate) fn count(&self, rows: &Rows, request: &FacetRequest, filters: &[&Filter], complete: bool, meter: &Meter) -> Facet {
        let own = |filter: &Filter| same_field(filter, &request.field);
        let without_own;
        let set = if self.apart.iter().any(|(filter, _)| own(filter)) {
            let mut set = self.narrowed.clone();
            self.apart.iter().filter(|(filter, _)| !own(filter)).for_each(|(_, pass)| set.and(pass));
            without_own = set;
            &without_own
        } else {
            &self.passing
        };
        let limit = if complete { None } else { Some(request.limit) };
        let values = |counts: &[u32], limit: Option<u16>, key: &dyn Fn(u32) -> FacetKey| {
            values(counts, limit, selected(filters, &request.field), request, meter, key)
        };
        let counts = match &request.field {
            FacetField::Brand => {
                let mut counts = vec![0_u32; rows.brands.id_end()];
                set.each_of(&rows.brand_ids, meter, cost::COLUMN, |_, brand| {
                    if let Some(count) = counts.get_mut(brand as usize) {
                        *count += 1;
                    }
                });
                values(&counts, limit, &|id| FacetKey::Text(rows.brands.text(id).clone()))
            }
            FacetField::Category => {
                let mut counts = vec![0_u32; rows.categories.keys.id_end()];
                for (place, count) in (0_u32..).zip(by_path(rows, set, meter)).filter(|(_, count)| *count > 0) {
                    rows.categories.path(place).iter().for_each(|key| counts[*key as usize] += count);
                }
                values(&counts, limit, &|id| FacetKey::Text(rows.categories.keys.text(id).clone()))
            }
            FacetField::CategoryTree { levels, .. } => {
                FacetCounts::Categories(nodes(&rows.categories, &by_path(rows, set, meter), filters.iter().copied(), *levels, meter))
            }
            FacetField::Attribute(name) => match rows.attributes.column(name) {
                Some(column) => {
                    let mut counts = vec![0_u32; column.value_end()];
                    column.for_each_in(set, meter, |_, value| counts[value as usize] += 1);
                    // Range and average are made of all numbers, whatever the limit.
                    values(&counts, limit.filter(|_| !column.has_numbers()), &|id| column.value(id).clone())
                }
                None => values(&[], limit, &|_| FacetKey::Bool(false)),
            },
            FacetField::AttributeHistogram { name, .. } => {
                let mut numbers = Vec::new();
                if let Some(column) = rows.attributes.column(name).filter(|column| column.has_numbers()) {
                    let mut counts = vec![0_u32; column.value_end()];
                    column.for_each_in(set, meter, |_, value| counts[value as usize] += 1);
                    let counted = (0_u32..).zip(counts).filter(|(id, count)| *count > 0 && column.number(*id).is_some());
                    numbers.extend(counted.take_while(|_| meter.may_spend(cost::VALUE)).map(|(id, count)| FacetValue {
                        value: column.value(id).clone(),
                        count: u64::from(count),
                        selected: false,
                    }));
                }
                FacetCounts::Values(numbers)
            }
            FacetField::Price => FacetCounts::Range(stats(rows, set, meter)),
            FacetField::PriceHistogram { buckets } => histogram(stats(rows, set, meter), *buckets, |add| {
                set.each_of(&rows.prices, meter, 5 * cost::COLUMN, |_, price| match price {
                    NO_PRICE => {}
                    price => add(price, 1),
                });
            }),
            FacetField::Rating => ratings(rows, set, filters, meter),
            FacetField::InStock => {
                let mut yes = set.clone();
                match &self.in_stock {
                    Some(in_stock) => yes.and(in_stock),
                    None => yes = Bitset::default(),
                }
                let no = if self.all_asked { set.count() - yes.count() } else { 0 };
                values(&[no as u32, yes.count() as u32], limit, &|id| FacetKey::Bool(id == 1))
            }
        };
        Facet { field: request.field.clone(), counts, numbers: None }
    }
}

/// Rows of the set by their category path.
fn by_path(rows: &Rows, set: &Bitset, meter: &Meter) -> Vec<u32> {
    let mut counts = vec![0_u32; rows.categories.place_end()];
    rows.stretches.each(
        set,
        meter,
        |row| rows.places[row as usize],
        |place, word, _| {
            if let Some(count) = counts.get_mut(place as usize) {
                *count += word.count_ones();
            }
        },
    );
    counts
}

fn stats(rows: &Rows, set: &Bitset, meter: &Meter) -> Option<ColumnStats> {
    let mut stats = None;
    set.each_of(&rows.prices, meter, cost::COLUMN, |_, price| match price {
        NO_PRICE => {}
        price => stats = ColumnStats::with(stats, price),
    });
    stats
}

fn ratings(rows: &Rows, set: &Bitset, filters: &[&Filter], meter: &Meter) -> FacetCounts {
    let asked = |from: u16| filters.iter().any(|filter| **filter == Filter::Rating { min: Some(from), max: None });
    let mut buckets = RATINGS_FROM.map(|from| RatingBucket { from, count: 0, selected: asked(from) });
    let mut stats = None;
    set.each_of(&rows.ratings, meter, 2 * cost::COLUMN, |_, rating| match rating {
        NO_RATING => {}
        rating => {
            stats = ColumnStats::with(stats, i64::from(rating));
            buckets.iter_mut().for_each(|bucket| bucket.count += u64::from(rating >= bucket.from));
        }
    });
    FacetCounts::Ratings { stats, buckets }
}

/// Values that the query's filters on the field name.
fn selected(filters: &[&Filter], field: &FacetField) -> Vec<FacetKey> {
    let mut keys: Vec<FacetKey> = Vec::new();
    for filter in filters.iter().copied().filter(|filter| same_field(filter, field)) {
        match filter {
            Filter::Brand(names) | Filter::Category(names) => keys.extend(names.iter().map(|name| FacetKey::Text(name.as_str().into()))),
            Filter::Attribute { any_of, .. } => keys.extend(any_of.iter().map(|value| match value {
                FilterValue::Text(text) => FacetKey::Text(text.as_str().into()),
                FilterValue::Number(number) => FacetKey::Number(if *number == 0.0 { 0.0 } else { *number }),
                FilterValue::Bool(flag) => FacetKey::Bool(*flag),
            })),
            Filter::InStock(wanted) => keys.push(FacetKey::Bool(*wanted)),
            Filter::Price { .. } | Filter::Rating { .. } | Filter::AttributeRange { .. } => {}
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Counters by value id as facet values, those that were typed if some were. With a limit, names are only looked up for values that can still be among the first.
fn values(
    counts: &[u32],
    limit: Option<u16>,
    mut selected: Vec<FacetKey>,
    request: &FacetRequest,
    meter: &Meter,
    key: impl Fn(u32) -> FacetKey,
) -> FacetCounts {
    meter.charge(counts.len() as u64);
    let mut counted: Vec<(u32, u32)> = (0_u32..).zip(counts.iter().copied()).filter(|(_, count)| *count > 0).collect();
    if let Some(query) = &request.query {
        // Range and average are made of all numbers of an attribute, whatever was typed: the merge leaves out those that do not begin so.
        let is_of_attribute = matches!(request.field, FacetField::Attribute(_));
        let wanted = |key: &FacetKey| (is_of_attribute && matches!(key, FacetKey::Number(_))) || query.wants(key);
        counted.retain(|(id, _)| meter.may_spend(cost::VALUE) && wanted(&key(*id)));
        selected.retain(wanted);
    }
    if let Some(limit) = limit.map(usize::from).filter(|limit| counted.len() > *limit && selected.is_empty()) {
        let (_, least, _) = counted.select_nth_unstable_by(limit - 1, |a, b| b.1.cmp(&a.1));
        let least = least.1;
        counted.retain(|(_, count)| *count >= least);
    }
    let mut values: Vec<FacetValue> = counted
        .into_iter()
        .take_while(|_| meter.may_spend(cost::VALUE))
        .map(|(id, count)| {
            let value = key(id);
            let chosen = selected.iter().position(|wanted| *wanted == value);
            if let Some(at) = chosen {
                selected.swap_remove(at);
            }
            FacetValue { value, count: u64::from(count), selected: chosen.is_some() }
        })
        .collect();
    values.extend(selected.into_iter().map(|value| FacetValue { value, count: 0, selected: true }));
    FacetCounts::Values(match limit {
        Some(limit) => top_values(values, limit),
        None => values,
    })
}
