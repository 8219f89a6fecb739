//! `/search`: results, and everything that narrows them down, each as part of the address.
//!
//! Path: query string → [`Asked`] → [`SearchQuery`] → the engine → cards, facets and links, which are other spellings of [`Asked`].
//! Lenient where the HTTP contract is strict: parameters nobody knows are ignored, and a price that is none is told and left out.

use super::{
    form::authority,
    session::{No, Visitor, unexpected},
    view::{Card, Failed, Shell, money, path_label, public, see_other},
};
use crate::{
    App,
    dto::search::cursor_bytes,
    http::{
        caller::CALL_MS,
        problem::Problem,
        query::{Query, decode, encode},
        reply::Reply,
    },
};
use askama::Template;
use axum::extract::State;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::sync::Arc;
use wire::{
    Body, CategoryRef, CategoryView, Currency, Facet, FacetResult, FacetValue, Filter, Money, Op, Principal, Refusal, SearchQuery, Sort,
    limits,
};

/// Cards on a page.
const LIMIT: u16 = 24;
/// Values shown of a facet, apart from those chosen.
const FACET_SHOWN: usize = 12;
/// Steps by which a category of the menu is set in; deeper ones stand under one another.
const STEPS_MAX: u16 = 4;
/// Bytes of a cursor in text form; a longer one is none of ours.
const CURSOR_BYTES_MAX: usize = 1_024;

/// The order of results: the word in the address, and the label.
const SORTS: [(&str, &str, Sort); 5] = [
    ("relevance", "Best match", Sort::Relevance),
    ("popularity", "Most popular", Sort::Popularity),
    ("price", "Price, low to high", Sort::Price),
    ("-price", "Price, high to low", Sort::PriceDescending),
    ("newest", "Newest", Sort::Newest),
];

/// What the address asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    q: String,
    brands: Vec<String>,
    category: Option<String>,
    min: Option<i64>,
    max: Option<i64>,
    in_stock: bool,
    sort: Option<&'static str>,
    after: Option<String>,
}

/// `12`, `12.5` or `12.50`, perhaps after a `$`, in cents.
fn cents(text: &str) -> Option<i64> {
    let text = text.trim().trim_start_matches('$').replace(',', "");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if part.len() > 2 || whole.len() > 12 || (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
        return None;
    }
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i64>().ok() };
    let amount = number(whole)? * 100 + number(&format!("{part:0<2}"))?;
    (amount <= limits::AMOUNT_MAX).then_some(amount)
}

/// The other way, for the form's fields.
fn plain_amount(cents: Option<i64>) -> String {
    match cents {
        None => String::new(),
        Some(cents) if cents % 100 == 0 => (cents / 100).to_string(),
        Some(cents) => format!("{}.{:02}", cents / 100, cents % 100),
    }
}

impl Asked {
    /// Whether nothing narrows it down yet, and it is the first page.
    fn is_words_alone(&self) -> bool {
        *self == Self { q: self.q.clone(), ..Self::default() }
    }

    /// Reads a query string, and says what in it was left out.
    fn parse(raw: Option<&str>) -> Result<(Self, Vec<String>), Problem> {
        let mut query = Query::parse(raw)?;
        let mut notices = Vec::new();
        let mut first = |name: &str| -> Result<Option<String>, Problem> {
            Ok(query.all(name)?.into_iter().map(|value| value.trim().to_owned()).find(|value| !value.is_empty()))
        };
        let mut q = first("q")?.unwrap_or_default();
        if q.len() > limits::QUERY_BYTES_MAX {
            let mut end = limits::QUERY_BYTES_MAX;
            while !q.is_char_boundary(end) {
                end -= 1;
            }
            q.truncate(end);
            notices.push("The search was too long; only its beginning was looked for.".to_owned());
        }
        let mut price = |text: Option<String>| {
            let text = text?;
            let amount = cents(&text);
            if amount.is_none() {
                notices.push(format!("“{text}” is not a price, so it was left out. Write it like 19.99."));
            }
            amount
        };
        let (min, max) = (price(first("min")?), price(first("max")?));
        let word = first("sort")?;
        let asked = Self {
            q,
            category: first("category")?,
            min,
            max,
            in_stock: first("in_stock")?.is_some_and(|flag| flag == "true"),
            sort: SORTS.iter().map(|(name, _, _)| *name).find(|name| Some(*name) == word.as_deref()),
            after: first("after")?,
            brands: {
                let mut brands: Vec<String> = query.all("brand")?.into_iter().filter(|brand| !brand.is_empty()).collect();
                brands.dedup();
                brands.truncate(limits::FILTER_VALUES_MAX);
                brands
            },
        };
        Ok((asked, notices))
    }

