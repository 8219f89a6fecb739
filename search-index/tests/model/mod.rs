//! The dullest search that is right: a map of documents, read from end to end for every question.
//!
//! It knows only words that analysis leaves as they are (see [`WORDS`]); how text becomes words is tested beside the analyser.

pub(crate) mod facets;
pub(crate) mod score;
mod similar;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use search_index::{
    AttributeValue, Columns, DocKey, Document, Facet, FacetField, FacetKey, Filter, FilterValue, Language, Matching, Query, Sort, Synonym,
    Tier,
};

/// Words that neither folding nor stemming changes, and that are no units.
/// Two of them are a slip apart.
/// Those without spaces are every two neighbours of theirs; of such characters one only stands alone, so that no two words are written as another.
pub(crate) const WORDS: [&str; 14] =
    ["ink", "hp", "blue", "red", "desk", "lamp", "lamb", "fan", "80", "日本", "本", "日本語", "インク", STOP_WORD];

/// Languages in which none of these words is another's form.
pub(crate) const LANGUAGES: [Language; 6] =
    [Language::English, Language::German, Language::French, Language::Swedish, Language::Dutch, Language::Unstemmed];

/// Left out of queries that have other words, unless it is still being typed; in some languages.
const STOP_WORD: &str = "for";

fn has_stop_word(language: Language) -> bool {
    matches!(language, Language::English | Language::Swedish)
}

/// Whether it is written without spaces.
fn is_of_run(word: &str) -> bool {
    word.starts_with(|c: char| c > '\u{3000}')
}

/// Every two neighbours of a word without spaces; any other word.
fn pairs(word: &str) -> Vec<&str> {
    let ends: Vec<usize> = word.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
    if !is_of_run(word) || ends.len() < 2 {
        return vec![word];
    }
    let starts = word.char_indices().map(|(at, _)| at);
    starts.zip(&ends[1..]).map(|(from, to)| &word[from..*to]).collect()
}

fn words_of(text: &str) -> Vec<&str> {
    text.split_whitespace().flat_map(pairs).collect()
}

/// All that a document can be found by, each once.
fn said() -> Vec<&'static str> {
    let characters = |word: &'static str| word.char_indices().map(|(at, c)| &word[at..at + c.len_utf8()]);
    let all = WORDS.into_iter().flat_map(|word| pairs(word).into_iter().chain(characters(word).filter(|_| is_of_run(word))));
    all.collect::<BTreeSet<&str>>().into_iter().collect()
}

/// What a way to say something says: its words, however often each.
fn in_words(text: &str) -> String {
    words_of(text).join(" ")
}

/// What a text is called: its words, each once.
fn called(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in words_of(text) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" ")
}

/// Words of no document; the last one is too short to be taken for misspelt.
pub(crate) const MISSPELT: [&str; 5] = ["lapm", "deks", "bluue", "lamc", "lmp"];

#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) documents: BTreeMap<DocKey, Document>,
    /// What every query's synonyms were made of.
    pub(crate) rules: Vec<Synonym>,
    pub(crate) language: Language,
    /// Whether words that no title has may be slips.
    pub(crate) doubts: Cell<bool>,
}

/// A hit of the model: place in the order, then the score and what it was added up from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelHit {
    pub(crate) key: DocKey,
    pub(crate) tier: Tier,
    pub(crate) score: f32,
    pub(crate) parts: Vec<score::Part>,
    pub(crate) pinned: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelResults {
    /// All of them, from the first on.
    pub(crate) hits: Vec<ModelHit>,
    pub(crate) total: u64,
    pub(crate) facets: Vec<Facet>,
}

pub(crate) fn in_stock(key: DocKey) -> bool {
    !key.0.is_multiple_of(3)
}

