//! What is set for the search: its table, and what a setting may say.
//!
//! Path: `put` and `delete` (in `partition/search_settings.rs`) change [`SearchSettings`]; readers on other shards hold a snapshot of it, compiled for the search
//! by whichever of them needs it first (`flow/search_rules.rs`). Cloning costs O(settings) of reference counts, no text.
//! Bounds: `SYNONYMS_MAX` and `SEARCH_RULES_MAX` settings, and those of each in [`check`].

use super::{check_count, check_text};
use crate::record::v1::search::{
    Banner, Boost, QueryPattern, Ranking, SearchRule, SearchSetting, SearchSettingKind, Synonyms, Trait, WiderRanking,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use wire::{FieldError, RANKING_KEY, limits};

/// A setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Rises with each change; the first is 1.
    pub version: u64,
    /// What is set.
    pub content: SearchSetting,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct SearchSettings {
    by_key: BTreeMap<(SearchSettingKind, Arc<str>), Arc<Setting>>,
}

impl SearchSettings {
    /// A setting.
    #[must_use]
    pub fn get(&self, kind: SearchSettingKind, key: &str) -> Option<&Setting> {
        // The key of the map is owned; there are few lookups.
        self.by_key.get(&(kind, Arc::from(key))).map(AsRef::as_ref)
    }

    /// How many there are of a kind. O(settings).
    #[must_use]
    pub fn count(&self, kind: SearchSettingKind) -> usize {
        self.of_kind(kind, None).count()
    }

    /// Those of a kind behind a key, or all of them, by key.
    pub fn of_kind(&self, kind: SearchSettingKind, after: Option<&str>) -> impl Iterator<Item = (&str, &Setting)> {
        let from = after.map_or_else(|| Bound::Included((kind, Arc::from(""))), |after| Bound::Excluded((kind, Arc::from(after))));
        self.by_key
            .range((from, Bound::Unbounded))
            .take_while(move |((of, _), _)| *of == kind)
            .map(|((_, key), setting)| (&**key, &**setting))
    }

    /// Whether all of a kind are those of `other`, which this is a later form of. O(those).
    pub(crate) fn is_same(&self, other: &Self, kind: SearchSettingKind) -> bool {
        fn of_kind(settings: &SearchSettings, kind: SearchSettingKind) -> impl Iterator<Item = (&str, *const Setting)> {
            settings.of_kind(kind, None).map(|(key, setting)| (key, std::ptr::from_ref(setting)))
        }
        of_kind(self, kind).eq(of_kind(other, kind))
    }

    /// All, by kind and key.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Setting>)> {
        self.by_key.iter().map(|((_, key), setting)| (key, setting))
    }

    /// Those behind a place in the order of [`Self::iter`].
    pub(crate) fn after(
        &self,
        place: Option<&(SearchSettingKind, Arc<str>)>,
    ) -> impl Iterator<Item = (&(SearchSettingKind, Arc<str>), &Setting)> {
        let from = place.map_or(Bound::Unbounded, |place| Bound::Excluded(place.clone()));
        self.by_key.range((from, Bound::Unbounded)).map(|(place, setting)| (place, &**setting))
    }

    pub(crate) fn insert(&mut self, key: Arc<str>, setting: Setting) {
        self.by_key.insert((setting.content.kind(), key), Arc::new(setting));
    }

    pub(crate) fn remove(&mut self, kind: SearchSettingKind, key: &str) -> bool {
        self.by_key.remove(&(kind, Arc::from(key))).is_some()
    }
}

/// Keys of synonyms that every shop has begin with this; a setting with such a key takes its place.
pub(crate) const COMMON_KEY_PREFIX: &str = "common-";

/// Whether a setting is within its bounds and says something. Pointers are into the body that the HTTP contract has.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(key: &str, setting: &SearchSetting) -> Result<(), FieldError> {
    check_text("/key", key, 1, limits::KEY_BYTES_MAX)?;
    match setting {
        SearchSetting::Synonyms(synonyms) => check_synonyms(key, synonyms),
        SearchSetting::Rule(rule) => check_rule(rule),
        SearchSetting::Ranking(ranking) => check_ranking(key, ranking, 0, 0),
        SearchSetting::WiderRanking(WiderRanking { others, margin, proximity }) => check_ranking(key, others, *margin, *proximity),
    }
}

