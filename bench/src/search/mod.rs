//! Questions: what does a search cost on one core, how soon is a change seen, what does an index of these products weigh, and are the answers any good?
//!
//! Path: product files ([`lines`]) → documents ([`product`]) → `Index::build` → queries ([`queries`]) in a mode ([`modes`]) → [`passes`] → rankings against judgments
//! ([`quality`], [`metrics`]) → a line a mode. One thread, closed loop, the crate alone: no engine and no network. `compare/search` runs another engine beside it.
//!
//! Estimate first: a query of two words over 64,000 products reads some thousand postings at a nanosecond or two each, so tens of microseconds; a price is a store
//! into a column; a new product is its hundred words analysed, tens of microseconds.

pub(crate) mod clock;
mod lines;
mod merging;
mod metrics;
mod mixed;
mod modes;
mod passes;
mod product;
mod quality;
mod queries;
mod update;

use crate::server::{BenchError, rss_mb};
use bench::report::{Case, HEADING, Latencies};
use clock::Spent;
use lines::Shape;
use modes::{Mode, Shop};
use product::{Feed, Known};
use quality::{Judges, Quality};
use queries::{Question, Typo};
use search_index::{Index, Settings};
use serde::Serialize;
use std::{io::Write as _, path::PathBuf, time::Duration};

/// Postings that one step of the merging after a build takes.
const MAINTAIN: usize = 100_000;

/// What `search` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Products: JSON lines, gzip or plain, in the shape of the icecat, fashion or bestbuy set or of the mixed corpus
    #[arg(long, num_args = 1.., required = true, value_name = "FILE")]
    products: Vec<PathBuf>,
    /// Queries: plain text, one a line; or tab-separated with a heading that names a column `query`
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Ratings, tab-separated: query_id, product_id, rating
    #[arg(long, value_name = "FILE")]
    judgments: Option<PathBuf>,
    /// Misspelt queries, tab-separated: typo_query, clean_query, relevant_ids
    #[arg(long, value_name = "FILE")]
    typos: Option<PathBuf>,
    /// Products whose attributes the want_json of queries speaks of [default: those of --products]
    #[arg(long, num_args = 1.., value_name = "FILE")]
    labels: Vec<PathBuf>,
    /// How to ask; several with commas
    #[arg(long, value_delimiter = ',', default_value = "default")]
    mode: Vec<Mode>,
    /// Every product so many times, all but the first mixed with another one
    #[arg(long, default_value_t = 1)]
    replicate: usize,
    /// Passes over all queries
    #[arg(long, default_value_t = 5)]
    passes: u32,
    /// So many in a hundred products are sold out, and only the others are asked for
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=100), value_name = "PERCENT")]
    sold_out: Option<u8>,
    /// A line a query too, with the ids found
    #[arg(long)]
    rows: bool,
    /// Ids in such a line
    #[arg(long, default_value_t = metrics::AT)]
    depth: usize,
    /// Read a mode a line from standard input, behind it the per cent sold out if any, and measure it: to take turns with another engine
    #[arg(long, conflicts_with_all = ["mode", "rows", "sold_out"])]
    turns: bool,
    /// Write the products as a mixed corpus that any engine can load, and do nothing else
    #[arg(long, value_name = "FILE")]
    write_corpus: Option<PathBuf>,
}

/// One mode measured.
#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    case: Case,
    documents: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    queries: Option<usize>,
    /// Queries that nothing answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    empty: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sold_out: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_p50_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_p99_us: Option<f64>,
    /// Mean over the queries of each one's best pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    best_us: Option<f64>,
    #[serde(flatten)]
    built: Built,
    #[serde(flatten)]
    quality: Quality,
}

/// What the index weighs, and what it took to make it.
#[derive(Clone, Copy, Debug, Serialize)]
struct Built {
    /// On a core, reading the files left out, merging included.
    build_s: f64,
    documents_per_cpu_s: f64,
    index_mb: f64,
    /// By which the process grew.
    resident_mb: f64,
}

