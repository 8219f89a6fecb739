//! The grammar of a search: query parameters to [`wire::SearchQuery`].
//!
//! ```text
//! filter = name ":" values          one parameter a filter; all must hold
//! name   = brand | category | price | rating | in_stock | attr.NAME
//! values = value *("|" value)       alternatives; a backslash takes "|" and itself as they are
//!        | [low] ".." [high]        price in minor units, rating in stars, attributes as numbers; both ends included
//! prefer = filter "^" percent        one parameter a preference; not in_stock
//! facets = facet *("," facet)
//! facet  = brand | category | category:tree | category:tree(N) | price | price:histogram(N) | rating | in_stock | attr.NAME | attr.NAME:histogram(N)
//! facet_query = name ":" text       one parameter a facet: brand, category, in_stock or attr.NAME
//! ```

use crate::http::{problem::Problem, query::Query};
use wire::{Boost, Facet, FacetQuery, Filter, SearchQuery, Sort, limits};

/// Buckets of a histogram.
const BUCKETS_MAX: u16 = 100;
/// Entries of a page that does not say.
pub(crate) const LIMIT: u16 = 20;
/// Bytes of a cursor in text form.
const CURSOR_MAX: usize = 1_024;

/// Reads the whole query string of a search.
pub(crate) fn parse(raw: Option<&str>) -> Result<SearchQuery, Problem> {
    let mut query = Query::parse(raw)?;
    let text = query.one("q")?.unwrap_or_default();
    if text.len() > limits::QUERY_BYTES_MAX {
        return Err(Problem::field("/q", "too_long", format!("at most {} bytes", limits::QUERY_BYTES_MAX)));
    }
    let mut filters = Vec::new();
    if let Some(category) = query.one("category")?.filter(|category| !category.is_empty()) {
        filters.push(Filter::Category(vec![category]));
    }
    filters.extend(filters_of(&mut query)?);
    few_enough(&filters)?;
    let facets: Result<Vec<Facet>, String> =
        query.one("facets")?.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()).map(facet).collect();
    let facets = facets.map_err(|wanted| Problem::field("/facets", "bad_facet", wanted))?;
    if facets.len() > limits::FACETS_MAX {
        return Err(Problem::field("/facets", "too_many", format!("at most {}", limits::FACETS_MAX)));
    }
    let sort = match query.one("sort")?.as_deref() {
        None | Some("" | "relevance") => Sort::Relevance,
        Some("price") => Sort::Price,
        Some("-price") => Sort::PriceDescending,
        Some("rating") => Sort::Rating,
        Some("newest") => Sort::Newest,
        Some("popularity") => Sort::Popularity,
        Some(_) => return Err(Problem::field("/sort", "unknown_value", "relevance, price, -price, rating, newest or popularity")),
    };
    let after = query.one("after")?.filter(|after| !after.is_empty());
    let after = after.map(|text| if text.len() > CURSOR_MAX { None } else { crate::dto::search::cursor_bytes(&text) });
    let after = after.map(|bytes| bytes.ok_or_else(Problem::bad_cursor)).transpose()?;
    let limit = query.limit(LIMIT)?;
    let (total, highlight) = (query.flag("total")?.unwrap_or(false), query.flag("highlight")?.unwrap_or(false));
    let exact = query.flag("typo")? == Some(false);
    let explain = query.flag("explain")?.unwrap_or(false);
    let preferences = query.all("prefer")?.iter().map(|text| preference(text)).collect::<Result<Vec<Boost>, String>>();
    let preferences = preferences.map_err(|wanted| Problem::field("/prefer", "bad_preference", wanted))?;
    if preferences.len() > limits::PREFERENCES_MAX {
        return Err(Problem::field("/prefer", "too_many", format!("at most {}", limits::PREFERENCES_MAX)));
    }
    let facet_queries = query.all("facet_query")?.iter().map(|text| facet_query(text)).collect::<Result<Vec<FacetQuery>, String>>();
    let facet_queries = facet_queries.map_err(|wanted| Problem::field("/facet_query", "bad_facet_query", wanted))?;
    if facet_queries.len() > limits::FACET_QUERIES_MAX {
        return Err(Problem::field("/facet_query", "too_many", format!("at most {}", limits::FACET_QUERIES_MAX)));
    }
    let is_again = |(place, query): (usize, &FacetQuery)| facet_queries[..place].iter().any(|other| other.facet == query.facet);
    if facet_queries.iter().enumerate().any(is_again) {
        return Err(Problem::field("/facet_query", "asked_twice", "one a facet"));
    }
    query.end()?;
    Ok(SearchQuery { text, filters, facets, sort, limit, after, total, highlight, exact, explain, preferences, facet_queries })
}

