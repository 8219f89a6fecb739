//! The dullest counts that are right: every question reads all matches again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use search_index::{
    CategoryNode, ColumnStats, Document, FACET_LIMIT_MAX, Facet, FacetCounts, FacetField, FacetKey, FacetRequest, FacetValue, Filter,
    NumberBucket, NumberStats, PriceBucket, Query, RatingBucket,
};

use super::{Model, facet_key, in_stock, on_field, passes, wanted_key};

/// What is typed to find values of a facet. A [`search_index::FacetQuery`] does not say what it was made of.
pub(crate) const TYPED: [&str; 9] = ["", "h", "fa", "A-", "re", "1", "d", "f", "ink l"];

/// What matches come to for one facet.
pub(super) fn facet(model: &Model, query: &Query, request: &FacetRequest, enough: &dyn Fn(&Document) -> bool) -> Facet {
    let field = &request.field;
    let others = |document: &&Document| query.filters.iter().all(|filter| on_field(filter, field) || passes(document, filter));
    let matches: Vec<&Document> = model.documents.values().filter(|document| enough(document)).filter(others).collect();
    let column = |values: Vec<i64>| {
        let (min, max) = (*values.iter().min()?, *values.iter().max()?);
        Some(ColumnStats { min, max, sum: values.iter().map(|value| i128::from(*value)).sum(), count: values.len() as u64 })
    };
    let prices: Vec<i64> = matches.iter().filter_map(|document| document.price).collect();
    let mut numbers = None;
    let counts = match field {
        FacetField::Price => FacetCounts::Range(column(prices)),
        FacetField::PriceHistogram { buckets } => {
            let (step, found) = histogram(&prices, *buckets);
            let buckets = found.into_iter().map(|(from, count)| PriceBucket { from, count }).collect();
            FacetCounts::Histogram { step: step.unsigned_abs(), stats: column(prices), buckets }
        }
        FacetField::Rating => {
            let ratings: Vec<i64> = matches.iter().filter_map(|document| document.rating).map(i64::from).collect();
            let buckets = [4_u16, 3, 2, 1].map(|stars| RatingBucket {
                from: 100 * stars,
                count: ratings.iter().filter(|rating| **rating >= 100 * i64::from(stars)).count() as u64,
                selected: query.filters.contains(&Filter::Rating { min: Some(100 * stars), max: None }),
            });
            FacetCounts::Ratings { stats: column(ratings), buckets }
        }
        FacetField::AttributeHistogram { name, buckets } => {
            let hundredths = hundredths(&matches, name);
            numbers = stats(&hundredths);
            let unit = unit(&hundredths);
            let units: Vec<i64> = hundredths.iter().map(|number| number / unit).collect();
            let (step, found) = histogram(&units, *buckets);
            let number = |units: i64| (units * unit) as f64 / 100.0;
            let bucket = |(from, count)| NumberBucket { from: number(from), to: number(from + step - 1), count };
            FacetCounts::NumberHistogram(found.into_iter().map(bucket).collect())
        }
        FacetField::CategoryTree { levels, paths } => {
            FacetCounts::Categories(tree(model, query, &matches, (usize::from(*levels), paths), request.limit))
        }
        FacetField::Brand | FacetField::Category | FacetField::Attribute(_) | FacetField::InStock => {
            if let FacetField::Attribute(name) = field {
                numbers = stats(&hundredths(&matches, name));
            }
            FacetCounts::Values(values(query, request, &matches))
        }
    };
    Facet { field: field.clone(), counts, numbers }
}

/// The step and the buckets that are not empty.
fn histogram(values: &[i64], most: u16) -> (i64, Vec<(i64, u64)>) {
    let steps = (0..).flat_map(|n| [10_i64.pow(n), 5 * 10_i64.pow(n)]);
    let ends = values.iter().min().zip(values.iter().max());
    let fits = |step: &i64| ends.is_none_or(|(min, max)| max.div_euclid(*step) - min.div_euclid(*step) < i64::from(most));
    let step = steps.into_iter().find(fits).unwrap_or(1);
    let mut buckets: BTreeMap<i64, u64> = BTreeMap::new();
    values.iter().for_each(|value| *buckets.entry(value.div_euclid(step) * step).or_default() += 1);
    (step, buckets.into_iter().collect())
}

