//! Settings of the search: synonyms, and rules for queries.

use super::{Shown, Time, check::Checks};
use crate::http::{problem::Problem, reference};
use crate::routes::search_query;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::{Millis, ProductId, ProductRef, QueryPattern, SearchRule, SearchSetting, SearchSettingView, limits};

/// Ways to say one thing. Either `words`, each of which stands for all; or `typed` and `found`: whoever types one of the first is also shown what says one of
/// the others.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SynonymsBody {
    /// 2 to 32 ways of 1 to 4 words; 1 under a key that begins with `common-`, which switches that one off.
    #[schema(example = json!(["tv", "television", "flat screen"]))]
    pub words: Option<Vec<String>>,
    /// 1 to 32.
    pub typed: Option<Vec<String>>,
    /// 1 to 32.
    pub found: Option<Vec<String>>,
}

impl SynonymsBody {
    /// The wire form. What the engine cannot take of it, it says itself.
    ///
    /// # Errors
    /// Neither one form nor the other.
    pub(crate) fn check(self) -> Result<SearchSetting, Problem> {
        let (typed, found) = match (self.words, self.typed, self.found) {
            (Some(words), None, None) => (words.clone(), words),
            (None, Some(typed), Some(found)) => (typed, found),
            _ => return Err(Problem::field("", "one_of", "either words, or typed and found")),
        };
        Ok(SearchSetting::Synonyms(wire::Synonyms { typed, found }))
    }
}

/// Some queries. One of the two.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum PatternBody {
    /// Those of these words and no others, in any order.
    Is(String),
    /// Those that have these words among others, in any order.
    Contains(String),
}

/// A product at a fixed place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinBody {
    /// From 1, the first; at most 100.
    #[schema(example = 1)]
    pub place: u16,
    /// `prod_…`, or `key=` and the merchant's key.
    pub product: String,
}

/// What is to stand higher, or lower.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoostBody {
    /// As in `filter` of a search; not `in_stock`.
    #[schema(example = "brand:HP|Canon")]
    pub filter: String,
    /// By so many hundredths of what all words of the query weigh, -400 to 400; a negative one buries.
    #[schema(example = 50)]
    pub percent: i16,
}

/// A text above the hits.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Banner {
    /// What it says; plain text.
    pub text: String,
    /// Where it leads: a path of the shop, or an https address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl From<wire::Banner> for Banner {
    fn from(banner: wire::Banner) -> Self {
        Self { text: banner.text, url: banner.url }
    }
}

/// What is shown for some queries; at least one of `pin`, `hide`, `boost`, `redirect` and `banner`. Words count whatever their case, diacritics and number, and
/// when they are misspelt.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRuleBody {
    /// 1 to 32, any of which will do.
    pub queries: Vec<PatternBody>,
    /// At most 20 products at fixed places of the first page, whether or not they match; filters still hold.
    #[serde(default)]
    pub pin: Vec<PinBody>,
    /// At most 100 products that are not shown: `prod_…`, or `key=` and the merchant's key.
    #[serde(default)]
    pub hide: Vec<String>,
    /// At most 16.
    #[serde(default)]
    pub boost: Vec<BoostBody>,
    /// Where the shopper is sent instead: a path of the shop, or an https address.
    pub redirect: Option<String>,
    /// A text above the hits.
    pub banner: Option<Banner>,
    /// Not before, RFC 3339.
    #[schema(example = "2026-12-01T00:00:00Z")]
    pub from: Option<String>,
    /// Not from then on, RFC 3339.
    pub until: Option<String>,
    /// False: it is kept and does nothing.
    pub enabled: Option<bool>,
}