/// Runs the modes and prints them.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<(), BenchError> {
    if arguments.replicate == 0 || arguments.passes == 0 {
        return Err(BenchError::other("at least one replica and one pass"));
    }
    if let Some(file) = &arguments.write_corpus {
        let written = mixed::write(&arguments.products, arguments.replicate, file)?;
        println!("{}: {written} products", file.display());
        return Ok(());
    }
    let typos = arguments.typos.as_deref().map(queries::typos).transpose()?.unwrap_or_default();
    let questions = arguments.queries.as_deref().map(queries::questions).transpose()?.unwrap_or_default();
    let wants_queries = arguments.turns || arguments.mode.iter().any(|mode| *mode != Mode::Update);
    if questions.is_empty() && typos.is_empty() && wants_queries {
        return Err(BenchError::other("no queries: give --queries or --typos"));
    }
    let (mut shop, built) = build(arguments)?;
    let bench = Bench { arguments, json, built, questions: &questions, typos: &typos };
    if !json {
        println!("{HEADING}");
    }
    if arguments.turns {
        return bench.turns(&mut shop);
    }
    let judges = bench.judges(&shop)?;
    for mode in &arguments.mode {
        bench.measure(&mut shop, *mode, Some(&judges))?;
    }
    Ok(())
}

/// An index of these documents, at rest.
pub(crate) fn indexed(documents: impl IntoIterator<Item = search_index::Document>) -> Result<Index, BenchError> {
    let mut index = Index::build(Settings::default(), documents).map_err(BenchError::other)?;
    while index.maintain(MAINTAIN) {}
    Ok(index)
}

/// The documents of product files.
pub(crate) fn documents(products: &[PathBuf]) -> Result<Vec<search_index::Document>, BenchError> {
    let mut known = Known::default();
    let mut feed = Feed::open(products, 1, &mut known)?;
    let documents = (&mut feed).collect();
    feed.failed.take().map_or(Ok(documents), Err)
}

/// The texts of a file of queries.
pub(crate) fn texts(queries: &std::path::Path) -> Result<Vec<String>, BenchError> {
    Ok(queries::questions(queries)?.into_iter().map(|question| question.text).collect())
}

fn build(arguments: &Arguments) -> Result<(Shop, Built), BenchError> {
    let before = rss_mb(std::process::id())?;
    let mut known = Known::default();
    let mut feed = Feed::open(&arguments.products, arguments.replicate, &mut known)?;
    let Spent { value: index, cpu, .. } = clock::spent(|| indexed(&mut feed));
    let index = index?;
    let (reading, failed) = (feed.reading, feed.failed.take());
    drop(feed);
    if let Some(error) = failed {
        return Err(error);
    }
    let build_s = cpu.saturating_sub(reading).as_secs_f64();
    let built = Built {
        build_s,
        documents_per_cpu_s: index.len() as f64 / build_s,
        index_mb: index.layout().segment_bytes as f64 / 1e6,
        resident_mb: rss_mb(std::process::id())? - before,
    };
    Ok((Shop { index, known, sold_out: arguments.sold_out }, built))
}

/// What all modes share.
struct Bench<'a> {
    arguments: &'a Arguments,
    json: bool,
    built: Built,
    questions: &'a [Question],
    typos: &'a [Typo],
}

