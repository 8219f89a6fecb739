//! Question: what does a search cost through the engine, beside the index alone with the same products?
//!
//! Path: product files → an index in this thread, and an engine of one shard and all its partitions in a folder for the occasion → rounds of both in turns: every query of the
//! index, then of the engine, by so many callers that its shard is never idle → CPU time a query, of this thread and of the engine's threads. Again with the engine closed and
//! opened: its index was written product by product, and is sorted as that of a bulk load from then on. Behind that, [`prices`].
//! The engine's answer is a page: ten products with titles, prices, pictures and stock, its synonyms and rules looked up, and the call passed to the shard's thread and back.
//!
//! Estimate first: passing a call takes 1 us, ten products are ten look-ups of two cache misses and some fifty copied strings, 5 us; so some 8 us beside a search of 30 to 50.

mod prices;

use crate::{
    search::{clock, documents, indexed, texts},
    server::{BenchError, Others},
};
use bench::report::{Case, HEADING};
use engine::{COMMON_SYNONYMS, Config, Engine, Shutdown};
use search_index::{AttributeValue, Document, Index, Query, Synonym, Synonyms};
use std::{
    hint::black_box,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;
use wire::{Attribute, Body, Client, Currency, Money, Op, OpeningStock, ProductInput, ProductStatus, Request, SearchQuery, VariantInput};

/// Callers with a call each under way.
const CALLERS: usize = 16;
/// How long the engine is left alone behind the load: its index comes to rest meanwhile, as that of a shop does whose products are not written all the time.
const REST: Duration = Duration::from_secs(5);
/// Hits a page.
const LIMIT: u16 = 10;

/// What `through` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Products: JSON lines, gzip or plain, as `search` takes them
    #[arg(long, num_args = 1.., required = true, value_name = "FILE")]
    products: Vec<PathBuf>,
    /// Queries, as `search` takes them
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// Turns of both
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Passes over all queries in a turn
    #[arg(long, default_value_t = 5)]
    passes: usize,
}

/// Measures both and prints each round, then their ratio; then the engine opened again, and new prices.
pub(crate) async fn run(arguments: &Arguments, json: bool) -> Result<(), BenchError> {
    let Arguments { products, queries, rounds, passes } = arguments;
    let texts: Arc<[String]> = texts(queries)?.into();
    if texts.is_empty() || *rounds == 0 || *passes == 0 {
        return Err(BenchError::other("at least one query, one round and one pass"));
    }
    let documents = documents(products)?;
    let changed = documents[..prices::PRODUCTS.min(documents.len())].to_vec();
    let folder = tempfile::tempdir().map_err(BenchError::io("a folder for the engine"))?;
    let engines = Others::from_now_on()?;
    let open = || {
        let mut config = Config::new(folder.path());
        config.shards = Some(1);
        Engine::open(config).map_err(BenchError::other)
    };
    let engine = open()?;
    load(&engine.client(), &documents).await?;
    let asked = Asked { index: indexed(documents)?, synonyms: Arc::new(Synonyms::new(&common()).map_err(BenchError::other)?) };
    let print = |case: &Case| println!("{}", if json { case.json() } else { case.row() });
    if !json {
        println!("{HEADING}");
    }
    let turns = |client, name| Turns { asked: &asked, engines: &engines, texts: &texts, rounds: *rounds, passes: *passes, client, name };
    let written = turns(engine.client(), "through/engine").take(print).await?;
    if engine.shutdown() == Shutdown::CutOff {
        return Err(BenchError::other("the engine did not end in order"));
    }
    let engine = open()?;
    let opened = turns(engine.client(), "through/engine, opened again").take(print).await?;
    prices::run(&engine.client(), &changed).await?.iter().for_each(print);
    if !json {
        println!("through the engine, beside the index alone: {written:.2}; opened again {opened:.2}");
    }
    Ok(())
}

/// Rounds of the index alone and of one engine.
struct Turns<'a> {
    asked: &'a Asked,
    engines: &'a Others,
    texts: &'a Arc<[String]>,
    rounds: u32,
    passes: usize,
    client: Arc<dyn Client>,
    name: &'static str,
}

impl Turns<'_> {
    /// Prints each; answers what a query of the engine costs in queries of the index.
    async fn take(self, print: impl Fn(&Case)) -> Result<f64, BenchError> {
        let Self { asked, engines, texts, rounds, passes, client, name } = self;
        // What was written is being merged meanwhile.
        tokio::time::sleep(REST).await;
        ask(&client, texts, passes).await?;
        let ops = (texts.len() * passes) as u64;
        let (mut alone, mut through) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let bare = clock::spent(|| (0..passes).try_for_each(|_| texts.iter().try_for_each(|text| asked.search(text))));
            bare.value?;
            alone.push(bare.cpu.as_secs_f64() * 1e6 / ops as f64);
            print(&Case::plain("through/index", ops, bare.wall.as_secs_f64(), Some(micros(bare.cpu)), None));
            let before = engines.cpu_us()?;
            let seconds = ask(&client, texts, passes).await?.as_secs_f64();
            let cpu = engines.cpu_us()? - before;
            through.push(cpu as f64 / ops as f64);
            print(&Case::plain(name, ops, seconds, Some(cpu), None));
        }
        Ok(median(through) / median(alone))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The index alone.