/// The words of each field, with the field's weight, the share of it that depends on the length, and the length at which it holds.
fn fields(document: &Document) -> Vec<(String, [f32; 3])> {
    let texts = document.attributes.iter().filter_map(|(_, value)| match value {
        AttributeValue::Text(text) => Some(text.as_str()),
        _ => None,
    });
    vec![
        (document.title.clone(), [3.0, 0.3, 8.0]),
        (document.brand.clone().unwrap_or_default(), [2.0, 0.25, 1.0]),
        (document.model.clone(), [2.0, 0.6, 4.0]),
        (document.keywords.clone(), [2.0, 0.5, 4.0]),
        (document.description.clone(), [1.0, 0.9, 25.0]),
        (texts.collect::<Vec<_>>().join(" "), [0.5, 0.9, 25.0]),
    ]
}

/// What a word weighs in a document, of 255.
fn impact(document: &Document, word: &str) -> u32 {
    impact_of(fields(document), word, true)
}

/// The same of its title alone, characters within words not counted.
fn title_impact(document: &Document, word: &str) -> u32 {
    impact_of(fields(document).into_iter().take(1), word, false)
}

fn impact_of(fields: impl IntoIterator<Item = (String, [f32; 3])>, word: &str, within: bool) -> u32 {
    let mut sum = 0.0_f32;
    for (text, [weight, slope, pivot]) in fields {
        let mut times = words_of(&text.to_lowercase()).into_iter().filter(|other| *other == word).count();
        if within && is_of_run(word) && word.chars().count() == 1 {
            let longer = text.split_whitespace().filter(|other| *other != word);
            times += longer.map(|other| other.matches(word).count()).sum::<usize>();
        }
        if times > 0 {
            let length = words_of(&text).len().max(1) as f32;
            sum += times as f32 * (weight / (1.0 - slope + slope * (length / pivot)));
        }
    }
    if sum == 0.0 { 0 } else { (255.0 * (sum / (sum + 1.2))).round().clamp(1.0, 255.0) as u32 }
}

/// Whether a word is within one slip of another, or of its beginning: the whole table of distances.
fn is_near(typed: &str, word: &str, begins: bool) -> bool {
    let (a, b) = (typed.as_bytes(), word.as_bytes());
    let mut d = vec![vec![0_usize; a.len() + 1]; b.len() + 1];
    for i in 0..=b.len() {
        for j in 0..=a.len() {
            d[i][j] = match (i, j) {
                (0, _) => j,
                (_, 0) => i,
                _ => {
                    let least = (d[i - 1][j] + 1).min(d[i][j - 1] + 1).min(d[i - 1][j - 1] + usize::from(a[j - 1] != b[i - 1]));
                    let swapped = i > 1 && j > 1 && a[j - 1] == b[i - 2] && a[j - 2] == b[i - 1];
                    if swapped { least.min(d[i - 2][j - 2] + 1) } else { least }
                }
            };
        }
    }
    d[b.len()][a.len()] <= 1 || (begins && d.iter().any(|row| row[a.len()] <= 1))
}

fn facet_key(value: &AttributeValue) -> FacetKey {
    match value {
        AttributeValue::Text(text) | AttributeValue::Keyword(text) => FacetKey::Text(text.as_str().into()),
        AttributeValue::Number(number) => FacetKey::Number(number + 0.0),
        AttributeValue::Bool(flag) => FacetKey::Bool(*flag),
    }
}

fn wanted_key(value: &FilterValue) -> FacetKey {
    match value {
        FilterValue::Text(text) => FacetKey::Text(text.as_str().into()),
        FilterValue::Number(number) => FacetKey::Number(number + 0.0),
        FilterValue::Bool(flag) => FacetKey::Bool(*flag),
    }
}

fn passes(document: &Document, filter: &Filter) -> bool {
    match filter {
        Filter::Brand(names) => document.brand.as_ref().is_some_and(|brand| names.contains(brand)),
        Filter::Category(keys) => document.category.iter().any(|key| keys.contains(key)),
        Filter::Price { min, max } => {
            document.price.is_some_and(|price| min.is_none_or(|min| price >= min) && max.is_none_or(|max| price <= max))
        }
        Filter::Rating { min, max } => {
            document.rating.is_some_and(|rating| min.is_none_or(|min| rating >= min) && max.is_none_or(|max| rating <= max))
        }
        Filter::Attribute { name, any_of } => document
            .attributes
            .iter()
            .any(|(other, value)| other == name && any_of.iter().any(|wanted| wanted_key(wanted) == facet_key(value))),
        Filter::AttributeRange { name, min, max } => document.attributes.iter().any(|(other, value)| match value {
            AttributeValue::Number(number) => other == name && min.is_none_or(|min| *number >= min) && max.is_none_or(|max| *number <= max),
            _ => false,
        }),
        Filter::InStock(wanted) => in_stock(document.key) == *wanted,
    }
}