fn check_synonyms(key: &str, Synonyms { typed, found }: &Synonyms) -> Result<(), FieldError> {
    for (name, ways) in [("typed", typed), ("found", found)] {
        check_count(&format!("/{name}"), ways.len(), 1, limits::SYNONYM_WAYS_MAX)?;
        for (nth, way) in ways.iter().enumerate() {
            check_text(&format!("/{name}/{nth}"), way, 1, limits::KEY_BYTES_MAX)?;
        }
    }
    // In the place of one that every shop has, it switches that off.
    if !key.starts_with(COMMON_KEY_PREFIX) && found.iter().all(|way| typed == std::slice::from_ref(way)) {
        return Err(wrong("/found", "no_effect", "another way to say it than is typed"));
    }
    Ok(())
}

fn check_rule(rule: &SearchRule) -> Result<(), FieldError> {
    let SearchRule { queries, pins, hidden, boosts, redirect, banner, from, until, enabled: _ } = rule;
    check_count("/queries", queries.len(), 1, limits::RULE_QUERIES_MAX)?;
    for (nth, QueryPattern::Is(text) | QueryPattern::Contains(text)) in queries.iter().enumerate() {
        check_text(&format!("/queries/{nth}"), text, 1, limits::QUERY_BYTES_MAX)?;
    }
    check_count("/pin", pins.len(), 0, limits::RULE_PINS_MAX)?;
    let mut seen = BTreeSet::new();
    for (nth, pin) in pins.iter().enumerate() {
        if !(1..=limits::PAGE_MAX).contains(&pin.place) {
            return Err(wrong(&format!("/pin/{nth}/place"), "out_of_range", &format!("1 to {}", limits::PAGE_MAX)));
        }
        if !seen.insert(pin.product) {
            return Err(wrong(&format!("/pin/{nth}/product"), "duplicate", "each product once"));
        }
    }
    check_count("/hide", hidden.len(), 0, limits::RULE_HIDDEN_MAX)?;
    if let Some(nth) = hidden.iter().position(|product| seen.contains(product)) {
        return Err(wrong(&format!("/hide/{nth}"), "contradiction", "a product that the rule does not pin"));
    }
    check_count("/boost", boosts.len(), 0, limits::RULE_BOOSTS_MAX)?;
    for (nth, boost) in boosts.iter().enumerate() {
        check_boost(&format!("/boost/{nth}"), boost)?;
    }
    let values = boosts.iter().map(|Boost { of, .. }| match of {
        Trait::Brand(texts) | Trait::Category(texts) | Trait::Attribute { values: texts, .. } => texts.iter().map(String::len).sum(),
        Trait::Price { .. } | Trait::Rating { .. } | Trait::AttributeRange { .. } => 0,
    });
    if values.sum::<usize>() > limits::RULE_FILTER_BYTES_MAX {
        return Err(wrong("/boost", "too_long", &format!("filters of at most {} bytes in all", limits::RULE_FILTER_BYTES_MAX)));
    }
    check_url("/redirect", redirect.as_deref())?;
    if let Some(Banner { text, url }) = banner {
        check_text("/banner/text", text, 1, limits::BANNER_BYTES_MAX)?;
        check_url("/banner/url", url.as_deref())?;
    }
    if from.zip(*until).is_some_and(|(from, until)| from >= until) {
        return Err(wrong("/until", "out_of_range", "after `from`"));
    }
    if pins.is_empty() && hidden.is_empty() && boosts.is_empty() && redirect.is_none() && banner.is_none() {
        return Err(wrong("", "no_effect", "at least one of pin, hide, boost, redirect and banner"));
    }
    Ok(())
}