/// Reads the whole query string of a question for products like one: filters and a limit.
pub(crate) fn parse_similar(raw: Option<&str>) -> Result<(Vec<Filter>, u16), Problem> {
    let mut query = Query::parse(raw)?;
    let (filters, limit) = (filters_of(&mut query)?, query.limit(LIMIT)?);
    few_enough(&filters)?;
    query.end()?;
    Ok((filters, limit))
}

fn filters_of(query: &mut Query) -> Result<Vec<Filter>, Problem> {
    let read = |text: &String| filter(text).map_err(|wanted| Problem::field("/filter", "bad_filter", wanted));
    query.all("filter")?.iter().map(read).collect()
}

fn few_enough(filters: &[Filter]) -> Result<(), Problem> {
    let max = limits::FILTERS_MAX;
    if filters.len() > max { Err(Problem::field("/filter", "too_many", format!("at most {max}"))) } else { Ok(()) }
}

/// `FILTER^PERCENT`, or what was wanted.
fn preference(text: &str) -> Result<Boost, String> {
    let max = limits::BOOST_PERCENT_MAX;
    let (of, percent) = text.rsplit_once('^').ok_or("FILTER^PERCENT")?;
    let percent = percent.parse().ok().filter(|percent| *percent != 0 && (-max..=max).contains(percent));
    let percent = percent.ok_or_else(|| format!("hundredths from -{max} to {max}, and not 0"))?;
    match filter(of)? {
        Filter::InStock(_) => Err("no in_stock: the shop's ranking has it".to_owned()),
        filter => Ok(Boost { filter, percent }),
    }
}

/// Splits at bars that no backslash precedes.
fn alternatives(text: &str) -> Result<Vec<String>, String> {
    let mut values = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let value = values.last_mut();
        match (letter, value) {
            ('|', _) => values.push(String::new()),
            ('\\', Some(value)) => value.push(letters.next().ok_or("a backslash stands before | or \\")?),
            (other, Some(value)) => value.push(other),
            (_, None) => {}
        }
    }
    if values.iter().any(String::is_empty) {
        return Err("values are not empty".to_owned());
    }
    if values.len() > limits::FILTER_VALUES_MAX {
        return Err(format!("at most {} values", limits::FILTER_VALUES_MAX));
    }
    Ok(values)
}

/// The two ends of a range; one value alone is both ends.
fn ends(text: &str) -> (&str, &str) {
    text.split_once("..").unwrap_or((text, text))
}

fn end<T>(text: &str, parse: impl Fn(&str) -> Option<T>, wanted: &str) -> Result<Option<T>, String> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some).ok_or_else(|| wanted.to_owned()) }
}