fn on_field(filter: &Filter, field: &FacetField) -> bool {
    match field {
        FacetField::Brand => matches!(filter, Filter::Brand(_)),
        FacetField::Category | FacetField::CategoryTree { .. } => matches!(filter, Filter::Category(_)),
        FacetField::Rating => matches!(filter, Filter::Rating { .. }),
        FacetField::Attribute(counted) | FacetField::AttributeHistogram { name: counted, .. } => {
            matches!(filter, Filter::Attribute { name, .. } | Filter::AttributeRange { name, .. } if name == counted)
        }
        FacetField::Price | FacetField::PriceHistogram { .. } => matches!(filter, Filter::Price { .. }),
        FacetField::InStock => matches!(filter, Filter::InStock(_)),
    }
}

/// A query's text as the tests write it: conditions on fields first, quotations and words to forbid, then words.
struct Asked<'a> {
    /// In order, those of quotations among them.
    words: Vec<&'a str>,
    quoted: Vec<Vec<&'a str>>,
    forbidden: Vec<Vec<&'a str>>,
    /// Field, value, and whether it must not be.
    conditions: Vec<(&'a str, &'a str, bool)>,
    /// Whether the last one may still go on.
    goes_on: bool,
}

impl<'a> Asked<'a> {
    fn of(query: &'a Query, fields: &BTreeSet<String>) -> Self {
        let mut rest = query.text.as_deref().unwrap_or_default();
        let mut asked = Self { words: Vec::new(), quoted: Vec::new(), forbidden: Vec::new(), conditions: Vec::new(), goes_on: false };
        while let Some((name, behind)) = rest.split_once(':') {
            let (value, next) = behind.split_once(' ').expect("a word follows, or a space");
            let (value, next) = match value.strip_prefix('"') {
                Some(_) => behind[1..].split_once("\" ").expect("a quotation ends"),
                None => (value, next),
            };
            let (name, not) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
            let known = ["title", "brand", "category", "model"].contains(&name) || fields.contains(name);
            match (known, not) {
                (true, _) => asked.conditions.push((name, value, not)),
                (false, false) => asked.words.extend([name].into_iter().chain(pairs(value))),
                (false, true) => asked.forbidden.push([name].into_iter().chain(pairs(value)).collect()),
            }
            rest = next;
        }
        for (nth, part) in rest.split('"').enumerate() {
            if nth % 2 == 1 {
                asked.quoted.push(words_of(part));
                asked.words.extend(words_of(part));
            } else {
                let (forbidden, words): (Vec<&str>, Vec<&str>) = part.split_whitespace().partition(|word| word.starts_with('-'));
                asked.forbidden.extend(forbidden.into_iter().map(|word| pairs(&word[1..])));
                asked.goes_on = query.prefix && words.last().is_some_and(|word| !is_of_run(word));
                asked.words.extend(words.into_iter().flat_map(pairs));
            }
        }
        asked
    }

    /// Whether a document has what is quoted, nothing that is forbidden, and in its fields what it should.
    fn allows(&self, document: &Document) -> bool {
        self.quoted.iter().all(|phrase| stands(document, phrase))
            && !self.forbidden.iter().any(|phrase| stands(document, phrase))
            && self.conditions.iter().all(|(field, value, not)| has_in(document, field, value) != *not)
    }