impl SearchRuleBody {
    /// The wire form. Bounds are the engine's to check.
    ///
    /// # Errors
    /// What cannot be read: products, filters and times.
    pub(crate) fn check(self) -> Result<SearchSetting, Problem> {
        let mut checks = Checks::default();
        let queries = self.queries.into_iter().map(|query| match query {
            PatternBody::Is(text) => QueryPattern::Is(text),
            PatternBody::Contains(text) => QueryPattern::Contains(text),
        });
        let product = |checks: &mut Checks, pointer: String, text: &str| {
            let found = reference::product(text).ok();
            if found.is_none() {
                checks.wrong(pointer, "unknown_product", "prod_… or key=KEY");
            }
            found
        };
        let mut pins = Vec::with_capacity(self.pin.len());
        for (nth, pin) in self.pin.iter().enumerate() {
            let found = product(&mut checks, format!("/pin/{nth}/product"), &pin.product);
            pins.extend(found.map(|product| wire::Pin { place: pin.place, product }));
        }
        let mut hidden = Vec::with_capacity(self.hide.len());
        for (nth, text) in self.hide.iter().enumerate() {
            hidden.extend(product(&mut checks, format!("/hide/{nth}"), text));
        }
        let mut boosts = Vec::with_capacity(self.boost.len());
        for (nth, boost) in self.boost.iter().enumerate() {
            match search_query::filter(&boost.filter) {
                Ok(filter) => boosts.push(wire::Boost { filter, percent: boost.percent }),
                Err(wanted) => checks.wrong(format!("/boost/{nth}/filter"), "bad_filter", wanted),
            }
        }
        let mut time = |pointer: &str, text: Option<String>| text.map(|text| super::warehouse::time(&mut checks, pointer, &text));
        let (from, until): (Option<Millis>, Option<Millis>) = (time("/from", self.from), time("/until", self.until));
        let rule = SearchRule {
            queries: queries.collect(),
            pins,
            hidden,
            boosts,
            redirect: self.redirect,
            banner: self.banner.map(|banner| wire::Banner { text: banner.text, url: banner.url }),
            from,
            until,
            enabled: self.enabled.unwrap_or(true),
        };
        checks.end(SearchSetting::Rule(Box::new(rule)))
    }
}

/// A setting's key, from the path.
pub(crate) fn key(key: String) -> Result<String, Problem> {
    let mut checks = Checks::default();
    let key = checks.key("/key", key);
    checks.end(key)
}

/// Ways to say one thing, as they are kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct Synonyms {
    /// The merchant's key.
    pub key: String,
    /// Rises with each change.
    pub version: u64,
    /// Each stands for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<String>>,
    /// Or: whoever types one of these
    #[serde(skip_serializing_if = "Option::is_none")]
    typed: Option<Vec<String>>,
    /// is also shown what says one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Vec<String>>,
}

/// A product at a fixed place.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pin {
    /// From 1.
    place: u16,
    /// `prod_…`
    #[schema(value_type = String)]
    product: Shown<ProductId>,
}

/// A rule as it is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rule {
    /// The merchant's key.
    pub key: String,
    /// Rises with each change.
    pub version: u64,
    /// Any of these.
    queries: Vec<PatternBody>,
    /// Products at fixed places.
    pin: Vec<Pin>,
    /// Products that are not shown: `prod_…`
    #[schema(value_type = Vec<String>)]
    hide: Vec<Shown<ProductId>>,
    /// What stands higher, or lower.
    boost: Vec<BoostBody>,
    /// Where the shopper is sent.
    redirect: Option<String>,
    /// A text above the hits.
    banner: Option<Banner>,
    /// Not before.
    #[schema(value_type = Option<String>)]
    from: Option<Time>,
    /// Not from then on.
    #[schema(value_type = Option<String>)]
    until: Option<Time>,
    /// Does it do anything?
    enabled: bool,
}