    /// The order there is when none is asked for: without words nothing matches better than anything else.
    fn sort(&self) -> &'static str {
        self.sort.unwrap_or(if self.q.is_empty() { "popularity" } else { "relevance" })
    }

    fn wire(&self) -> Result<SearchQuery, No> {
        let mut filters = Vec::new();
        if !self.brands.is_empty() {
            filters.push(Filter::Brand(self.brands.clone()));
        }
        if let Some(category) = &self.category {
            filters.push(Filter::Category(vec![category.clone()]));
        }
        if self.min.is_some() || self.max.is_some() {
            filters.push(Filter::Price { min: self.min, max: self.max });
        }
        if self.in_stock {
            filters.push(Filter::InStock(true));
        }
        let sort = SORTS.iter().find(|(name, _, _)| *name == self.sort()).map_or(Sort::Relevance, |(_, _, sort)| *sort);
        let cursor = |text: &String| if text.len() > CURSOR_BYTES_MAX { None } else { cursor_bytes(text) };
        let after = self.after.as_ref().map(|text| cursor(text).ok_or(No::Refused(Refusal::BadCursor))).transpose()?;
        Ok(SearchQuery {
            text: self.q.clone(),
            filters,
            facets: vec![Facet::Brand, Facet::CategoryTree(1), Facet::Price],
            sort,
            limit: LIMIT,
            after,
            total: true,
            ..SearchQuery::default()
        })
    }

    /// The address that asks for this, of its first page.
    fn url(&self) -> String {
        let mut url = "/search".to_owned();
        let mut put = |name: &str, value: &str| {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(name);
            url.push('=');
            url.push_str(&encode(value));
        };
        if !self.q.is_empty() {
            put("q", &self.q);
        }
        for brand in &self.brands {
            put("brand", brand);
        }
        if let Some(category) = &self.category {
            put("category", category);
        }
        for (name, end) in [("min", self.min), ("max", self.max)] {
            if end.is_some() {
                put(name, &plain_amount(end));
            }
        }
        if self.in_stock {
            put("in_stock", "true");
        }
        if let Some(sort) = self.sort {
            put("sort", sort);
        }
        url
    }

    /// The same with a change, from the first page.
    fn with(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut other = Self { after: None, ..self.clone() };
        change(&mut other);
        other.url()
    }
}

/// A link to a category, or a filter to take away.
struct Link {
    label: String,
    href: String,
    count: Option<u64>,
    current: bool,
}

/// A box to tick.
struct Choice {
    value: String,
    count: u64,
    checked: bool,
}

struct SortChoice {
    value: &'static str,
    label: &'static str,
    selected: bool,
}

#[derive(Template)]
#[template(path = "search.html")]
struct Results {
    shell: Shell,
    heading: String,
    total: String,
    notices: Vec<String>,
    /// What may have been meant.
    meant: Option<Link>,
    /// What a rule says.
    banner: Option<wire::Banner>,
    crumbs: Vec<Link>,
    chosen: Vec<Link>,
    categories: Vec<Step>,
    brands: Vec<Choice>,
    price_hint: Option<String>,
    min: String,
    max: String,
    in_stock: bool,
    sorts: Vec<SortChoice>,
    category: Option<String>,
    cards: Vec<Card>,
    first: Option<String>,
    next: Option<String>,
    everything: bool,
}