    /// The words to look for, each once, and whether a stop word was left out.
    fn terms(&self, language: Language) -> (Vec<&'a str>, bool) {
        let is_stop_word = |word: &str| has_stop_word(language) && word == STOP_WORD;
        let is_left_out = |(nth, word): (usize, &str)| is_stop_word(word) && !(self.goes_on && nth + 1 == self.words.len());
        let only_stop_words = self.words.iter().copied().enumerate().all(is_left_out);
        let (mut terms, mut left_out): (Vec<&str>, bool) = (Vec::new(), false);
        for (nth, word) in self.words.iter().copied().enumerate() {
            if is_left_out((nth, word)) && !only_stop_words {
                left_out = true;
            } else if !terms.contains(&word) {
                terms.push(word);
            }
        }
        (terms, left_out)
    }
}

/// Whether words stand side by side in a field.
fn stands(document: &Document, phrase: &[&str]) -> bool {
    if let [word] = phrase {
        return impact(document, word) > 0;
    }
    fields(document).iter().any(|(text, _)| words_of(&text.to_lowercase()).windows(phrase.len()).any(|words| words == phrase))
}

/// Whether a field of a document has a value.
fn has_in(document: &Document, field: &str, value: &str) -> bool {
    let says = |text: &str| {
        let parts = |text: &str| text.to_lowercase().split(|c: char| !c.is_alphanumeric()).map(String::from).collect::<Vec<_>>();
        let words = |text: &str| parts(text).iter().flat_map(|word| pairs(word)).map(String::from).collect::<Vec<_>>();
        let within = is_of_run(value) && value.chars().count() == 1 && text.contains(value);
        let value = words(value);
        within || words(text).windows(value.len()).any(|words| words == value)
    };
    match field {
        "title" => says(&document.title),
        "model" => says(&document.model),
        "brand" => document.brand.as_deref().is_some_and(says),
        "category" => document.category.iter().any(|key| says(key)),
        _ => document.attributes.iter().filter(|(name, _)| name == field).any(|(_, found)| match found {
            AttributeValue::Text(text) | AttributeValue::Keyword(text) => says(text),
            AttributeValue::Number(number) => value.parse() == Ok(*number),
            AttributeValue::Bool(flag) => value == flag.to_string(),
        }),
    }
}

/// What a way to say something weighs in a document.
fn impact_of_way(document: &Document, way: &str) -> u32 {
    let words = words_of(way);
    if stands(document, &words) { words.iter().map(|word| impact(document, word)).min().unwrap_or(0) } else { 0 }
}

/// A score as it is answered.
pub(crate) fn shown(score: i64) -> f32 {
    (score as f64 / (256.0 * 255.0)) as f32
}

/// All hits, with the pinned ones put where they belong on the first page.
fn with_pins(hits: Vec<ModelHit>, query: &Query) -> Vec<ModelHit> {
    let (mut pinned, mut others): (Vec<ModelHit>, Vec<ModelHit>) = hits.into_iter().partition(|hit| hit.pinned);
    let place = |hit: &ModelHit| query.pins.iter().find(|pin| pin.key == hit.key).map_or(0, |pin| usize::from(pin.place));
    pinned.sort_by_key(|hit| query.pins.iter().position(|pin| pin.key == hit.key));
    pinned.sort_by_key(place);
    pinned.truncate(query.limit);
    let later = others.split_off(others.len().min(query.limit - pinned.len()));
    let mut next = 0;
    for hit in pinned {
        let at = place(&hit).max(next).min(others.len());
        others.insert(at, hit);
        next = at + 1;
    }
    others.into_iter().chain(later).collect()
}

impl Model {
    pub(crate) fn set_columns(&mut self, key: DocKey, columns: Columns) -> bool {
        let Some(document) = self.documents.get_mut(&key) else { return false };
        let Columns { price, rating, popularity, margin } = columns;
        (document.price, document.rating, document.popularity, document.margin) = (price, rating, popularity, margin);
        true
    }