fn check_ranking(key: &str, others: &Ranking, margin: u16, proximity: u16) -> Result<(), FieldError> {
    let Ranking { popularity, rating, in_stock } = *others;
    let of_all = limits::BOOST_PERCENT_MAX.unsigned_abs();
    for (name, percent, max) in [
        ("popularity", popularity, of_all),
        ("rating", rating, of_all),
        ("in_stock", in_stock, of_all),
        ("margin", margin, of_all),
        ("proximity", proximity, limits::PROXIMITY_PERCENT_MAX),
    ] {
        if percent > max {
            return Err(wrong(&format!("/{name}"), "out_of_range", &format!("0 to {max}")));
        }
    }
    if key == RANKING_KEY { Ok(()) } else { Err(wrong("/key", "unknown_value", RANKING_KEY)) }
}

fn check_boost(pointer: &str, Boost { of, percent }: &Boost) -> Result<(), FieldError> {
    let max = limits::BOOST_PERCENT_MAX;
    if *percent == 0 || !(-max..=max).contains(percent) {
        return Err(wrong(&format!("{pointer}/percent"), "out_of_range", &format!("-{max} to {max}, and not 0")));
    }
    let pointer = &format!("{pointer}/filter");
    let texts = |texts: &[String]| {
        check_count(pointer, texts.len(), 1, limits::FILTER_VALUES_MAX)?;
        texts.iter().try_for_each(|text| check_text(pointer, text, 1, limits::ATTRIBUTE_VALUE_BYTES_MAX))
    };
    match of {
        Trait::Brand(names) | Trait::Category(names) => texts(names),
        Trait::Attribute { name, values } => {
            check_text(pointer, name, 1, limits::ATTRIBUTE_NAME_BYTES_MAX)?;
            texts(values)
        }
        Trait::AttributeRange { name, min, max } => {
            check_text(pointer, name, 1, limits::ATTRIBUTE_NAME_BYTES_MAX)?;
            if [min, max].into_iter().flatten().all(|end| end.is_finite()) {
                Ok(())
            } else {
                Err(wrong(pointer, "out_of_range", "finite numbers"))
            }
        }
        Trait::Price { .. } | Trait::Rating { .. } => Ok(()),
    }
}

/// A path of the shop, or an `https` address: nothing that runs in a page, and nothing that looks like a path and is none.
fn check_url(pointer: &str, url: Option<&str>) -> Result<(), FieldError> {
    let Some(url) = url else { return Ok(()) };
    check_text(pointer, url, 1, limits::URL_BYTES_MAX)?;
    let of_shop = url.starts_with('/') && !url.starts_with("//");
    let elsewhere = url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if (of_shop || elsewhere) && url.chars().all(|c| c.is_ascii_graphic() && c != '\\') {
        return Ok(());
    }
    Err(wrong(pointer, "bad_url", "a path of the shop that begins with one /, or an https address; percent-encoded"))
}

