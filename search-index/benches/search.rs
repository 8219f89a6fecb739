//! Questions: what does a query cost, bare, with three facets and with a filter; what a write; how long is a start?
//!
//! The corpus is generated: words by a Zipf-like draw, so that lists are as uneven as in a catalogue. With `EMPORION_DATA` naming
//! a folder that has `icecat/products.jsonl.gz` and `icecat/queries_dev.tsv`, the same is measured on those 19,406 products too.
//! Report the mean of one query, averaged over the whole query set, on one core.

mod draw;

use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use draw::{Draw, SEED, word};
use search_index::{AttributeValue, Columns, DocKey, Document, FacetField, FacetRequest, Filter, Index, Query, Settings, Signals, Sort};

struct Corpus {
    name: &'static str,
    documents: Vec<Document>,
    queries: Vec<String>,
    /// Two attributes that many documents have.
    attributes: [&'static str; 2],
    brands: Vec<String>,
}

fn generated() -> Corpus {
    let mut draw = Draw(SEED);
    let documents = (0..20_000)
        .map(|key| {
            let attributes = (0..20)
                .map(|_| {
                    let name = draw.skewed(2_000);
                    let value = match name % 3 {
                        0 => AttributeValue::Number(draw.below(500) as f64),
                        1 => AttributeValue::Bool(draw.below(2) == 1),
                        _ => AttributeValue::Text(draw.text(1 + name % 4)),
                    };
                    (format!("a{name}"), value)
                })
                .collect();
            Document {
                title: draw.text(7),
                description: draw.text(12),
                brand: Some(word(draw.skewed(400) + 1)),
                price: Some(draw.below(200_000) as i64),
                popularity: draw.below(1_000) as i64,
                attributes,
                ..Document::new(DocKey(key))
            }
        })
        .collect();
    let queries = (0..64)
        .map(|n| {
            let words: Vec<String> = (0..1 + n % 3).map(|_| word(draw.skewed(1 << 10))).collect();
            words.join(" ")
        })
        .collect();
    Corpus { name: "generated", documents, queries, attributes: ["a2", "a1"], brands: vec![word(1), word(2)] }
}

fn icecat(folder: &Path) -> Option<Corpus> {
    let file = std::fs::File::open(folder.join("icecat/products.jsonl.gz")).ok()?;
    let mut documents = Vec::new();
    for (key, line) in (0..).zip(BufReader::new(flate2::read::GzDecoder::new(file)).lines()) {
        let product: serde_json::Value = serde_json::from_str(&line.ok()?).ok()?;
        let text = |name: &str| product[name].as_str().unwrap_or_default().to_owned();
        let attributes = product["attrs"].as_object()?.iter().filter_map(|(name, value)| {
            let value = match value {
                serde_json::Value::String(text) => AttributeValue::Text(text.clone()),
                serde_json::Value::Number(number) => AttributeValue::Number(number.as_f64()?),
                serde_json::Value::Bool(flag) => AttributeValue::Bool(*flag),
                serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
            };
            Some((name.clone(), value))
        });
        documents.push(Document {
            title: text("title"),
            description: text("description"),
            model: text("model"),
            brand: Some(text("brand")),
            price: product["price_cents"].as_i64(),
            attributes: attributes.collect(),
            ..Document::new(DocKey(key))
        });
    }
    let queries = std::fs::read_to_string(folder.join("icecat/queries_dev.tsv")).ok()?;
    let queries = queries.lines().skip(1).filter_map(|line| Some(line.split_once('\t')?.1.to_owned())).collect();
    Some(Corpus {
        name: "icecat",
        documents,
        queries,
        attributes: ["t_product_colour", "t_type"],
        brands: vec!["HP".into(), "Canon".into()],
    })
}

fn facets(corpus: &Corpus) -> Vec<FacetRequest> {
    let [first, second] = corpus.attributes.map(|name| FacetField::Attribute(name.into()));
    [FacetField::Brand, first, second].into_iter().map(|field| FacetRequest::new(field, 20)).collect()
}

fn measure(c: &mut Criterion, corpus: &Corpus) {
    let mut group = c.benchmark_group(format!("search/{}", corpus.name));
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let mut index = Index::build(Settings::default(), corpus.documents.iter().cloned()).expect("the corpus is within bounds");

    let histogram = FacetRequest::new(FacetField::PriceHistogram { buckets: 10 }, 1);
    let brands = Filter::Brand(corpus.brands.clone());
    let shapes = [
        ("top20", Query::default()),
        ("top20_signals", Query { signals: Signals { popularity: 40, rating: 10, in_stock: 0, margin: 0 }, ..Query::default() }),
        ("top20_explained", Query { explain: true, ..Query::default() }),
        ("top20_total", Query { total: true, ..Query::default() }),
        ("top20_3_facets", Query { facets: facets(corpus), ..Query::default() }),
        ("top20_price_histogram", Query { facets: vec![histogram], ..Query::default() }),
        ("top20_3_facets_brand_filter", Query { facets: facets(corpus), filters: vec![brands.clone()], ..Query::default() }),
        ("by_price_brand_filter", Query { filters: vec![brands], sort: Sort::Price, ..Query::default() }),
    ];
    for (name, shape) in shapes {
        let queries: Vec<Query> = corpus.queries.iter().map(|text| Query { text: Some(text.clone()), ..shape.clone() }).collect();
        let answered = queries.iter().filter(|query| !index.search(query, None).expect("within bounds").hits.is_empty()).count();
        assert!(2 * answered > queries.len(), "only {answered} of {} queries find anything", queries.len());
        let mut turn = queries.iter().cycle();
        group.bench_function(name, |b| {
            // A round is the whole query set and its time the mean of one query: queries differ too much for one to stand for all.
            b.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    #[expect(clippy::disallowed_methods, reason = "a bench measures time")]
                    let start = std::time::Instant::now();
                    for query in turn.by_ref().take(queries.len()) {
                        black_box(index.search(query, None).expect("within bounds"));
                    }
                    spent += start.elapsed() / queries.len() as u32;
                }
                spent
            });
        });
    }
    let browse = Query { facets: facets(corpus), sort: Sort::Price, total: true, ..Query::default() };
    group.bench_function("browse_everything_3_facets", |b| b.iter(|| black_box(index.search(&browse, None).expect("within bounds"))));
    let mut prefixes = corpus.queries.iter().filter_map(|query| query.get(..3)).cycle();
    group.bench_function("suggest_3_letters", |b| b.iter(|| black_box(index.suggest(prefixes.next().expect("a cycle"), 10))));

    let mut keys = (0..corpus.documents.len() as u64).cycle();
    group.bench_function("set_columns", |b| {
        b.iter(|| {
            let key = DocKey(keys.next().expect("a cycle"));
            index.set_columns(key, Columns { price: Some(key.0 as i64), rating: None, popularity: 1, margin: 0 }).expect("not reserved")
        });
    });
    let mut documents = corpus.documents.iter().cycle();
    group.bench_function("upsert_and_maintain", |b| {
        b.iter(|| {
            index.upsert(documents.next().expect("a cycle")).expect("within bounds");
            index.maintain(1_000)
        });
    });
    group.bench_function("build", |b| {
        b.iter_batched(
            || corpus.documents.clone(),
            |documents| Index::build(Settings::default(), documents).expect("within bounds"),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn search(c: &mut Criterion) {
    measure(c, &generated());
    if let Some(corpus) = std::env::var_os("EMPORION_DATA").and_then(|folder| icecat(Path::new(&folder))) {
        measure(c, &corpus);
    }
}

criterion_group!(benches, search);
criterion_main!(benches);
