//! The index against the model, through random lives: writes, removals, column changes, seals, merges, savings and restarts in any order.

mod model;

use model::facets::TYPED;
use model::score::label;
use model::{LANGUAGES, MISSPELT, Model, ModelHit, ModelResults, WORDS, in_stock, shown};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, TestCaseError};
use proptest::{prop_assert, prop_assert_eq, proptest};
use search_index::{
    AttributeValue, BUDGET, Boost, Columns, Current, Cursor, DocKey, Document, Elsewhere, FacetCounts, FacetField, FacetQuery,
    FacetRequest, Filter, FilterValue, Frequencies, Index, Live, Matching, Part, Pin, Query, ROUNDS_MAX, Results, Save, Saved, Saving,
    Settings, Signals, SimilarQuery, SimilarTo, Sort, Statistics, Synonym, Synonyms, Tier, Units, Written, merge, merge_similar, misjudged,
};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Op {
    Upsert(Box<Document>),
    Remove(DocKey),
    SetColumns(DocKey, Columns),
    Maintain {
        steps: usize,
        budget: usize,
        at_rest: bool,
    },
    /// Begins to save the nth segment, if there are so many; each later operation is one step.
    Save(usize),
    /// The index is gone; a new one takes over what was saved until now, and indexes the rest. Of `halves` in turn, as other shards would.
    Restart {
        halves: bool,
    },
    Search(Box<Query>),
    Similar(Box<Similar>),
}

/// A question for what is like a document.
#[derive(Clone, Debug)]
struct Similar {
    key: DocKey,
    filters: Vec<Filter>,
    signals: Signals,
    limit: usize,
}

fn text(words: usize) -> impl Strategy<Value = String> {
    vec(select(&WORDS[..]), 0..words).prop_map(|words| words.join(" "))
}

fn key() -> impl Strategy<Value = DocKey> {
    (0_u64..20).prop_map(DocKey)
}

fn category() -> impl Strategy<Value = Vec<String>> {
    let path = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    // One puts `a/x` under another parent, as happens while a tree is being rearranged; some are called as words and texts are.
    let named = [path(&["b", "b/ink"]), path(&["ink", "ink/lamp", "b/ink"]), path(&["a", "desk lamp"]), path(&["b", "b/日本語"])];
    let plain = [path(&[]), path(&["a"]), path(&["a", "a/x"]), path(&["a", "a/y"]), path(&["b", "a/x"]), path(&["b", "b"])];
    select(plain.into_iter().chain(named).collect::<Vec<_>>())
}

fn attribute() -> impl Strategy<Value = (String, AttributeValue)> {
    prop_oneof![
        select(vec!["red", "blue"]).prop_map(|text| ("colour".into(), AttributeValue::Text(text.into()))),
        select(vec!["red", "Teal"]).prop_map(|text| ("colour".into(), AttributeValue::Keyword(text.into()))),
        select(vec![0.0, -0.0, 1.5, 7.0, 0.1, -0.25]).prop_map(|number| ("size".into(), AttributeValue::Number(number))),
        any::<bool>().prop_map(|flag| ("new".into(), AttributeValue::Bool(flag))),
        select(vec!["ink", "lamp"]).prop_map(|text| ("product_type".into(), AttributeValue::Text(text.into()))),
        select(vec!["desk lamp", "lamp"]).prop_map(|text| ("product_type".into(), AttributeValue::Keyword(text.into()))),
        Just(("colour".into(), AttributeValue::Number(1.5))),
    ]
}

fn popularity() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0_i64..4, 2 => 0_i64..3_000_000, 1 => any::<i64>()]
}

fn columns() -> impl Strategy<Value = Columns> {
    (option::of(-3_i64..60), option::of(0_u16..500), popularity(), prop_oneof![2 => Just(0), 1 => any::<i8>()])
        .prop_map(|(price, rating, popularity, margin)| Columns { price, rating, popularity, margin })
}

fn document() -> impl Strategy<Value = Document> {
    let brand = option::of(select(vec!["HP", "Fan"]).prop_map(String::from));
    (key(), text(5), text(6), text(2), brand, category(), vec(attribute(), 0..4), columns(), 0_i64..4)
        .prop_map(|(key, title, description, model, brand, category, attributes, columns, released)| Document {
            title,
            description,
            model,
            brand,
            category,
            attributes,
            price: columns.price,
            rating: columns.rating,
            popularity: columns.popularity,
            margin: columns.margin,
            released,
            partition: (key.0 % 5) as u16,
            ..Document::new(key)
        })
        .prop_map(|document| Document { stamp: stamp(&document), ..document })
}

