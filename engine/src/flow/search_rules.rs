//! What is set for the search, made ready for it: synonyms as the index takes them, and rules with their patterns.
//!
//! Path: settings published by their partition's shard → [`SearchRules`], compiled by the first search after a change, whichever shard's → of a query's text the
//! rules that are for it ([`SearchRules::matching`]) → what the index is told to do and the shopper is shown ([`SearchRules::arrange`]).
//! Where rules contradict each other the one whose key comes first is followed, but for a product that any of them hides: it is not shown.
//! Bounds: those of the index on pins, hidden documents and boosts of one query; what rules further back would add to a full list is left out.
//! Cost: a change costs the next search some 2 µs a way to say a thing, of all synonyms or of all rules, whichever changed; a search costs a look at every
//! pattern, some 50 ns each, and where no rule is for it and nobody has some of its words, up to four more dear looks at those.

use crate::domain::{
    category::CategoryTree,
    search_settings::{COMMON_KEY_PREFIX, SearchSettings, Setting},
};
use crate::flow::{common_synonyms::COMMON, views};
use crate::record::v1::search::{Boost, QueryPattern, Ranking, SearchRule, SearchSetting, SearchSettingKind, WiderRanking};
use crate::shard::core::doc_key;
use search_index::{
    BOOSTS_MAX, HIDDEN_MAX, Language, PINS_MAX, Pattern, PatternError, PatternKind, Pin, Query, SYNONYMS_MAX, Signals, Synonym, Synonyms,
    Typed, Words,
};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use wire::{Banner, Millis, RANKING_KEY};

/// The settings as last published.
#[derive(Debug, Default)]
pub(crate) struct SearchRules {
    language: Language,
    settings: Arc<SearchSettings>,
    signals: Signals,
    proximity: u16,
    synonyms: Arc<OnceLock<Arc<Synonyms>>>,
    rules: Arc<OnceLock<Vec<Compared>>>,
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
            SearchSetting::Synonyms(_) | SearchSetting::Ranking(_) | SearchSetting::WiderRanking(_) => None,
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
    /// Nothing set, for a search in this language.
    pub(crate) fn new(language: Language) -> Self {
        Self { language, ..Self::default() }
    }

    pub(crate) fn language(&self) -> Language {
        self.language
    }

    /// Of changed settings. What was compiled of a kind that did not change is kept. O(settings).
    pub(crate) fn after(&self, settings: Arc<SearchSettings>) -> Self {
        let same = |kind| settings.is_same(&self.settings, kind);
        let ranking = settings.get(SearchSettingKind::Ranking, RANKING_KEY).map(|setting| &setting.content);
        let (signals, proximity) = match ranking {
            Some(SearchSetting::Ranking(others)) => (signals(*others, 0), 0),
            Some(SearchSetting::WiderRanking(WiderRanking { others, margin, proximity })) => (signals(*others, *margin), *proximity),
            Some(SearchSetting::Synonyms(_) | SearchSetting::Rule(_)) | None => (Signals::default(), 0),
        };
        Self {
            language: self.language,
            signals,
            proximity,
            synonyms: if same(SearchSettingKind::Synonyms) { Arc::clone(&self.synonyms) } else { Arc::default() },
            rules: if same(SearchSettingKind::Rule) { Arc::clone(&self.rules) } else { Arc::default() },
            settings,
        }
    }

    /// Sets a query up as it is for any text.
    pub(crate) fn set_up(&self, query: &mut Query) {
        query.synonyms = Arc::clone(self.synonyms.get_or_init(|| Arc::new(synonyms_of(self.language, &self.settings))));
        (query.signals, query.proximity) = (self.signals, self.proximity);
    }

    /// The rules for a text at a time, in the order of their keys. `fields` are the attributes that the text may have conditions on, which are no words of it.
    pub(crate) fn matching(&self, text: &str, fields: &[String], now: Millis) -> Matched {
        self.those_for(text, fields, now, Pattern::matches)
    }

    /// Those for what a text may be misspelt from, where none is for the text as it stands. `unknown` are its words that no document has.
    pub(crate) fn matching_misspelt(&self, text: &str, fields: &[String], unknown: Words, now: Millis) -> Matched {
        if unknown.is_empty() {
            return Matched::new();
        }
        self.those_for(text, fields, now, |pattern, typed| pattern.matches_misspelt(typed, unknown))
    }

    fn those_for(&self, text: &str, fields: &[String], now: Millis, is_for: impl Fn(&Pattern, &Typed) -> bool) -> Matched {
        let rules = self.rules.get_or_init(|| rules_of(self.language, &self.settings));
        if rules.is_empty() {
            return Matched::new();
        }
        let typed = Typed::in_language(self.language, text, fields);
        let is_due = |rule: &SearchRule| rule.from.is_none_or(|from| from <= now) && rule.until.is_none_or(|until| now < until);
        let applies =
            |compared: &Compared| compared.rule().is_some_and(is_due) && compared.patterns.iter().any(|pattern| is_for(pattern, &typed));
        rules.iter().enumerate().filter(|(_, compared)| applies(compared)).map(|(place, _)| place).collect()
    }