    /// A query's text, where what attributes there are says what is a condition on one.
    fn asked<'a>(&self, query: &'a Query) -> Asked<'a> {
        let names = self.documents.values().flat_map(|document| document.attributes.iter().map(|(name, _)| name.clone()));
        Asked::of(query, &names.collect())
    }

    fn is_used(&self, word: &str) -> bool {
        self.documents.values().any(|document| impact(document, word) > 0)
    }

    /// Whether the word is still being typed.
    fn goes_on(&self, word: &str, query: &Query) -> bool {
        let Asked { words, goes_on, .. } = self.asked(query);
        goes_on && words.iter().position(|other| *other == word) == Some(words.len() - 1)
    }

    /// The words that one begins.
    fn longer(&self, word: &str, query: &Query) -> Vec<&'static str> {
        let goes_on = self.goes_on(word, query);
        WORDS.into_iter().filter(|other| goes_on && other.starts_with(word) && *other != word).collect()
    }

    /// What a word may be meant to be, if not what it is.
    fn meant(&self, word: &str, query: &Query) -> Vec<&'static str> {
        let is_known = self.is_used(word) && !self.goes_on(word, query) && !is_of_run(word) && word.len() >= 4;
        let is_in_title = || self.documents.values().any(|document| title_impact(document, word) > 0);
        if !self.doubts.get() || !is_known || is_in_title() || !self.ways_of(word, query).is_empty() {
            return self.slips(word, query);
        }
        WORDS.into_iter().filter(|other| *other != word && self.is_used(other) && is_near(word, other, false)).collect()
    }

    /// What a word that no document has may be meant to be.
    fn slips(&self, word: &str, query: &Query) -> Vec<&'static str> {
        let is_known = is_of_run(word) || self.is_used(word) || self.longer(word, query).iter().any(|other| self.is_used(other));
        if is_known || !query.typos || word.len() < 4 || !self.ways(word, query, str::to_owned).is_empty() {
            return Vec::new();
        }
        WORDS.into_iter().filter(|other| self.is_used(other) && is_near(word, other, self.goes_on(word, query))).collect()
    }

    /// The word, or the only one that it can be meant to be.
    fn name(&self, word: &str, query: &Query) -> String {
        if let [one] = self.meant(word, query)[..] { one.to_owned() } else { word.to_owned() }
    }

    /// Other ways to say what a word and its neighbours say, as they stand or as the only words that unknown ones can be meant to be.
    fn ways_of(&self, word: &str, query: &Query) -> Vec<&str> {
        let name = |term: &str| if let [one] = self.slips(term, query)[..] { one.to_owned() } else { term.to_owned() };
        [self.ways(word, query, str::to_owned), self.ways(word, query, name)].concat()
    }

    /// Other ways to say what a word and its neighbours say, these being called by `name`.
    fn ways(&self, word: &str, query: &Query, name: impl Fn(&str) -> String) -> Vec<&str> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let (terms, _) = self.asked(query).terms(self.language);
        let mut ways = Vec::new();
        for from in 0..terms.len() {
            for to in (from..terms.len()).filter(|to| terms[from..=*to].contains(&word)) {
                let said = terms[from..=to].iter().map(|term| name(term)).collect::<Vec<_>>().join(" ");
                let rules = self.rules.iter().filter(|rule| rule.typed.iter().any(|typed| called(typed) == said));
                ways.extend(rules.flat_map(|rule| &rule.found).map(String::as_str).filter(|way| words_of(way).join(" ") != said));
            }
        }
        ways
    }

    /// What a title gives for having a word as it was typed, or as it may be meant.
    fn of_title(&self, document: &Document, word: &str, query: &Query) -> u32 {
        let meant = self.meant(word, query);
        let forms = if meant.is_empty() { vec![word] } else { meant };
        forms.into_iter().map(|form| title_impact(document, form)).max().unwrap_or(0)
    }

    /// What a word of a query weighs in a document.
    fn of_word(&self, document: &Document, word: &str, query: &Query) -> u32 {
        let share = |impact: u32| if impact == 0 { 0 } else { (impact - impact / 4).max(1) };
        let others = self.longer(word, query).into_iter().chain(self.meant(word, query)).map(|other| share(impact(document, other)));
        others
            .chain(self.ways_of(word, query).into_iter().map(|way| impact_of_way(document, way)))
            .chain([impact(document, word)])
            .max()
            .unwrap_or(0)
    }

    /// What is found; if no document has all words, with those doubted that no title has, where documents have all words then.
    pub(crate) fn search(&self, query: &Query) -> ModelResults {
        let has_all = |found: &ModelResults| found.hits.iter().any(|hit| hit.tier == Tier::AllTerms && !hit.pinned);
        let found = self.look(query);
        if has_all(&found) || !query.typos || query.matching == Matching::Any || self.asked(query).terms(self.language).0.is_empty() {
            return found;
        }
        self.doubts.set(true);
        let doubting = self.look(query);
        self.doubts.set(false);
        if has_all(&doubting) { doubting } else { found }
    }

    fn look(&self, query: &Query) -> ModelResults {
        let asked = self.asked(query);
        let (terms, left_out) = asked.terms(self.language);
        let matched = |document: &Document| terms.iter().filter(|term| self.of_word(document, term, query) > 0).count();
        let ok = |document: &Document| query.filters.iter().all(|filter| passes(document, filter));
        let hidden = |document: &Document| query.hidden.contains(&document.key);
        let pinned = |document: &Document| query.pins.iter().any(|pin| pin.key == document.key) && !hidden(document);
        // What a search finds but for pins.
        let may = |document: &Document| asked.allows(document) && !hidden(document) && !pinned(document);
        let full = |document: &Document| {
            let enough = matched(document) == terms.len() || (query.matching == Matching::Any && matched(document) > 0);
            enough && may(document)
        };
        // Whether nothing but full matches is wanted, or some are there.
        let any_all = query.matching != Matching::AllThenAny || self.documents.values().any(|document| full(document) && ok(document));
        let enough = |document: &Document| pinned(document) || full(document) || (!any_all && matched(document) > 0 && may(document));

        let mut hits: Vec<(Tier, i128, DocKey, Vec<score::Part>)> = Vec::new();
        let placed = |document: &Document| pinned(document) && query.sort == Sort::Relevance;
        for document in self.documents.values().filter(|document| ok(document) && (pinned(document) || may(document))) {
            let first = if pinned(document) { any_all } else { full(document) } || placed(document);
            let tier = if first { Tier::AllTerms } else { Tier::SomeTerms };
            let relaxes = query.matching == Matching::AllThenAny && (query.sort == Sort::Relevance || !any_all);
            let near = tier == Tier::SomeTerms && matched(document) > 0 && relaxes;
            if pinned(document) || tier == Tier::AllTerms || near {
                let parts = if matched(document) > 0 { self.parts(document, &terms, left_out, query) } else { Vec::new() };
                let score: i64 = parts.iter().map(|(_, score)| score).sum();
                let value = match query.sort {
                    Sort::Relevance if !terms.is_empty() => -i128::from(score),
                    Sort::Relevance | Sort::Popularity => -i128::from(document.popularity),
                    Sort::Price => document.price.map_or(i128::MAX, i128::from),
                    Sort::PriceDesc => document.price.map_or(i128::MAX, |price| -i128::from(price)),
                    Sort::Rating => document.rating.map_or(i128::MAX, |rating| -i128::from(rating)),
                    Sort::Newest => -i128::from(document.released),
                };
                hits.push((tier, value, document.key, parts));
            }
        }
        hits.sort_by_key(|hit| (hit.0, hit.1, hit.2));
        let shown = hits.into_iter().map(|(tier, _, key, parts)| ModelHit {
            key,
            tier,
            score: shown(parts.iter().map(|(_, score)| score).sum()),
            parts,
            pinned: pinned(&self.documents[&key]),
        });
        ModelResults {
            hits: if query.sort == Sort::Relevance { with_pins(shown.collect(), query) } else { shown.collect() },
            total: self.documents.values().filter(|document| enough(document) && ok(document)).count() as u64,
            facets: query.facets.iter().map(|request| facets::facet(self, query, request, &enough)).collect(),
        }
    }
}