/// What counts beside the words, in order of relevance: what a product with the most of it gets, in hundredths of what all words of the query weigh. Each 0 to
/// 400; what is not given is 0.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RankingBody {
    /// Of popularity, by its logarithm; all of it from about a million on.
    #[serde(default)]
    pub popularity: u16,
    /// Of stars; all of it with five.
    #[serde(default)]
    pub rating: u16,
    /// All of it for what can be had at the moment of the search.
    #[serde(default)]
    pub in_stock: u16,
    /// Of margins; all of it for what is all profit, none for what costs the shop money. Shoppers see it in the order and nowhere else.
    #[serde(default)]
    pub margin: u16,
    /// Of two words that are neighbours in the query, where a title has them side by side: hundredths of what these two weigh, 0 to 100. Searches take half as much again
    /// with it.
    #[serde(default)]
    pub proximity: u16,
}

impl From<RankingBody> for SearchSetting {
    fn from(body: RankingBody) -> Self {
        let RankingBody { popularity, rating, in_stock, margin, proximity } = body;
        Self::Ranking(wire::Ranking { popularity, rating, in_stock, margin, proximity })
    }
}

/// What counts beside the words.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ranking {
    /// Rises with each change; 0 before the first.
    pub version: u64,
    /// Hundredths of what all words weigh.
    popularity: u16,
    /// Likewise.
    rating: u16,
    /// Likewise.
    in_stock: u16,
    /// Likewise.
    margin: u16,
    /// Hundredths of what two words weigh.
    proximity: u16,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// By key.
    pub items: Vec<T>,
    /// Cursor of the next page; null on the last.
    pub next: Option<String>,
}

/// A setting, of whichever kind.
pub(crate) enum Setting {
    Synonyms(Synonyms),
    Rule(Box<Rule>),
    Ranking(Ranking),
}

impl From<SearchSettingView> for Setting {
    fn from(view: SearchSettingView) -> Self {
        let SearchSettingView { key, version, setting } = view;
        match setting {
            SearchSetting::Synonyms(wire::Synonyms { typed, found }) if typed == found => {
                Self::Synonyms(Synonyms { key, version, words: Some(typed), typed: None, found: None })
            }
            SearchSetting::Synonyms(wire::Synonyms { typed, found }) => {
                Self::Synonyms(Synonyms { key, version, words: None, typed: Some(typed), found: Some(found) })
            }
            SearchSetting::Rule(rule) => Self::Rule(Box::new(shown(key, version, *rule))),
            SearchSetting::Ranking(wire::Ranking { popularity, rating, in_stock, margin, proximity }) => {
                Self::Ranking(Ranking { version, popularity, rating, in_stock, margin, proximity })
            }
        }
    }
}

fn shown(key: String, version: u64, rule: SearchRule) -> Rule {
    // The engine keeps ids.
    let id = |product: ProductRef| match product {
        ProductRef::Id(id) => Some(id),
        ProductRef::Key(_) => None,
    };
    let pattern = |query| match query {
        QueryPattern::Is(text) => PatternBody::Is(text),
        QueryPattern::Contains(text) => PatternBody::Contains(text),
    };
    Rule {
        key,
        version,
        queries: rule.queries.into_iter().map(pattern).collect(),
        pin: rule.pins.into_iter().filter_map(|pin| Some(Pin { place: pin.place, product: Shown(id(pin.product)?) })).collect(),
        hide: rule.hidden.into_iter().filter_map(id).map(Shown).collect(),
        boost: rule
            .boosts
            .iter()
            .map(|boost| BoostBody { filter: search_query::filter_text(&boost.filter), percent: boost.percent })
            .collect(),
        redirect: rule.redirect,
        banner: rule.banner.map(Into::into),
        from: rule.from.map(Time),
        until: rule.until.map(Time),
        enabled: rule.enabled,
    }
}

/// Keys of a cursor: the last of the page before.
pub(crate) fn after(cursor: Option<String>) -> Result<Option<String>, Problem> {
    let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) else { return Ok(None) };
    let key = super::search::cursor_bytes(&cursor).and_then(|bytes| String::from_utf8(bytes).ok());
    key.filter(|key| key.len() <= limits::KEY_BYTES_MAX).map(Some).ok_or_else(Problem::bad_cursor)
}
