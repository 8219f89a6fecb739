//! What is set for the search, made ready for it: synonyms as the index takes them, and rules with their patterns.
//!
//! Path: settings published by their partition's shard → [`SearchRules`], compiled by the first search after a change, whichever shard's → of a query's text the
//! rules that are for it ([`SearchRules::matching`]) → what the index is told to do and the shopper is shown ([`SearchRules::arrange`]).
//! Where rules contradict each other the one whose key comes first is followed, but for a product that any of them hides: it is not shown.
//! Bounds: those of the index on pins, hidden documents and boosts of one query; what rules further back would add to a full list is left out.
//! Cost: a change costs the next search some 2 µs a way to say a thing; a search costs a look at every pattern, some 50 ns each.

use crate::domain::{
    category::CategoryTree,
    search_settings::{SearchSettings, Setting},
};
use crate::flow::views;
use crate::record::v1::search::{Boost, QueryPattern, Ranking, SearchRule, SearchSetting, SearchSettingKind};
use crate::shard::core::doc_key;
use search_index::{
    BOOSTS_MAX, HIDDEN_MAX, PINS_MAX, Pattern, PatternError, PatternKind, Pin, Query, Signals, Synonym, Synonyms, Typed, Words,
};
use std::sync::{Arc, OnceLock};
use wire::{Banner, Millis, RANKING_KEY};

/// The settings as last published.
#[derive(Debug, Default)]
pub(crate) struct SearchRules {
    settings: Arc<SearchSettings>,
    compiled: OnceLock<Compiled>,
}

#[derive(Debug, Default)]
struct Compiled {
    synonyms: Arc<Synonyms>,
    signals: Signals,
    rules: Vec<Compared>,
}

/// A rule that is not switched off.
#[derive(Debug)]
struct Compared {
    patterns: Vec<Pattern>,
    setting: Arc<Setting>,
}

impl Compared {
    fn rule(&self) -> Option<&SearchRule> {
        match &self.setting.content {
            SearchSetting::Rule(rule) => Some(rule),
            SearchSetting::Synonyms(_) | SearchSetting::Ranking(_) => None,
        }
    }
}

/// Rules that are for a query, by their places.
pub(crate) type Matched = Vec<usize>;

/// What rules say to the shopper.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shown {
    pub(crate) redirect: Option<String>,
    pub(crate) banner: Option<Banner>,
}

impl SearchRules {
    pub(crate) fn new(settings: Arc<SearchSettings>) -> Self {
        Self { settings, compiled: OnceLock::new() }
    }

    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| Compiled::of(&self.settings))
    }

    /// Sets a query up as it is for any text.
    pub(crate) fn set_up(&self, query: &mut Query) {
        let Compiled { synonyms, signals, rules: _ } = self.compiled();
        (query.synonyms, query.signals) = (Arc::clone(synonyms), *signals);
    }

    /// The rules for a text at a time, in the order of their keys. `unknown` are its words that no document has: these count as what they may be misspelt from.
    pub(crate) fn matching(&self, text: &str, unknown: Words, now: Millis) -> Matched {
        let rules = &self.compiled().rules;
        if rules.is_empty() {
            return Matched::new();
        }
        let typed = Typed::new(text);
        let is_for = |pattern: &Pattern| pattern.matches(&typed) || (!unknown.is_empty() && pattern.matches_misspelt(&typed, unknown));
        let applies = |compared: &Compared| {
            compared.rule().is_some_and(|rule| rule.from.is_none_or(|from| from <= now) && rule.until.is_none_or(|until| now < until))
                && compared.patterns.iter().any(is_for)
        };
        rules.iter().enumerate().filter(|(_, compared)| applies(compared)).map(|(place, _)| place).collect()
    }

    /// Sets a query up as these rules say; what the shopper is likely to want counts behind what they do.
    pub(crate) fn arrange(&self, matched: &Matched, preferences: &[Boost], tree: &CategoryTree, query: &mut Query) -> Shown {
        let rules = matched.iter().filter_map(|place| self.compiled().rules.get(*place)?.rule());
        let mut shown = Shown::default();
        let (mut pins, mut hidden, mut boosts) = (Vec::<Pin>::new(), Vec::new(), Vec::new());
        for rule in rules {
            for product in &rule.hidden {
                let key = doc_key(*product);
                if !hidden.contains(&key) && hidden.len() < HIDDEN_MAX {
                    hidden.push(key);
                }
            }
            for pin in &rule.pins {
                let (key, place) = (doc_key(pin.product), pin.place - 1);
                if pins.iter().all(|pin| pin.key != key) {
                    pins.push(Pin { place, key });
                }
            }
            boosts.extend(&rule.boosts);
            shown.redirect = shown.redirect.or_else(|| rule.redirect.clone());
            shown.banner = shown.banner.or_else(|| rule.banner.clone().map(|banner| Banner { text: banner.text, url: banner.url }));
        }
        pins.retain(|pin| !hidden.contains(&pin.key));
        pins.truncate(PINS_MAX);
        let indexed = |boost: &Boost| search_index::Boost { filter: views::indexed_trait(&boost.of, tree), percent: boost.percent };
        let boosts = boosts.into_iter().chain(preferences).take(BOOSTS_MAX).map(indexed);
        (query.pins, query.hidden, query.boosts) = (pins, hidden, boosts.collect());
        shown
    }
}

impl Compiled {
    fn of(settings: &SearchSettings) -> Self {
        let rules = |setting: &Arc<Setting>| {
            let SearchSetting::Rule(rule) = &setting.content else { return None };
            // What was taken once and is a pattern no more, by some later way to take texts apart, is passed over.
            let patterns: Vec<Pattern> = rule.queries.iter().filter_map(|query| pattern(query).ok()).collect();
            rule.enabled.then(|| Compared { patterns, setting: Arc::clone(setting) })
        };
        let synonyms = settings.of_kind(SearchSettingKind::Synonyms, None).filter_map(|(_, setting)| match &setting.content {
            SearchSetting::Synonyms(synonyms) => Some(synonym(synonyms)),
            SearchSetting::Rule(_) | SearchSetting::Ranking(_) => None,
        });
        // Likewise, one by one.
        let synonyms: Vec<Synonym> = synonyms.filter(|synonym| Synonyms::new([synonym]).is_ok()).collect();
        let ranking = settings.get(SearchSettingKind::Ranking, RANKING_KEY).map(|setting| &setting.content);
        let signals = match ranking {
            Some(SearchSetting::Ranking(Ranking { popularity, rating, in_stock })) => {
                Signals { popularity: *popularity, rating: *rating, in_stock: *in_stock }
            }
            Some(SearchSetting::Synonyms(_) | SearchSetting::Rule(_)) | None => Signals::default(),
        };
        Self {
            signals,
            synonyms: Arc::new(Synonyms::new(&synonyms).unwrap_or_default()),
            rules: settings.iter().filter_map(|(_, setting)| rules(setting)).collect(),
        }
    }
}

/// As the index takes it.
pub(crate) fn synonym(synonyms: &crate::record::v1::search::Synonyms) -> Synonym {
    Synonym { typed: synonyms.typed.clone(), found: synonyms.found.clone() }
}

/// Likewise.
///
/// # Errors
/// When it is none.
pub(crate) fn pattern(query: &QueryPattern) -> Result<Pattern, PatternError> {
    match query {
        QueryPattern::Is(text) => Pattern::new(text, PatternKind::Is),
        QueryPattern::Contains(text) => Pattern::new(text, PatternKind::Contains),
    }
}