/// Values of the facet `name`: the most frequent, and those chosen wherever they stand.
fn facet<'a>(facets: &'a [FacetResult], name: &str) -> impl Iterator<Item = &'a FacetValue> {
    let values = facets.iter().find(|facet| facet.name == name).map_or(&[][..], |facet| &facet.values);
    values.iter().enumerate().filter(|(place, value)| *place < FACET_SHOWN || value.selected).map(|(_, value)| value)
}

fn dollars(cents: i64) -> String {
    money(Money { amount: cents, currency: Currency::USD })
}

fn brands(asked: &Asked, facets: &[FacetResult]) -> Vec<Choice> {
    let is_chosen = |brand: &str| asked.brands.iter().any(|chosen| chosen == brand);
    let mut choices: Vec<Choice> = facet(facets, "brand")
        .map(|value| Choice { value: value.value.clone(), count: value.count, checked: value.selected || is_chosen(&value.value) })
        .collect();
    // What was chosen can be unchosen, also when no result has it.
    let missing: Vec<&String> = asked.brands.iter().filter(|brand| !choices.iter().any(|choice| choice.value == **brand)).collect();
    choices.extend(missing.into_iter().map(|brand| Choice { value: brand.clone(), count: 0, checked: true }));
    choices
}

/// A category of the menu, so many steps below the first one shown.
struct Step {
    link: Link,
    steps: u16,
}

/// The top categories; with one chosen, those above it, itself and what is in it, or what stands beside it where nothing is in it.
fn categories(asked: &Asked, facets: &[FacetResult]) -> Vec<Step> {
    let values = facets.iter().find(|facet| facet.name == "category").map_or(&[][..], |facet| &facet.values);
    let parent = |value: &FacetValue| value.category.as_ref().and_then(|category| category.parent.clone());
    let inside = |of: &Option<String>| values.iter().filter(|value| parent(value) == *of).take(FACET_SHOWN).collect::<Vec<_>>();
    let mut shown: Vec<&FacetValue> = Vec::new();
    match values.iter().find(|value| value.selected) {
        None => shown = inside(&None),
        Some(chosen) => {
            let above = |value: &&FacetValue| values.iter().find(|other| parent(value).as_ref() == Some(&other.value));
            // A path has no more steps than there are values, whatever they say.
            let mut path: Vec<&FacetValue> = std::iter::successors(Some(chosen), above).take(values.len()).skip(1).collect();
            path.reverse();
            shown.extend(path);
            let children = inside(&Some(chosen.value.clone()));
            if children.is_empty() {
                let mut beside = inside(&parent(chosen));
                if !beside.iter().any(|value| value.selected) {
                    beside.push(chosen);
                }
                shown.extend(beside);
            } else {
                shown.push(chosen);
                shown.extend(children);
            }
        }
    }
    let step = |value: &FacetValue| {
        let category = value.category.as_ref();
        Step {
            steps: category.map_or(0, |category| category.level.saturating_sub(1).min(STEPS_MAX)),
            link: Link {
                label: category.and_then(|category| category.name.clone()).unwrap_or_else(|| path_label(&value.value)),
                href: asked.with(|it| it.category = Some(value.value.clone())),
                count: Some(value.count),
                current: value.selected,
            },
        }
    };
    shown.into_iter().map(step).collect()
}

/// The filters in force, each with the address without it.
fn chosen(asked: &Asked, category: Option<&CategoryView>) -> Vec<Link> {
    let link = |label: String, href| Link { label, href, count: None, current: false };
    let mut links = Vec::new();
    if let Some(key) = &asked.category {
        let name = category.map_or_else(|| path_label(key), |view| view.name.clone());
        links.push(link(name, asked.with(|it| it.category = None)));
    }
    for brand in &asked.brands {
        links.push(link(brand.clone(), asked.with(|it| it.brands.retain(|other| other != brand))));
    }
    if let Some(min) = asked.min {
        links.push(link(format!("from {}", dollars(min)), asked.with(|it| it.min = None)));
    }
    if let Some(max) = asked.max {
        links.push(link(format!("up to {}", dollars(max)), asked.with(|it| it.max = None)));
    }
    if asked.in_stock {
        links.push(link("in stock".to_owned(), asked.with(|it| it.in_stock = false)));
    }
    links
}