fn wrong(pointer: &str, code: &str, detail: &str) -> FieldError {
    FieldError { pointer: pointer.to_owned(), code: code.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::rule;
    use crate::record::v1::search::Pin;
    use wire::{Millis, ProductId, RawId};

    #[test] // Each row: what is done to a good rule, and what is said of it.
    fn a_rule_is_within_its_bounds_and_says_something() {
        type Spoil = fn(&mut SearchRule);
        let rows: [(Spoil, &str); 20] = [
            (|_| {}, ""),
            (|rule| rule.queries.clear(), "/queries too_few"),
            (|rule| rule.queries.push(QueryPattern::Is(String::new())), "/queries/2 too_short"),
            (|rule| rule.pins[0].place = 0, "/pin/0/place out_of_range"),
            (|rule| rule.pins[0].place = 101, "/pin/0/place out_of_range"),
            (|rule| rule.pins.push(Pin { place: 1, product: rule.pins[0].product }), "/pin/1/product duplicate"),
            (|rule| rule.hidden.push(rule.pins[0].product), "/hide/1 contradiction"),
            (|rule| rule.hidden = vec![ProductId(RawId(1)); limits::RULE_HIDDEN_MAX + 1], "/hide too_many"),
            (|rule| rule.boosts[0].percent = 0, "/boost/0/percent out_of_range"),
            (|rule| rule.boosts[1].percent = -401, "/boost/1/percent out_of_range"),
            (|rule| rule.boosts[0].of = Trait::Brand(Vec::new()), "/boost/0/filter too_few"),
            (
                |rule| rule.boosts[0].of = Trait::AttributeRange { name: "n".to_owned(), min: Some(f64::NAN), max: None },
                "/boost/0/filter out_of_range",
            ),
            (|rule| rule.boosts[0].of = Trait::Brand(vec!["x".repeat(limits::RULE_FILTER_BYTES_MAX / 4); 5]), "/boost too_long"),
            (|rule| rule.until = rule.from, "/until out_of_range"),
            (|rule| rule.until = rule.from.map(|from| Millis(from.0 + 1)), ""),
            (|rule| rule.redirect = Some("javascript:alert(1)".to_owned()), "/redirect bad_url"),
            (|rule| rule.redirect = Some("//elsewhere.example".to_owned()), "/redirect bad_url"),
            (|rule| rule.redirect = Some("/\\elsewhere.example".to_owned()), "/redirect bad_url"),
            (
                |rule| rule.banner = Some(Banner { text: "Sale".to_owned(), url: Some("http://a.example".to_owned()) }),
                "/banner/url bad_url",
            ),
            (|rule| *rule = SearchRule { queries: rule.queries.clone(), ..nothing() }, " no_effect"),
        ];
        for (spoil, wanted) in rows {
            let mut spoiled = rule();
            spoil(&mut spoiled);
            let said = check("key", &SearchSetting::Rule(Box::new(spoiled)));
            let said = said.err().map_or_else(String::new, |error| format!("{} {}", error.pointer, error.code));
            assert_eq!(said, wanted);
        }
    }

    fn nothing() -> SearchRule {
        SearchRule {
            queries: Vec::new(),
            pins: Vec::new(),
            hidden: Vec::new(),
            boosts: Vec::new(),
            redirect: None,
            banner: None,
            from: None,
            until: None,
            enabled: true,
        }
    }

    #[test] // Each row: key and hundredths, and what is said of them.
    fn there_is_one_ranking() {
        let max = limits::BOOST_PERCENT_MAX.unsigned_abs();
        let nearest = limits::PROXIMITY_PERCENT_MAX;
        for (key, popularity, in_stock, (margin, proximity), wanted) in [
            (RANKING_KEY, max, 0, (max, nearest), ""),
            (RANKING_KEY, max + 1, 0, (0, 0), "/popularity out_of_range"),
            (RANKING_KEY, 0, max + 1, (0, 0), "/in_stock out_of_range"),
            (RANKING_KEY, 0, 0, (max + 1, 0), "/margin out_of_range"),
            (RANKING_KEY, 0, 0, (0, nearest + 1), "/proximity out_of_range"),
            ("other", 1, 1, (1, 1), "/key unknown_value"),
        ] {
            let others = Ranking { popularity, rating: 0, in_stock };
            let setting = match (margin, proximity) {
                (0, 0) => SearchSetting::Ranking(others),
                (margin, proximity) => SearchSetting::WiderRanking(WiderRanking { others, margin, proximity }),
            };
            let said = check(key, &setting);
            let said = said.err().map_or_else(String::new, |error| format!("{} {}", error.pointer, error.code));
            assert_eq!(said, wanted);
        }
    }

    #[test] // Each row: ways typed and found, and what is said of them.
    fn synonyms_say_something_else() {
        for (typed, found, wanted) in [
            (&["tv"][..], &["television"][..], ""),
            (&["tv", "telly"], &["tv", "telly"], ""),
            (&["tv"], &["tv"], "/found no_effect"),
            (&[], &["tv"], "/typed too_few"),
            (&["tv"], &[], "/found too_few"),
            (&["tv"], &[""], "/found/0 too_short"),
        ] {
            let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            let said = check("key", &SearchSetting::Synonyms(Synonyms { typed: own(typed), found: own(found) }));
            let said = said.err().map_or_else(String::new, |error| format!("{} {}", error.pointer, error.code));
            assert_eq!(said, wanted, "{typed:?} {found:?}");
        }
    }
}