    /// Sets a query up as these rules say; what the shopper is likely to want counts behind what they do.
    pub(crate) fn arrange(&self, matched: &Matched, preferences: &[Boost], tree: &CategoryTree, query: &mut Query) -> Shown {
        let all = self.rules.get_or_init(|| rules_of(self.language, &self.settings));
        let rules = || matched.iter().filter_map(|place| all.get(*place)?.rule());
        let mut seen = BTreeSet::new();
        let hidden = rules().flat_map(|rule| &rule.hidden).map(|product| doc_key(*product)).filter(|key| seen.insert(*key));
        let hidden: Vec<_> = hidden.take(HIDDEN_MAX).collect();
        // Each product once, and none that is hidden.
        let pins = rules().flat_map(|rule| &rule.pins).map(|pin| Pin { place: pin.place - 1, key: doc_key(pin.product) });
        let pins: Vec<Pin> = pins.filter(|pin| seen.insert(pin.key)).take(PINS_MAX).collect();
        let boosts = rules().flat_map(|rule| &rule.boosts);
        let shown = Shown {
            redirect: rules().find_map(|rule| rule.redirect.clone()),
            banner: rules().find_map(|rule| rule.banner.clone()).map(|banner| Banner { text: banner.text, url: banner.url }),
        };
        let indexed = |boost: &Boost| search_index::Boost { filter: views::indexed_trait(&boost.of, tree), percent: boost.percent };
        let boosts = boosts.chain(preferences).take(BOOSTS_MAX).map(indexed);
        (query.pins, query.hidden, query.boosts) = (pins, hidden, boosts.collect());
        shown
    }
}

fn signals(Ranking { popularity, rating, in_stock }: Ranking, margin: u16) -> Signals {
    Signals { popularity, rating, in_stock, margin }
}

fn rules_of(language: Language, settings: &SearchSettings) -> Vec<Compared> {
    let compared = |setting: &Arc<Setting>| {
        let SearchSetting::Rule(rule) = &setting.content else { return None };
        // What was taken once and is a pattern no more, by some later way to take texts apart, is passed over.
        let patterns: Vec<Pattern> = rule.queries.iter().filter_map(|query| pattern(language, query).ok()).collect();
        rule.enabled.then(|| Compared { patterns, setting: Arc::clone(setting) })
    };
    settings.iter().filter_map(|(_, setting)| compared(setting)).collect()
}

/// Those that every shop of the language has, but for those in whose place a setting is.
fn common(language: Language, settings: &SearchSettings) -> impl Iterator<Item = Synonym> {
    let is_set = |key: &str| settings.get(SearchSettingKind::Synonyms, &[COMMON_KEY_PREFIX, key].concat()).is_some();
    let all: &[_] = if language == Language::English { &COMMON } else { &[] };
    all.iter().filter(move |(key, _)| !is_set(key)).map(|(_, ways)| {
        let ways: Vec<String> = ways.iter().map(ToString::to_string).collect();
        Synonym { typed: ways.clone(), found: ways }
    })
}

fn synonyms_of(language: Language, settings: &SearchSettings) -> Synonyms {
    let synonyms = settings.of_kind(SearchSettingKind::Synonyms, None).filter_map(|(_, setting)| match &setting.content {
        SearchSetting::Synonyms(synonyms) => Some(synonym(synonyms)),
        SearchSetting::Rule(_) | SearchSetting::Ranking(_) | SearchSetting::WiderRanking(_) => None,
    });
    // The merchant's first, so that it is the others that go over a bound.
    let synonyms: Vec<Synonym> = synonyms.chain(common(language, settings)).take(SYNONYMS_MAX).collect();
    Synonyms::in_language(language, &synonyms).unwrap_or_else(|_| {
        // Likewise, one by one.
        let good = synonyms.iter().filter(|synonym| Synonyms::in_language(language, [*synonym]).is_ok());
        Synonyms::in_language(language, good).unwrap_or_default()
    })
}

/// As the index takes it.
pub(crate) fn synonym(synonyms: &crate::record::v1::search::Synonyms) -> Synonym {
    Synonym { typed: synonyms.typed.clone(), found: synonyms.found.clone() }
}

/// Likewise.
///
/// # Errors
/// When it is none.
pub(crate) fn pattern(language: Language, query: &QueryPattern) -> Result<Pattern, PatternError> {
    match query {
        QueryPattern::Is(text) => Pattern::in_language(language, text, PatternKind::Is),
        QueryPattern::Contains(text) => Pattern::in_language(language, text, PatternKind::Contains),
    }
}