/// Stars with at most two decimals, in hundredths.
fn hundredths(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 2 || !whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part: u16 = if part.is_empty() { 0 } else { format!("{part:0<2}").parse().ok()? };
    whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(part)
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// One filter, or what was wanted.
pub(crate) fn filter(text: &str) -> Result<Filter, String> {
    let (name, values) = text.split_once(':').ok_or("NAME:VALUES")?;
    if values.is_empty() {
        return Err("values after the colon".to_owned());
    }
    match name {
        "brand" => Ok(Filter::Brand(alternatives(values)?)),
        "category" => Ok(Filter::Category(alternatives(values)?)),
        "price" => {
            let wanted = "minor units as LOW..HIGH, LOW.. or ..HIGH";
            let (low, high) = ends(values);
            let minor = |text: &str| text.parse().ok().filter(|amount| (0..=limits::AMOUNT_MAX).contains(amount));
            let (min, max) = (end(low, minor, wanted)?, end(high, minor, wanted)?);
            if min.is_none() && max.is_none() { Err(wanted.to_owned()) } else { Ok(Filter::Price { min, max }) }
        }
        "rating" => {
            let wanted = "stars as LOW..HIGH, LOW.. or ..HIGH";
            // Decimals hold single dots, so the two dots in a row are found first.
            let (low, high) = ends(values);
            let (min, max) = (end(low, hundredths, wanted)?, end(high, hundredths, wanted)?);
            if min.is_none() && max.is_none() { Err(wanted.to_owned()) } else { Ok(Filter::Rating { min, max }) }
        }
        "in_stock" => match values {
            "true" => Ok(Filter::InStock(true)),
            "false" => Ok(Filter::InStock(false)),
            _ => Err("true or false".to_owned()),
        },
        _ => {
            let name = attribute(name).ok_or("brand, category, price, rating, in_stock or attr.NAME")?;
            if let Some((low, high)) = values.split_once("..")
                && let (Ok(min), Ok(max)) = (end(low, finite, ""), end(high, finite, ""))
                && (min.is_some() || max.is_some())
            {
                return Ok(Filter::AttributeRange { name, min, max });
            }
            Ok(Filter::Attribute { name, values: alternatives(values)? })
        }
    }
}

/// A filter as [`filter`] reads it.
pub(crate) fn filter_text(of: &Filter) -> String {
    let values = |values: &[String]| {
        // A backslash takes any letter as it is: two dots between numbers would be a range.
        let escaped = values.iter().map(|value| value.replace('\\', "\\\\").replace('|', "\\|").replace("..", ".\\."));
        escaped.collect::<Vec<_>>().join("|")
    };
    fn range<T>(min: &Option<T>, max: &Option<T>, shown: impl Fn(&T) -> String) -> String {
        let end = |end: &Option<T>| end.as_ref().map(&shown).unwrap_or_default();
        format!("{}..{}", end(min), end(max))
    }
    let stars = |hundredths: &u16| format!("{}.{:02}", hundredths / 100, hundredths % 100);
    match of {
        Filter::Brand(names) => format!("brand:{}", values(names)),
        Filter::Category(names) => format!("category:{}", values(names)),
        Filter::Price { min, max } => format!("price:{}", range(min, max, i64::to_string)),
        Filter::Rating { min, max } => format!("rating:{}", range(min, max, stars)),
        Filter::InStock(wanted) => format!("in_stock:{wanted}"),
        Filter::Attribute { name, values: of } => format!("attr.{name}:{}", values(of)),
        Filter::AttributeRange { name, min, max } => format!("attr.{name}:{}", range(min, max, f64::to_string)),
    }
}

fn attribute(name: &str) -> Option<String> {
    let name = name.strip_prefix("attr.")?;
    (1..=limits::ATTRIBUTE_NAME_BYTES_MAX).contains(&name.len()).then(|| name.to_owned())
}

/// One facet, or what was wanted.
fn facet(text: &str) -> Result<Facet, String> {
    let wanted = "brand, category, category:tree(N), price, price:histogram(N), rating, in_stock, attr.NAME or attr.NAME:histogram(N)";
    match text {
        "brand" => Ok(Facet::Brand),
        "category" => Ok(Facet::Category),
        "category:tree" => Ok(Facet::CategoryTree(1)),
        "price" => Ok(Facet::Price),
        "rating" => Ok(Facet::Rating),
        "in_stock" => Ok(Facet::InStock),
        _ => {
            if let Some(levels) = text.strip_prefix("category:tree(").and_then(|rest| rest.strip_suffix(')')) {
                let levels = levels.parse().ok().filter(|n| (1..=limits::CATEGORY_DEPTH_MAX).contains(&usize::from(*n)));
                return levels.map(Facet::CategoryTree).ok_or_else(|| format!("a tree of 1 to {} levels", limits::CATEGORY_DEPTH_MAX));
            }
            if let Some((name, buckets)) = text.strip_suffix(')').and_then(|rest| rest.rsplit_once(":histogram(")) {
                let buckets = buckets.parse().ok().filter(|n| (2..=BUCKETS_MAX).contains(n));
                let buckets = buckets.ok_or_else(|| format!("a histogram of 2 to {BUCKETS_MAX} buckets"))?;
                return match name {
                    "price" => Ok(Facet::PriceHistogram(buckets)),
                    name => attribute(name).map(|name| Facet::AttributeHistogram { name, buckets }).ok_or_else(|| wanted.to_owned()),
                };
            }
            attribute(text).map(Facet::Attribute).ok_or_else(|| wanted.to_owned())
        }
    }
}

/// What was typed to find values of a facet, or what was wanted.
fn facet_query(text: &str) -> Result<FacetQuery, String> {
    let (name, text) = text.split_once(':').ok_or("NAME:TEXT")?;
    if text.len() > limits::FACET_QUERY_BYTES_MAX {
        return Err(format!("at most {} bytes of text", limits::FACET_QUERY_BYTES_MAX));
    }
    match facet(name) {
        Ok(facet @ (Facet::Brand | Facet::Category | Facet::InStock | Facet::Attribute(_))) => {
            Ok(FacetQuery { facet, text: text.to_owned() })
        }
        Ok(_) | Err(_) => Err("brand, category, in_stock or attr.NAME, a colon, and what a value begins with".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::query::encode;
    use proptest::prelude::*;

    #[test]
    fn a_whole_search() {
        let raw = "q=ink%20jet&category=printers%2Fink&filter=brand:HP%7CCanon&filter=price:1000..5000&filter=rating:4..&filter=in_stock:true\
                   &filter=attr.t_type:Original&filter=attr.n_width:1.5..&facets=brand,price:histogram(10),attr.t_type,category:tree,category:tree(3),rating,attr.n_width:histogram(4)&sort=-price&limit=5\
                   &total=true&highlight=true&explain=true&typo=false&after=AAH_&prefer=brand:A%5E%7CB%5E20&prefer=price:..900%5E-5\
                   &facet_query=brand:sams&facet_query=attr.t_type:a:b&facet_query=category:";
        let query = parse(Some(raw)).expect("well formed");
        let text = |text: &str| text.to_owned();
        assert_eq!(
            query,
            SearchQuery {
                text: text("ink jet"),
                filters: vec![
                    Filter::Category(vec![text("printers/ink")]),
                    Filter::Brand(vec![text("HP"), text("Canon")]),
                    Filter::Price { min: Some(1_000), max: Some(5_000) },
                    Filter::Rating { min: Some(400), max: None },
                    Filter::InStock(true),
                    Filter::Attribute { name: text("t_type"), values: vec![text("Original")] },
                    Filter::AttributeRange { name: text("n_width"), min: Some(1.5), max: None },
                ],
                facets: vec![
                    Facet::Brand,
                    Facet::PriceHistogram(10),
                    Facet::Attribute(text("t_type")),
                    Facet::CategoryTree(1),
                    Facet::CategoryTree(3),
                    Facet::Rating,
                    Facet::AttributeHistogram { name: text("n_width"), buckets: 4 },
                ],
                sort: Sort::PriceDescending,
                limit: 5,
                after: Some(vec![0, 1, 255]),
                total: true,
                highlight: true,
                exact: true,
                explain: true,
                preferences: vec![
                    Boost { filter: Filter::Brand(vec![text("A^"), text("B")]), percent: 20 },
                    Boost { filter: Filter::Price { min: None, max: Some(900) }, percent: -5 },
                ],
                facet_queries: vec![
                    FacetQuery { facet: Facet::Brand, text: text("sams") },
                    FacetQuery { facet: Facet::Attribute(text("t_type")), text: text("a:b") },
                    FacetQuery { facet: Facet::Category, text: text("") },
                ],
            }
        );
        assert_eq!(parse(None).expect("empty browses"), SearchQuery { limit: 20, ..SearchQuery::default() });
    }

    #[test] // Each row: a query, and the pointer its problem names.
    fn bad_searches_are_refused() {
        for (raw, pointer) in [
            ("prefer=brand:HP", "/prefer"),
            ("prefer=brand:HP%5E0", "/prefer"),
            ("prefer=brand:HP%5E401", "/prefer"),
            ("prefer=in_stock:true%5E5", "/prefer"),
            ("prefer=5", "/prefer"),
            ("filter=brand", "/filter"),
            ("filter=brand:", "/filter"),
            ("filter=brand:HP|", "/filter"),
            ("filter=brand:HP%5C", "/filter"),
            ("filter=price:..", "/filter"),
            ("filter=price:a..b", "/filter"),
            ("filter=price:-5..", "/filter"),
            ("filter=rating:4.555..", "/filter"),
            ("filter=in_stock:yes", "/filter"),
            ("filter=attr.:x", "/filter"),
            ("filter=colour:red", "/filter"),
            ("facets=colour", "/facets"),
            ("facets=price:histogram(0)", "/facets"),
            ("facets=price:histogram(x)", "/facets"),
            ("facets=price:histogram(1)", "/facets"),
            ("facets=attr.n:histogram(101)", "/facets"),
            ("facets=brand:histogram(5)", "/facets"),
            ("facets=category:tree(0)", "/facets"),
            ("facets=category:tree(17)", "/facets"),
            ("facet_query=brand", "/facet_query"),
            ("facet_query=price:5", "/facet_query"),
            ("facet_query=brand:a&facet_query=brand:b", "/facet_query"),
            ("sort=cheap", "/sort"),
            ("limit=101", "/limit"),
            ("total=yes", "/total"),
            ("typo=maybe", "/typo"),
            ("page=2", "/page"),
            ("q=a&q=b", "/q"),
            ("after=!!", "/after"),
        ] {
            let brief = parse(Some(raw)).expect_err(raw).brief();
            assert_eq!(brief["errors"][0]["pointer"], pointer, "{raw}");
        }
        assert!(parse(Some(&format!("q={}", "a".repeat(513)))).is_err());
        assert!(parse(Some(&"filter=in_stock:true&".repeat(33))).is_err());
    }

    #[test]
    fn ranges_may_be_open_or_one_value() {
        for (text, wanted) in [
            ("price:5", Filter::Price { min: Some(5), max: Some(5) }),
            ("price:..5", Filter::Price { min: None, max: Some(5) }),
            ("rating:3.5..4.25", Filter::Rating { min: Some(350), max: Some(425) }),
            ("attr.n:..2e3", Filter::AttributeRange { name: "n".to_owned(), min: None, max: Some(2_000.0) }),
            ("attr.t:a..b", Filter::Attribute { name: "t".to_owned(), values: vec!["a..b".to_owned()] }),
            ("attr.t:5", Filter::Attribute { name: "t".to_owned(), values: vec!["5".to_owned()] }),
            ("brand:A\\|B|C\\\\", Filter::Brand(vec!["A|B".to_owned(), "C\\".to_owned()])),
        ] {
            assert_eq!(filter(text), Ok(wanted), "{text}");
        }
    }

    /// Writes a filter as a client would.
    fn values() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[^.]{1,12}|[0-9.|\\\\]{1,6}", 1..5)
    }

    fn some_end<T: std::fmt::Debug + Clone>(of: impl Strategy<Value = T>) -> impl Strategy<Value = (Option<T>, Option<T>)> {
        (prop::option::of(of), prop::bool::ANY).prop_map(|(value, low)| if low { (value, None) } else { (None, value) })
    }

    fn any_filter() -> impl Strategy<Value = Filter> {
        prop_oneof![
            values().prop_map(Filter::Brand),
            values().prop_map(Filter::Category),
            (0..=limits::AMOUNT_MAX, 0..=limits::AMOUNT_MAX).prop_map(|(min, max)| Filter::Price { min: Some(min), max: Some(max) }),
            some_end(0u16..=500)
                .prop_filter("one end", |(a, b)| a.is_some() || b.is_some())
                .prop_map(|(min, max)| Filter::Rating { min, max }),
            prop::bool::ANY.prop_map(Filter::InStock),
            ("[a-z_]{1,10}", values()).prop_map(|(name, values)| Filter::Attribute { name, values }),
            ("[a-z_]{1,10}", some_end(-1e9..1e9f64))
                .prop_filter("one end", |(_, (a, b))| a.is_some() || b.is_some())
                .prop_map(|(name, (min, max))| Filter::AttributeRange { name, min, max }),
        ]
    }

    proptest! {
        #[test]
        fn spelled_filters_read_back(filter in any_filter()) {
            let raw = format!("filter={}", encode(&filter_text(&filter)));
            prop_assert_eq!(parse(Some(&raw)).expect("well formed").filters, vec![filter]);
        }

        #[test]
        fn any_query_is_read_or_refused(raw in ".{0,80}", text in "[a-z_.:|0-9\\\\]{0,40}") {
            let _ = parse(Some(&raw));
            let _ = filter(&text);
        }
    }
}