/// Each distinct number of each document.
fn hundredths(matches: &[&Document], name: &str) -> Vec<i64> {
    let of = |document: &&Document| -> BTreeSet<i64> {
        let keys = document.attributes.iter().filter(|(other, _)| other == name).map(|(_, value)| facet_key(value));
        let number = |key| if let FacetKey::Number(number) = key { Some((100.0 * number).round() as i64) } else { None };
        keys.filter_map(number).collect()
    };
    matches.iter().flat_map(of).collect()
}

fn stats(hundredths: &[i64]) -> Option<NumberStats> {
    let (min, max) = (*hundredths.iter().min()?, *hundredths.iter().max()?);
    let unit = unit(hundredths);
    let avg = (hundredths.iter().sum::<i64>() / unit) as f64 / hundredths.len() as f64 / (100 / unit) as f64;
    Some(NumberStats { min: min as f64 / 100.0, max: max as f64 / 100.0, avg, count: hundredths.len() as u64 })
}

/// Hundredths of what the numbers' last decimal is worth; none has more than two.
fn unit(hundredths: &[i64]) -> i64 {
    [100, 10, 1].into_iter().find(|unit| hundredths.iter().all(|number| number % unit == 0)).unwrap_or(1)
}

/// What is written, without what stands between letters and digits, from each word on.
fn begins(typed: &str, value: &FacetKey) -> bool {
    let text = match value {
        FacetKey::Text(text) => text.to_lowercase(),
        FacetKey::Number(number) => return number.to_string().starts_with(typed),
        FacetKey::Bool(flag) => return flag.to_string().starts_with(typed),
    };
    let words: Vec<&str> = text.split(|letter: char| !letter.is_alphanumeric()).collect();
    let typed = typed.to_lowercase().replace(|letter: char| !letter.is_alphanumeric(), "");
    typed.is_empty() || (0..words.len()).any(|at| !words[at].is_empty() && words[at..].concat().starts_with(&typed))
}

fn values(query: &Query, request: &FacetRequest, matches: &[&Document]) -> Vec<FacetValue> {
    let field = &request.field;
    let keys = |document: &Document| -> BTreeSet<FacetKey> {
        match field {
            FacetField::Brand => document.brand.iter().map(|brand| FacetKey::Text(brand.as_str().into())).collect(),
            FacetField::Category => document.category.iter().map(|key| FacetKey::Text(key.as_str().into())).collect(),
            FacetField::Attribute(name) => {
                document.attributes.iter().filter(|(other, _)| other == name).map(|(_, value)| facet_key(value)).collect()
            }
            _ => [FacetKey::Bool(in_stock(document.key))].into(),
        }
    };
    let mut counts: BTreeMap<FacetKey, (u64, bool)> = BTreeMap::new();
    matches.iter().flat_map(|document| keys(document)).for_each(|key| counts.entry(key).or_default().0 += 1);
    for filter in query.filters.iter().filter(|filter| on_field(filter, field)) {
        let selected: Vec<FacetKey> = match filter {
            Filter::Brand(names) | Filter::Category(names) => names.iter().map(|name| FacetKey::Text(name.as_str().into())).collect(),
            Filter::Attribute { any_of, .. } => any_of.iter().map(wanted_key).collect(),
            Filter::InStock(wanted) => vec![FacetKey::Bool(*wanted)],
            _ => Vec::new(),
        };
        selected.into_iter().for_each(|key| counts.entry(key).or_default().1 = true);
    }
    let mut values: Vec<FacetValue> = counts.into_iter().map(|(value, (count, selected))| FacetValue { value, count, selected }).collect();
    if let Some(asked) = &request.query {
        let typed = TYPED.into_iter().find(|typed| search_index::FacetQuery::new(typed).as_ref() == Ok(asked));
        let typed = typed.expect("the tests type nothing else");
        values.retain(|value| begins(typed, &value.value));
    }
    values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    let mut rank = 0;
    values.retain(|value| {
        rank += 1;
        rank <= request.limit || value.selected
    });
    values
}