/// Of everything that does not change in place. Some documents have none.
fn stamp(document: &Document) -> u64 {
    if document.key == DocKey(19) {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    let lasting = Document { stamp: 0, price: None, rating: None, popularity: 0, margin: 0, ..document.clone() };
    format!("{lasting:?}").hash(&mut hasher);
    hasher.finish().max(1)
}

/// Bytes of segments, saved one step at a time while the life goes on.
#[derive(Default)]
struct Files {
    whole: Vec<Vec<u8>>,
    saving: Option<(Save, Vec<u8>)>,
}

impl Files {
    fn begin(&mut self, index: &Index, nth: usize) {
        let id = index.segments().nth(nth).map(|segment| segment.id);
        self.saving = id.and_then(|id| index.save(id)).map(|save| (save, Vec::new()));
    }

    fn step(&mut self, index: &Index) {
        let Some((mut save, mut bytes)) = self.saving.take() else { return };
        match index.save_step(&mut save, &mut bytes, 40) {
            Saving::More => self.saving = Some((save, bytes)),
            Saving::Done => self.whole.push(bytes),
            Saving::Gone => {}
        }
    }

    fn restart(&mut self, settings: Settings, model: &Model, halves: bool) -> Index {
        self.saving = None;
        let mut index = Index::new(settings);
        let current = |key: DocKey| {
            let Document { stamp, price, rating, popularity, margin, .. } = *model.documents.get(&key)?;
            Some(Current { stamp, columns: Columns { price, rating, popularity, margin } })
        };
        // The newest first, as a caller would; the order must not matter.
        for file in self.whole.iter().rev() {
            for half in 0..if halves { 2 } else { 1 } {
                let wants = |key: DocKey, partition: u16| {
                    assert_eq!(u64::from(partition), key.0 % 5);
                    !halves || key.0 % 2 == half
                };
                let saved = Saved::decode(file, settings.language, wants).expect("what was saved can be read");
                let (before, len) = (index.len(), saved.len());
                let adopted = index.adopt(saved, current);
                assert_eq!((adopted.taken + adopted.stale, index.len() - before), (len, adopted.taken));
            }
        }
        for (key, document) in &model.documents {
            assert!(*key != DocKey(19) || !index.contains(*key), "it has no stamp");
            if !index.contains(*key) {
                index.upsert(document).expect("the documents are within bounds");
            }
        }
        index
    }
}

fn filter() -> impl Strategy<Value = Filter> {
    let value = prop_oneof![
        select(vec!["red", "Teal", "none"]).prop_map(|text| FilterValue::Text(text.into())),
        select(vec![0.0, 1.5]).prop_map(FilterValue::Number),
        any::<bool>().prop_map(FilterValue::Bool),
    ];
    let name = || select(vec!["colour", "size", "new", "none"]).prop_map(String::from);
    prop_oneof![
        vec(select(vec!["HP", "Fan", "none"]).prop_map(String::from), 1..3).prop_map(Filter::Brand),
        vec(select(vec!["a", "b", "a/x", "b/ink", "none"]).prop_map(String::from), 1..3).prop_map(Filter::Category),
        (option::of(0_i64..60), option::of(0_i64..60)).prop_map(|(min, max)| Filter::Price { min, max }),
        Just(Filter::Rating { min: Some(300), max: None }),
        (option::of(0_u16..500), option::of(0_u16..500)).prop_map(|(min, max)| Filter::Rating { min, max }),
        (name(), vec(value, 1..3)).prop_map(|(name, any_of)| Filter::Attribute { name, any_of }),
        (name(), option::of(-1.0..2.0), option::of(-1.0..9.0)).prop_map(|(name, min, max)| Filter::AttributeRange { name, min, max }),
        any::<bool>().prop_map(Filter::InStock),
    ]
}

fn facet() -> impl Strategy<Value = FacetRequest> {
    let field = prop_oneof![
        Just(FacetField::Brand),
        Just(FacetField::Category),
        (1_u16..4, any::<bool>()).prop_map(|(levels, knows)| {
            let paths = vec![vec!["b".to_owned(), "none".to_owned()], vec!["b".to_owned(), "b/ink".to_owned()]];
            FacetField::CategoryTree { levels, paths: if knows { paths } else { Vec::new() } }
        }),
        select(vec!["colour", "size", "new", "none"]).prop_map(|name| FacetField::Attribute(name.into())),
        (select(vec!["colour", "size", "new"]), 2_u16..12)
            .prop_map(|(name, buckets)| FacetField::AttributeHistogram { name: name.into(), buckets }),
        Just(FacetField::Price),
        (2_u16..12).prop_map(|buckets| FacetField::PriceHistogram { buckets }),
        Just(FacetField::Rating),
        Just(FacetField::InStock),
    ];
    (field, 1_u16..4, option::of(select(&TYPED[..]))).prop_map(|(field, limit, typed)| {
        let has_values = matches!(field, FacetField::Brand | FacetField::Category | FacetField::Attribute(_) | FacetField::InStock);
        let typed = typed.filter(|_| has_values).map(|typed| FacetQuery::new(typed).expect("within bounds"));
        FacetRequest { query: typed, ..FacetRequest::new(field, limit) }
    })
}

/// What a shop sets for a query; mostly nothing.
fn arrangement() -> impl Strategy<Value = (Vec<Pin>, Vec<DocKey>, Vec<Boost>)> {
    let place = prop_oneof![4 => 0_u16..6, 1 => Just(99)];
    let pin = (place, key()).prop_map(|(place, key)| Pin { place, key });
    let once = |mut pins: Vec<Pin>| {
        let mut seen = BTreeSet::new();
        pins.retain(|pin| seen.insert(pin.key));
        pins
    };
    let lasting = filter().prop_filter("a boost is not of stock", |filter| !matches!(filter, Filter::InStock(_)));
    let boost = (lasting, prop_oneof![-400_i16..400, -30_i16..30]).prop_map(|(filter, percent)| Boost { filter, percent });
    (
        prop_oneof![2 => Just(Vec::new()), 1 => vec(pin, 1..6).prop_map(once)],
        prop_oneof![2 => Just(Vec::new()), 1 => vec(key(), 1..4)],
        prop_oneof![2 => Just(Vec::new()), 1 => vec(boost, 1..4)],
    )
}

/// What it counts how good a product is; mostly nothing.
fn signals() -> impl Strategy<Value = Signals> {
    let percent = || prop_oneof![2 => Just(0), 1 => 0_u16..20, 1 => 0_u16..=400];
    let some = (percent(), percent(), percent(), percent()).prop_map(|(popularity, rating, in_stock, margin)| Signals {
        popularity,
        rating,
        in_stock,
        margin,
    });
    prop_oneof![1 => Just(Signals::default()), 1 => some]
}

/// A condition on a field, before all else; some are on attributes that no document may have.
fn condition() -> impl Strategy<Value = String> {
    let named = select(vec![
        "brand:hp",
        "brand:fan",
        "title:lamp",
        "title:\"desk lamp\"",
        "title:日本語",
        "title:本",
        "model:80",
        "model:\"for ink\"",
        "category:x",
        "category:b/ink",
        "category:\"desk lamp\"",
        "colour:red",
        "colour:teal",
        "colour:1.5",
        "size:7",
        "size:0",
        "new:true",
        "new:red",
        "none:red",
    ]);
    let named = (named, any::<bool>()).prop_map(|(named, not)| format!("{}{named} ", if not { "-" } else { "" }));
    prop_oneof![2 => Just(String::new()), 1 => named]
}

fn query() -> impl Strategy<Value = Query> {
    let words = prop_oneof![8 => select(&WORDS[..]), 1 => Just("zzzz"), 2 => select(&MISSPELT[..])];
    // A text that is still being typed mostly ends within a word.
    let typed = |(mut text, prefix, cut): (String, bool, bool)| {
        let at = text.rfind(' ').map_or(2, |space| space + 3);
        if prefix && cut && text.is_char_boundary(at) {
            text.truncate(at);
        }
        (text, prefix)
    };
    let text = (vec(words, 0..4).prop_map(|words| words.join(" ")), any::<bool>(), any::<bool>()).prop_map(typed);
    // At most one of each, before the words.
    let quoted =
        prop_oneof![4 => Just(String::new()), 1 => vec(select(&WORDS[..]), 1..3).prop_map(|words| format!("\"{}\" ", words.join(" ")))];
    let forbidden = prop_oneof![5 => Just(String::new()), 1 => select(&WORDS[..]).prop_map(|word| format!("-{word} "))];
    let text = (vec(condition(), 0..2), quoted, forbidden, text)
        .prop_map(|(conditions, quoted, forbidden, (text, prefix))| (format!("{}{quoted}{forbidden}{text}", conditions.concat()), prefix));
    let text = option::of(text);
    let sort = select(vec![Sort::Relevance, Sort::Price, Sort::PriceDesc, Sort::Rating, Sort::Newest, Sort::Popularity]);
    let sort = prop_oneof![Just(Sort::Relevance), sort];
    let matching = prop_oneof![3 => Just(Matching::AllThenAny), 1 => Just(Matching::All), 1 => Just(Matching::Any)];
    (
        (text, matching, any::<bool>()),
        vec(filter(), 0..3),
        vec(facet(), 0..4),
        sort,
        1_usize..6,
        any::<(bool, bool)>(),
        (arrangement(), signals(), prop_oneof![2 => Just(0), 1 => Just(3), 1 => 0_u16..=100]),
    )
        .prop_map(
            |((text, matching, typos), filters, facets, sort, limit, (total, explain), ((pins, hidden, boosts), signals, proximity))| {
                Query {
                    prefix: text.as_ref().is_some_and(|(_, prefix)| *prefix),
                    text: text.map(|(text, _)| text),
                    fields: None,
                    matching,
                    typos,
                    elsewhere: Elsewhere::default(),
                    statistics: None,
                    did_you_mean: false,
                    pins,
                    hidden,
                    boosts,
                    proximity,
                    signals,
                    synonyms: Arc::default(),
                    filters,
                    facets,
                    sort,
                    limit,
                    total,
                    explain,
                    budget: BUDGET,
                    after: None,
                }
            },
        )
}

fn similar() -> impl Strategy<Value = Similar> {
    let filters = prop_oneof![2 => Just(Vec::new()), 1 => vec(filter(), 1..3)];
    (key(), filters, signals(), 1_usize..8).prop_map(|(key, filters, signals, limit)| Similar { key, filters, signals, limit })
}

/// Rules of a life; nothing is typed twice in one, and what is typed may be misspelt.
fn rules() -> impl Strategy<Value = Vec<Synonym>> {
    let typed = subsequence([&WORDS[..WORDS.len() - 1], &MISSPELT[..2], &["zzzz"]].concat(), 1..3).prop_map(|words| words.join(" "));
    let found = vec(select(&WORDS[..]), 1..4).prop_map(|words| words.join(" "));
    let rule = (vec(typed, 1..3), vec(found, 1..3), any::<bool>()).prop_map(|(typed, found, both)| match both {
        true => Synonym { found: typed.clone(), typed },
        false => Synonym { typed, found },
    });
    prop_oneof![1 => Just(Vec::new()), 2 => vec(rule, 1..6)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => document().prop_map(|document| Op::Upsert(Box::new(document))),
        2 => key().prop_map(Op::Remove),
        1 => (key(), columns()).prop_map(|(key, columns)| Op::SetColumns(key, columns)),
        3 => (1_usize..6, 1_usize..40, any::<bool>()).prop_map(|(steps, budget, at_rest)| Op::Maintain { steps, budget, at_rest }),
        2 => (0_usize..4).prop_map(Op::Save),
        1 => any::<bool>().prop_map(|halves| Op::Restart { halves }),
        4 => query().prop_map(|query| Op::Search(Box::new(query))),
        2 => similar().prop_map(|asked| Op::Similar(Box::new(asked))),
    ]
}

const STOCK: Option<Live<'static>> = Some(&in_stock);

/// What is said of each hit adds up to its score, and where that is the model's, is what it says.
fn check_explanations(found: &Results, wanted: &[ModelHit], query: &Query, scores: bool) -> Result<(), TestCaseError> {
    let explained: Vec<DocKey> = found.explanations.iter().map(|(key, _)| *key).collect();
    let hits: Vec<DocKey> = if query.explain { found.hits.iter().map(|hit| hit.key).collect() } else { Vec::new() };
    prop_assert_eq!(explained, hits);
    for ((_, explanation), (hit, wanted)) in found.explanations.iter().zip(found.hits.iter().zip(wanted)) {
        let parts = &explanation.parts;
        let score: f32 = parts.iter().map(|part| part.score).sum();
        prop_assert!(query.text.is_none() || (score - hit.score).abs() <= 1e-4 * (1.0 + hit.score), "{} {:?}", hit.score, parts);
        if scores {
            let parts: Vec<_> = parts.iter().map(|part| (label(&part.what), part.score)).collect();
            let wanted: Vec<_> = wanted.parts.iter().map(|(label, score)| (label.clone(), shown(*score))).collect();
            prop_assert_eq!(parts, wanted, "{:?} {:?}", hit, query);
        }
    }
    Ok(())
}

/// Reads every page and checks each against the model's whole answer.
fn check_pages(wanted: &ModelResults, query: &Query, scores: bool, mut search: impl FnMut(&Query) -> Results) -> Result<(), TestCaseError> {
    let mut query = query.clone();
    let mut rest = &wanted.hits[..];
    loop {
        let found = search(&query);
        let (page, later) = rest.split_at(rest.len().min(query.limit));
        let keys = |found: &Results| found.hits.iter().map(|hit| (hit.key, hit.sort.tier, hit.pinned)).collect::<Vec<_>>();
        prop_assert_eq!(keys(&found), page.iter().map(|hit| (hit.key, hit.tier, hit.pinned)).collect::<Vec<_>>(), "{:?}", &query);
        for (hit, wanted) in found.hits.iter().zip(page) {
            prop_assert!(!scores || hit.score == wanted.score || query.text.is_none(), "{} {}", hit.score, wanted.score);
            prop_assert_eq!(hit.partition, (hit.key.0 % 5) as u16);
        }
        check_explanations(&found, page, &query, scores)?;
        prop_assert_eq!(found.relaxed, page.iter().any(|hit| hit.tier == Tier::SomeTerms && !hit.pinned));
        prop_assert_eq!(found.total, query.total.then_some(wanted.total));
        prop_assert_eq!(&found.facets, &wanted.facets, "{:?}", &query);
        prop_assert_eq!((found.next.is_some(), found.partial), (!later.is_empty(), false));
        let Some(next) = found.next else { return Ok(()) };
        query.after = Some(Cursor::decode(&next.encode()).expect("what was encoded can be decoded"));
        rest = later;
    }
}

/// What the indexes have of a query's words.
fn statistics(indexes: &[Index], query: &Query) -> Arc<Statistics> {
    let mut all = Statistics::default();
    indexes.iter().for_each(|index| all.add(&index.statistics(query).expect("within bounds")));
    all.into()
}

/// What indexes find that is like a document of one of them is what the model finds in all their documents, score by score.
fn check_similar(model: &Model, indexes: &[Index], asked: &Similar) -> Result<(), TestCaseError> {
    let Similar { key, filters, signals, limit } = asked;
    let found = indexes.iter().find_map(|index| index.profile(*key)).map(|profile| {
        let mut all = Frequencies::default();
        indexes.iter().for_each(|index| all.add(&index.frequencies(&profile)));
        let query = SimilarQuery { to: SimilarTo::new(profile, &all), filters: filters.clone(), signals: *signals, limit: *limit };
        let parts = indexes.iter().map(|index| index.similar_part(&query, STOCK).expect("within bounds"));
        merge_similar(parts.collect(), *limit).iter().map(|hit| (hit.key, hit.score)).collect::<Vec<_>>()
    });
    let mut wanted = model.similar(*key, filters, *signals);
    wanted.iter_mut().for_each(|wanted| wanted.truncate(*limit));
    prop_assert_eq!(found, wanted, "{:?}", asked);
    Ok(())
}

/// What is under way when a budget ends, with so few documents: some rows, some hundred words of a dictionary, and what is counted before anything else.
const OVERSHOOT_HERE: u64 = 40_000;

/// All documents that a facet counts.
fn counts(counts: &FacetCounts) -> u64 {
    match counts {
        FacetCounts::Values(values) => values.iter().map(|value| value.count).sum(),
        FacetCounts::Range(stats) => stats.map_or(0, |stats| stats.count),
        FacetCounts::Histogram { buckets, .. } => buckets.iter().map(|bucket| bucket.count).sum(),
        // Of fewer documents another branch may be shown, and more of it: but none is larger.
        FacetCounts::Categories(nodes) => nodes.iter().map(|node| node.count).max().unwrap_or(0),
        FacetCounts::Ratings { buckets, .. } => buckets.iter().map(|bucket| bucket.count).sum(),
        FacetCounts::NumberHistogram(buckets) => buckets.iter().map(|bucket| bucket.count).sum(),
    }
}

fn config() -> Config {
    Config { cases: 400, max_shrink_iters: 4_000, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn one_index(
        ops in vec(op(), 1..120),
        rules in rules(),
        head_rows_max in 1_usize..6,
        language in select(&LANGUAGES[..]),
        last in query(),
    ) {
        let settings = Settings { head_rows_max, language };
        let mut index = Index::new(settings);
        let synonyms = Arc::new(Synonyms::in_language(language, &rules).expect("within bounds"));
        let mut model = Model { rules, language, ..Model::default() };
        let mut files = Files::default();
        for op in ops.into_iter().chain([Op::Search(Box::new(last))]) {
            match op {
                Op::Upsert(document) => {
                    let written = index.upsert(&document).expect("the documents are within bounds");
                    let old = model.documents.insert(document.key, *document);
                    prop_assert_eq!(written, if old.is_some() { Written::Replaced } else { Written::Added });
                }
                Op::Remove(key) => prop_assert_eq!(index.remove(key), model.documents.remove(&key).is_some()),
                Op::SetColumns(key, columns) => {
                    let stamp = model.documents.get(&key).map_or(1, |document| document.stamp);
                    prop_assert_eq!(index.refresh(key, Current { stamp: stamp.wrapping_add(1), columns }), Ok(false));
                    // One of no stamp, or that is not there, is not known to be the same.
                    let refreshed = index.refresh(key, Current { stamp, columns });
                    prop_assert_eq!(refreshed, Ok(stamp != 0 && model.documents.contains_key(&key)));
                    prop_assert_eq!(index.set_columns(key, columns), Ok(model.set_columns(key, columns)));
                }
                Op::Maintain { steps, budget, at_rest } => {
                    for _ in 0..steps {
                        let _ = if at_rest { index.consolidate(budget) } else { index.maintain(budget) };
                    }
                }
                Op::Save(nth) => files.begin(&index, nth),
                Op::Restart { halves } => index = files.restart(settings, &model, halves),
                Op::Search(query) => {
                    let query = Query { synonyms: synonyms.clone(), ..*query };
                    check_pages(&model.search(&query), &query, true, |query| index.search(query, STOCK).expect("within bounds"))?;
                }
                Op::Similar(asked) => check_similar(&model, std::slice::from_ref(&index), &asked)?,
            }
            prop_assert_eq!(index.len(), model.documents.len());
            files.step(&index);
        }
        // Left alone it comes to rest, and the rows of removed documents have been used again or wait for it.
        while index.maintain(1_000) {}
        let layout = index.layout();
        prop_assert!(2 * layout.dead_rows <= layout.rows && layout.head_rows < head_rows_max, "{:?}", layout);
    }

    #[test] // Without the statistics of both, and of words that stand for others, scores are each index's own: then only orders by columns are compared in full.
    fn two_indexes(
        documents in vec(document(), 0..40),
        rules in rules(),
        language in select(&LANGUAGES[..]),
        queries in vec((query(), any::<bool>()), 1..8),
        like in vec(similar(), 1..8),
    ) {
        let synonyms = Arc::new(Synonyms::in_language(language, &rules).expect("within bounds"));
        let mut model = Model { rules, language, ..Model::default() };
        let settings = Settings { language, ..Settings::default() };
        let mut indexes = [Index::new(settings), Index::new(Settings { head_rows_max: 2, ..settings })];
        for document in documents {
            let index = &mut indexes[(document.key.0 / 3 % 2) as usize];
            index.extend([document.clone()]).expect("the documents are within bounds");
            model.documents.insert(document.key, document);
        }
        like.iter().try_for_each(|asked| check_similar(&model, &indexes, asked))?;
        for (query, shared) in queries {
            // What a misspelt or unfinished word may be is each index's own, and so is what else it says then.
            if !model.rules.is_empty() && (query.typos || query.prefix) {
                continue;
            }
            let query = Query { synonyms: synonyms.clone(), ..query };
            let names = search_index::named_fields(query.text.as_deref().unwrap_or_default());
            let query = Query { fields: Some(indexes.iter().flat_map(|index| index.fields_among(&names)).collect()), ..query };
            let query = Query { statistics: shared.then(|| statistics(&indexes, &query)), ..query };
            let parts = |query: &Query| indexes.iter().map(|index| index.search_part(query, STOCK).expect("within bounds")).collect::<Vec<_>>();
            let stands_for_another = |part: &Part| !part.guessed.is_empty() || !part.meant_so.is_empty() || part.doubting.is_some();
            let alike = shared && !query.prefix && !parts(&query).iter().any(stands_for_another);
            let search = |query: &Query| {
                let mut query = query.clone();
                for _ in 1..ROUNDS_MAX {
                    query.elsewhere = query.elsewhere.or(misjudged(&parts(&query), &query));
                }
                let agreed = parts(&query);
                assert!(misjudged(&agreed, &query).is_empty());
                merge(agreed, &query)
            };
            let wanted = model.search(&query);
            if query.sort == Sort::Relevance && query.text.is_some() && !alike {
                let found = search(&query);
                prop_assert_eq!(found.total, query.total.then_some(wanted.total));
                prop_assert_eq!(&found.facets, &wanted.facets, "{:?}", query);
                prop_assert_eq!(found.hits.len(), wanted.hits.len().min(query.limit));
                check_explanations(&found, &wanted.hits, &query, false)?;
                let shape = |pinned: bool, key: DocKey, tier: Tier| (pinned.then_some(key), tier);
                prop_assert_eq!(
                    found.hits.iter().map(|hit| shape(hit.pinned, hit.key, hit.sort.tier)).collect::<Vec<_>>(),
                    wanted.hits.iter().take(query.limit).map(|hit| shape(hit.pinned, hit.key, hit.tier)).collect::<Vec<_>>(),
                    "{:?}",
                    query
                );
            } else {
                check_pages(&wanted, &query, alike, search)?;
            }
        }
    }

    #[test] // Mostly so small a budget that it ends somewhere on the way, which is anywhere.
    fn any_budget(
        documents in vec(document(), 0..40),
        rules in rules(),
        head_rows_max in 1_usize..9,
        asked in vec((query(), prop_oneof![3 => 0_u64..60_000, 1 => 0_u64..3_000]), 1..6),
    ) {
        let synonyms = Arc::new(Synonyms::new(&rules).expect("within bounds"));
        let mut index = Index::new(Settings { head_rows_max, ..Settings::default() });
        for document in &documents {
            index.upsert(document).expect("the documents are within bounds");
            index.maintain(30);
        }
        for (query, budget) in asked {
            let query = Query { synonyms: synonyms.clone(), ..query };
            let search = |query: &Query| index.search(query, STOCK).expect("within bounds");
            let small = Query { budget: Units(budget), ..query.clone() };
            let part = index.search_part(&small, STOCK).expect("within bounds");
            prop_assert!(part.spent <= Units(budget + OVERSHOOT_HERE), "{:?} of {} in {:?}", part.spent, budget, query);
            let (found, whole) = (search(&small), search(&Query { budget: Units::UNLIMITED, ..query.clone() }));
            prop_assert_eq!(&found, &search(&small), "the same work is the same answer");
            prop_assert_eq!(&whole, &search(&query), "no budget is as good as enough of it");
            if !found.partial {
                prop_assert_eq!(&found, &whole);
                continue;
            }
            // Whatever is found is right: a word may stand for less, so that documents with all words are taken for some with less, and no more than that.
            let matching = if query.matching == Matching::All { Matching::All } else { Matching::Any };
            let loose = Query { matching, sort: Sort::Price, limit: 100, total: true, ..query.clone() };
            let all = search(&loose);
            prop_assert!(found.total.is_none() || found.total <= all.total, "{:?} of {:?}", found.total, all.total);
            prop_assert!(found.did_you_mean.is_none());
            let mut page = found;
            let mut seen = BTreeSet::new();
            loop {
                for hit in &page.hits {
                    prop_assert!(all.hits.iter().any(|other| other.key == hit.key), "{:?} in {:?}", hit, query);
                    prop_assert!(seen.insert(hit.key), "{:?} comes twice in {:?}", hit, query);
                }
                prop_assert!(query.sort == Sort::Relevance || page.hits.is_sorted_by_key(|hit| hit.sort));
                let Some(after) = page.next else { break };
                page = search(&Query { after: Some(after), ..small.clone() });
            }
            for (part, whole) in search(&Query { after: None, ..small }).facets.iter().zip(&all.facets) {
                prop_assert!(counts(&part.counts) <= counts(&whole.counts) || query.matching != matching, "{:?} {:?}", part, whole);
            }
        }
    }
}