/// Whether an address is that of this shop's search for words and nothing else, which a rule may send elsewhere again, and so in a circle.
fn leads_back(to: &str, host: Option<&str>) -> bool {
    let path = match to.strip_prefix("https://") {
        None => to,
        Some(rest) => {
            let (of, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
            if host.is_none_or(|host| authority(of) != *host) {
                return false;
            }
            path
        }
    };
    let address = path.split('#').next().unwrap_or_default();
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let mut steps = Vec::new();
    for step in path.split('/').filter_map(decode).filter(|step| !step.is_empty() && step != ".") {
        if step == ".." {
            steps.pop();
        } else {
            steps.push(step);
        }
    }
    let is_search = steps == ["search"];
    // A query that is refused is no search, and goes nowhere else.
    is_search && Asked::parse(Some(query)).is_ok_and(|(asked, _)| asked.is_words_alone() && !asked.q.is_empty())
}

fn counted(total: Option<u64>, shown: usize) -> String {
    match total.unwrap_or(shown as u64) {
        0 => "No products".to_owned(),
        1 => "1 product".to_owned(),
        n => format!("{n} products"),
    }
}

pub(super) async fn search(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Reply, Failed> {
    let (asked, mut notices) = Asked::parse(visitor.raw_query.as_deref())?;
    let ask = |op| visitor.ask(&app, Principal::Anonymous, None, CALL_MS, op);
    // The chosen category's name and place; one that there is not finds nothing, which the results say.
    let named = async {
        let Some(key) = &asked.category else { return Ok(None) };
        let reference = key.parse().map_or_else(|_| CategoryRef::Key(key.clone()), CategoryRef::Id);
        match ask(Op::GetCategory(reference)).await {
            Ok(Body::Categories(views)) => Ok(views.into_iter().next()),
            Ok(_) => Err(unexpected()),
            Err(No::Refused(Refusal::NotFound)) => Ok(None),
            Err(no) => Err(no),
        }
    };
    let found = async { ask(Op::Search(asked.wire()?)).await };
    let (category, found) = match tokio::try_join!(named, found) {
        Ok((category, Body::Search(found))) => (category, found),
        Ok(_) => return Err(unexpected().into()),
        // The list has moved on since the link was made.
        Err(No::Refused(Refusal::BadCursor)) if asked.after.is_some() => return Ok(see_other(&asked.url())),
        Err(no) => return Err(no.into()),
    };
    if let Some(to) = found.redirect.as_deref().filter(|to| asked.is_words_alone() && !leads_back(to, visitor.host.as_deref())) {
        return Ok(see_other(to));
    }
    app.metrics.searched(found.partial);
    if found.partial {
        notices.push("This search was cut short, so there may be more. Fewer or longer words find all.".to_owned());
    }
    if found.relaxed && !found.items.is_empty() {
        notices.push("Few products have all of your words, so some of these lack one.".to_owned());
    }
    let heading = match (&category, asked.q.as_str()) {
        (None, "") => "All products".to_owned(),
        (Some(view), "") => view.name.clone(),
        (Some(view), q) => format!("“{q}” in {}", view.name),
        (None, q) => format!("“{q}”"),
    };
    let crumb = |key: &str, name: String| Link {
        label: name,
        href: asked.with(|it| it.category = Some(key.to_owned())),
        count: None,
        current: false,
    };
    let stats = found.facets.iter().find(|facet| facet.name == "price").and_then(|facet| facet.stats);
    let page = Results {
        shell: Shell { q: asked.q.clone(), ..Shell::default() },
        heading,
        total: counted(found.total, found.items.len()),
        notices,
        meant: found.did_you_mean.map(|meant| {
            let href = asked.with(|it| it.q.clone_from(&meant));
            Link { label: meant, href, count: None, current: false }
        }),
        banner: found.banner,
        crumbs: category.iter().flat_map(|view| &view.breadcrumb).map(|it| crumb(&it.key, it.name.clone())).collect(),
        chosen: chosen(&asked, category.as_ref()),
        categories: categories(&asked, &found.facets),
        brands: brands(&asked, &found.facets),
        // Ends come as floats and are whole cents.
        price_hint: stats.map(|ends| format!("{} to {}", dollars(ends.min as i64), dollars(ends.max as i64))),
        min: plain_amount(asked.min),
        max: plain_amount(asked.max),
        in_stock: asked.in_stock,
        sorts: SORTS.iter().map(|(value, label, _)| SortChoice { value, label, selected: *value == asked.sort() }).collect(),
        everything: asked.with(|it| it.sort = None) == "/search",
        cards: found.items.into_iter().map(Card::from).collect(),
        first: asked.after.is_some().then(|| asked.url()),
        next: found.next.map(|cursor| {
            let url = asked.url();
            let join = if url.contains('?') { '&' } else { '?' };
            format!("{url}{join}after={}", URL_SAFE_NO_PAD.encode(cursor))
        }),
        category: asked.category,
    };
    public(&visitor, &page, "search")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test] // Where a rule leads, and whether that may be a circle.
    fn a_redirect_does_not_lead_back() {
        for (to, wanted) in [
            ("/search?q=ink", true),
            ("/search?%71=ink", true),
            ("/./search/?q=ink", true),
            ("/%73earch?q=ink#top", true),
            ("/sale/%2e%2e/search?q=ink", true),
            ("https://shop.example/search?q=ink", true),
            ("https://SHOP.example:443/search?q=ink", true),
            ("https://other.example/search?q=ink", false),
            ("/search?q=ink&brand=HP", false),
            ("/search?q=", false),
            ("/search", false),
            ("/search/help?q=ink", false),
            ("/sale?q=ink", false),
        ] {
            assert_eq!(leads_back(to, Some("shop.example")), wanted, "{to}");
        }
    }

    #[test]
    fn prices_are_read_as_people_write_them() {
        for (text, wanted) in [
            ("12", Some(1_200)),
            ("12.5", Some(1_250)),
            ("$1,234.56", Some(123_456)),
            (".99", Some(99)),
            ("0", Some(0)),
            ("", None),
            (".", None),
            ("12.345", None),
            ("-1", None),
            ("1e3", None),
            ("９", None),
            ("999999999999999999999", None),
        ] {
            assert_eq!(cents(text), wanted, "{text}");
        }
    }

    #[test]
    fn addresses_are_read_leniently() {
        let (asked, notices) =
            Asked::parse(Some("q=+ink+&brand=HP&brand=&min=5&max=lots&in_stock=true&sort=cheap&utm=1&q=2")).expect("readable");
        let wanted = Asked { q: "ink".to_owned(), brands: vec!["HP".to_owned()], min: Some(500), in_stock: true, ..Asked::default() };
        assert_eq!(asked, wanted);
        assert_eq!(notices.len(), 1, "{notices:?}");
        let (long, notices) = Asked::parse(Some(&format!("q={}", "%C3%A9".repeat(300)))).expect("readable");
        assert_eq!((long.q.len(), notices.len()), (512, 1));
        assert!(Asked::parse(Some("q=%FF")).is_err());
        assert!(Asked { after: Some("!".to_owned()), ..Asked::default() }.wire().is_err());
    }

    proptest! {
        #[test]
        fn addresses_come_back(q in "[^\\s]{0,20}", brands in prop::collection::btree_set("[a-z&=/ %+]{1,10}[a-z]", 0..4), category in prop::option::of("[a-z/&]{1,10}"),
            min in prop::option::of(0i64..1_000_000), in_stock: bool, sort in prop::option::of(0usize..SORTS.len())) {
            let sort = sort.map(|place| SORTS[place].0);
            let asked = Asked { q, brands: brands.into_iter().collect(), category, min, max: None, in_stock, sort, after: None };
            let url = asked.url();
            let raw = url.strip_prefix("/search").map(|rest| rest.trim_start_matches('?'));
            prop_assert_eq!(Asked::parse(raw).expect("readable").0, asked);
        }
    }
}