/// Its category's keys from the root down, each once.
fn path(document: &Document) -> Vec<&str> {
    let mut keys: Vec<&str> = Vec::new();
    for key in &document.category {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    keys
}

fn tree(model: &Model, query: &Query, matches: &[&Document], (levels, paths): (usize, &[Vec<String>]), limit: u16) -> Vec<CategoryNode> {
    let selected: BTreeSet<&str> = query
        .filters
        .iter()
        .filter_map(|filter| if let Filter::Category(keys) = filter { Some(keys) } else { None })
        .flatten()
        .map(String::as_str)
        .collect();
    // All paths there are, whether or not something in them is found, and what no document has.
    let mut all: BTreeSet<Vec<&str>> = BTreeSet::new();
    for document in model.documents.values() {
        let path = path(document);
        all.extend((1..=path.len()).map(|len| path[..len].to_vec()));
    }
    for known in paths.iter().filter(|path| path.last().is_some_and(|key| selected.contains(key.as_str()))) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        all.extend((1..=known.len()).map(|len| known[..len].to_vec()));
    }
    let is_known = |key: &str| all.iter().any(|path| path.last() == Some(&key));
    let unknown: Vec<Vec<&str>> = selected.iter().filter(|key| !is_known(key)).map(|key| vec![*key]).collect();
    all.extend(unknown);
    let count = |node: &[&str]| matches.iter().filter(|document| path(document).starts_with(node)).count() as u64;
    let is_selected = |node: &[&str]| node.last().is_some_and(|key| selected.contains(key));
    let to_selected = |node: &[&str]| all.iter().any(|other| other.starts_with(node) && is_selected(other));
    let is_wanted = |node: &[&str]| {
        let above = |steps: usize| node.len().checked_sub(steps).map(|len| &node[..len]);
        let beside = node.len() == 1 || to_selected(&node[..node.len() - 1]);
        let below = (1..=levels).filter_map(above).any(|above| if selected.is_empty() { above.is_empty() } else { is_selected(above) });
        to_selected(node) || (count(node) > 0 && (below || (!selected.is_empty() && beside)))
    };
    // Each level in turn, of those in one category the most frequent.
    let order = |node: &Vec<&str>| (Reverse(count(node)), node.iter().map(ToString::to_string).collect::<Vec<_>>());
    let mut shown: Vec<Vec<&str>> = Vec::new();
    for len in 1..=16 {
        let mut level: Vec<&Vec<&str>> = all.iter().filter(|node| node.len() == len && is_wanted(node)).collect();
        level.sort_by_key(|node| order(node));
        let mut in_parent: BTreeMap<&[&str], u16> = BTreeMap::new();
        for node in level {
            let parent = &node[..len - 1];
            let place = in_parent.entry(parent).or_default();
            *place += 1;
            let fits = *place <= limit && shown.len() < usize::from(FACET_LIMIT_MAX);
            if to_selected(node) || (fits && (len == 1 || shown.iter().any(|other| other == parent))) {
                shown.push(node.clone());
            }
        }
    }
    // A category comes right before what is in it: by the order of all that it is in, from the top.
    shown.sort_by_key(|node| (1..=node.len()).map(|len| order(&node[..len].to_vec())).collect::<Vec<_>>());
    let node = |path: Vec<&str>| CategoryNode {
        count: count(&path),
        selected: is_selected(&path),
        path: path.into_iter().map(Into::into).collect(),
    };
    shown.into_iter().map(node).collect()
}