struct Asked {
    index: Index,
    synonyms: Arc<Synonyms>,
}

impl Asked {
    /// As the engine asks its index.
    fn search(&self, text: &str) -> Result<(), BenchError> {
        let synonyms = Arc::clone(&self.synonyms);
        let query = Query { text: Some(text.to_owned()), did_you_mean: true, synonyms, limit: usize::from(LIMIT), ..Query::default() };
        self.index.search(&query, None).map(|results| drop(black_box(results))).map_err(BenchError::other)
    }
}

/// What the engine's search knows from the start.
fn common() -> Vec<Synonym> {
    let ways = |ways: &[&str]| ways.iter().map(ToString::to_string).collect::<Vec<_>>();
    COMMON_SYNONYMS.iter().map(|(_, all)| Synonym { typed: ways(all), found: ways(all) }).collect()
}

/// Every query so often, by all callers together; answers how long it took.
#[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
async fn ask(client: &Arc<dyn Client>, texts: &Arc<[String]>, passes: usize) -> Result<Duration, BenchError> {
    let (begun, next) = (std::time::Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, texts, next) = (Arc::clone(client), Arc::clone(texts), Arc::clone(&next));
        callers.spawn(async move {
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                if nth >= texts.len() * passes {
                    return Ok(());
                }
                let query = SearchQuery { text: texts[nth % texts.len()].clone(), limit: LIMIT, ..SearchQuery::default() };
                match client.call(Request::system(Op::Search(query))).await.map_err(BenchError::other)?.result {
                    Ok(Body::Search(results)) => drop(black_box(results)),
                    other => return Err(BenchError::other(format!("no results: {other:?}"))),
                }
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.map_err(BenchError::other)??;
    }
    Ok(begun.elapsed())
}

/// Writes the products.
async fn load(client: &Arc<dyn Client>, documents: &[Document]) -> Result<(), BenchError> {
    let mut under_way = JoinSet::new();
    for (nth, document) in documents.iter().enumerate() {
        if under_way.len() == CALLERS {
            loaded(under_way.join_next().await)?;
        }
        let (client, op) = (Arc::clone(client), Op::PutProduct(Box::new(input(nth, document))));
        under_way.spawn(async move { client.call(Request::system(op)).await.map_err(BenchError::other)?.result.map_err(refused) });
    }
    while !under_way.is_empty() {
        loaded(under_way.join_next().await)?;
    }
    Ok(())
}

fn refused(failure: wire::Failure) -> BenchError {
    BenchError::other(format!("a product is refused: {failure:?}"))
}

fn loaded(done: Option<Result<Result<Body, BenchError>, tokio::task::JoinError>>) -> Result<(), BenchError> {
    done.map_or(Ok(()), |done| done.map_err(BenchError::other)?.map(drop))
}

/// A key as merchants have them. A bare number would be found by numbers that queries have.
fn key(nth: usize) -> String {
    format!("QX{nth:06}")
}

/// The product that a document is made of.
fn input(nth: usize, document: &Document) -> ProductInput {
    let value = |value: &AttributeValue| match value {
        AttributeValue::Text(text) => wire::AttributeValue::Text(text.clone()),
        AttributeValue::Keyword(text) => wire::AttributeValue::Keyword(text.clone()),
        AttributeValue::Number(number) => wire::AttributeValue::Number(*number),
        AttributeValue::Bool(flag) => wire::AttributeValue::Bool(*flag),
    };
    let attribute = |(name, of): &(String, AttributeValue)| Attribute { name: name.clone(), value: value(of) };
    ProductInput {
        key: key(nth),
        title: document.title.clone(),
        description: document.description.clone(),
        brand: document.brand.clone(),
        category: document.category.last().cloned(),
        attributes: document.attributes.iter().map(attribute).collect(),
        images: Vec::new(),
        variants: vec![VariantInput {
            key: key(nth),
            options: Vec::new(),
            prices: document.price.map(|amount| Money { amount, currency: Currency::USD }).into_iter().collect(),
            barcodes: Vec::new(),
        }],
        stock: vec![OpeningStock { variant: key(nth), location: "main".to_owned(), on_hand: 3 }],
        popularity: document.popularity,
        margin: None,
        released: None,
        status: ProductStatus::Active,
    }
}