impl Bench<'_> {
    fn judges(&self, shop: &Shop) -> Result<Judges, BenchError> {
        let Arguments { products, labels, judgments, depth, .. } = self.arguments;
        let judgments = judgments.as_deref().map(queries::judgments).transpose()?;
        let labels = if labels.is_empty() { products } else { labels };
        let bare = products.len() == 1 && shop.known.shape != Some(Shape::Mixed);
        Judges::new(shop, self.questions, judgments.as_ref(), labels, self.typos, *depth, bare)
    }

    fn turns(&self, shop: &mut Shop) -> Result<(), BenchError> {
        // Whoever takes turns waits for this: the index is there.
        let cpu = Duration::from_secs_f64(self.built.build_s);
        self.print(&self.line(shop, self.case("build", shop.index.len() as u64, cpu, cpu, None)?))?;
        for line in std::io::stdin().lines() {
            let line = line.map_err(BenchError::io("standard input"))?;
            let (mode, sold_out) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            let mode = <Mode as clap::ValueEnum>::from_str(mode, false).map_err(BenchError::other)?;
            shop.sold_out = if sold_out.is_empty() { None } else { Some(sold_out.parse().map_err(BenchError::other)?) };
            self.measure(shop, mode, None)?;
        }
        Ok(())
    }

    fn measure(&self, shop: &mut Shop, mode: Mode, judges: Option<&Judges>) -> Result<(), BenchError> {
        if mode == Mode::Update {
            let changed = update::prices(shop)?;
            self.print_changed(shop, "update", &changed)?;
            let changed = update::products_anew(shop, &self.arguments.products)?;
            return self.print_changed(shop, "update-product", &changed);
        }
        let asked = self.questions.iter().map(|question| question.text.as_str());
        let misspelt = || self.typos.iter().map(|typo| typo.text.as_str());
        let asked_or_misspelt = asked.clone().chain(misspelt().filter(|_| self.questions.is_empty()));
        let texts: Vec<&str> = match mode {
            Mode::Prefix => asked_or_misspelt.flat_map(queries::keystrokes).collect(),
            Mode::Fuzzy => misspelt().chain(asked.filter(|_| self.typos.is_empty())).collect(),
            Mode::Any | Mode::All | Mode::Default | Mode::Filter | Mode::Merging | Mode::Update => asked_or_misspelt.collect(),
        };
        let queries = texts.into_iter().map(|text| mode.query(text, shop)).collect::<Result<Vec<_>, _>>()?;
        let Arguments { passes, products, .. } = self.arguments;
        let passed = match mode {
            Mode::Merging => merging::run(shop, &queries, *passes, products)?,
            _ => passes::run(shop, &queries, *passes)?,
        };
        let (quality, rows) = match judges {
            Some(judges) if mode.is_judged() => judges.measure(shop, self.questions, mode)?,
            Some(_) | None => (Quality::default(), Vec::new()),
        };
        let case = self.case(mode.name(), passed.ops, passed.wall, passed.cpu, Some(&passed.by_wall))?;
        self.print(&Line {
            queries: Some(queries.len()),
            empty: Some(passed.empty),
            sold_out: shop.sold_out,
            cpu_p50_us: Some(passed.by_cpu.at(0.5)),
            cpu_p99_us: Some(passed.by_cpu.at(0.99)),
            best_us: Some(passed.best_us),
            quality,
            ..self.line(shop, case)
        })?;
        if self.arguments.rows {
            rows.iter().try_for_each(|row| put(&serde_json::to_string(row).map_err(BenchError::other)?))?;
        }
        Ok(())
    }

    fn print_changed(&self, shop: &Shop, name: &str, changed: &update::Changed) -> Result<(), BenchError> {
        let case = self.case(name, changed.ops, changed.wall, changed.cpu, Some(&changed.by_wall))?;
        self.print(&Line { cpu_p50_us: Some(changed.by_cpu.at(0.5)), cpu_p99_us: Some(changed.by_cpu.at(0.99)), ..self.line(shop, case) })
    }

    fn case(&self, name: &str, ops: u64, wall: Duration, cpu: Duration, by_wall: Option<&Latencies>) -> Result<Case, BenchError> {
        let (name, rss) = (format!("search/{name}"), rss_mb(std::process::id())?);
        let mut case = Case::plain(&name, ops, wall.as_secs_f64(), None, Some(rss));
        // Of parts of microseconds, which whole ones would lose.
        case.cpu_us_per_op = Some(cpu.as_secs_f64() * 1e6 / ops.max(1) as f64);
        Ok(match by_wall {
            Some(latencies) => case.with(latencies),
            None => case,
        })
    }

    fn line(&self, shop: &Shop, case: Case) -> Line {
        Line {
            case,
            documents: shop.index.len(),
            queries: None,
            empty: None,
            sold_out: None,
            cpu_p50_us: None,
            cpu_p99_us: None,
            best_us: None,
            built: self.built,
            quality: Quality::default(),
        }
    }

    fn print(&self, line: &Line) -> Result<(), BenchError> {
        if self.json {
            return put(&serde_json::to_string(line).map_err(BenchError::other)?);
        }
        put(&line.case.row())?;
        let mut figures = serde_json::to_value(line).map_err(BenchError::other)?;
        let shown = figures.as_object_mut().map(std::mem::take).unwrap_or_default();
        let of_case = |name: &str| {
            ["case", "ops", "ops_per_s", "cpu_us_per_op", "p50_us", "p99_us", "p999_us", "max_us", "rss_mb", "seconds"].contains(&name)
        };
        let rest: Vec<String> =
            shown.iter().filter(|(name, _)| !of_case(name)).map(|(name, value)| format!("{name} {}", brief(value))).collect();
        put(&format!("  {}", rest.join(", ")))
    }
}

/// Four digits behind the point are enough to read.
fn brief(value: &serde_json::Value) -> String {
    match value.as_f64() {
        Some(number) if value.is_f64() => format!("{number:.4}"),
        Some(_) | None => value.to_string(),
    }
}

/// A line, at once: somebody may wait for it.
fn put(line: &str) -> Result<(), BenchError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(BenchError::io("standard output"))
}
