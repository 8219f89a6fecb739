//! The index: schema, analysis, building, changing.
//!
//! Texts are indexed twice: stemmed without stop words for the ranked modes, plain for prefixes and typos. What is counted and filtered are fast fields; hits are told by one,
//! the number of the product's line.

use crate::{
    corpus::{self, Row},
    measure::{self, Figures},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tantivy::{
    Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term,
    schema::{FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TEXT, TextFieldIndexing, TextOptions},
    tokenizer::{AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer},
};

const ANALYSIS: &str = "english";
const WRITER_BYTES: usize = 400_000_000;
/// Changes measured, of every so many lines one: the same as on the other side.
const CHANGES: usize = 200;
const STEP: usize = 300;
/// Rows read ahead of the writer, so that the reading's time can be told apart.
const READ_AHEAD: usize = 256;

#[derive(Clone, Copy)]
pub struct Fields {
    pub key: Field,
    pub number: Field,
    /// Title, body, brand.
    pub plain: [Field; 3],
    pub stemmed: [Field; 3],
    pub brand: Field,
    pub category: Field,
    pub colour: Field,
    pub price: Field,
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default().set_tokenizer(ANALYSIS).set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let english = TextOptions::default().set_indexing_options(indexing);
    let fields = Fields {
        key: schema.add_text_field("key", STRING),
        number: schema.add_u64_field("number", FAST),
        plain: ["title", "body", "brand"].map(|name| schema.add_text_field(name, TEXT)),
        stemmed: ["title_stemmed", "body_stemmed", "brand_stemmed"].map(|name| schema.add_text_field(name, english.clone())),
        brand: schema.add_text_field("brand_value", STRING | FAST),
        category: schema.add_text_field("category", STRING | FAST),
        colour: schema.add_text_field("colour", STRING | FAST),
        price: schema.add_u64_field("price", FAST | INDEXED),
    };
    (schema.build(), fields)
}

fn analyse(index: &Index) {
    let stop = StopWordFilter::new(Language::English).expect("English has stop words");
    let english = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(40))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(stop)
        .filter(Stemmer::new(Language::English))
        .build();
    index.tokenizers().register(ANALYSIS, english);
}

pub fn open(folder: &Path) -> (Index, Fields) {
    let index = Index::open_in_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    analyse(&index);
    (index, schema().1)
}

fn document(fields: &Fields, number: u64, row: &Row) -> TantivyDocument {
    let mut document = TantivyDocument::default();
    document.add_text(fields.key, &row.id);
    document.add_u64(fields.number, number);
    for (text, at) in [&row.title, &row.body, &row.brand].into_iter().zip(0..) {
        document.add_text(fields.plain[at], text);
        document.add_text(fields.stemmed[at], text);
    }
    for (field, value) in [(fields.brand, &row.brand), (fields.category, &row.category), (fields.colour, &row.colour)] {
        document.add_text(field, value);
    }
    document.add_u64(fields.price, row.price);
    document
}

/// Builds and merges; time is that of all threads, the reading of the corpus left out.
pub fn build(corpus: &Path, folder: &Path) -> Value {
    if folder.exists() {
        std::fs::remove_dir_all(folder).expect("the old index can go");
    }
    std::fs::create_dir_all(folder).expect("a folder for the index");
    let (schema, fields) = schema();
    let index = Index::create_in_dir(folder, schema).expect("a new index");
    analyse(&index);
    let (begun, before, mut reading) = (Instant::now(), measure::cpu_of_process(), Duration::ZERO);
    let mut writer: IndexWriter = index.writer_with_num_threads(1, WRITER_BYTES).expect("a writer");
    let (mut rows, mut number) = (corpus::rows(corpus), 0);
    loop {
        let start = measure::cpu_of_thread();
        let ready: Vec<Row> = rows.by_ref().take(READ_AHEAD).collect();
        reading += measure::cpu_of_thread() - start;
        if ready.is_empty() {
            break;
        }
        for row in &ready {
            writer.add_document(document(&fields, number, row)).expect("added");
            number += 1;
        }
    }
    writer.commit().expect("committed");
    let segments = index.searchable_segment_ids().expect("segments");
    if segments.len() > 1 {
        writer.merge(&segments).wait().expect("merged");
    }
    writer.wait_merging_threads().expect("merged");
    let build_s = (measure::cpu_of_process() - before - reading).as_secs_f64();
    let cleaner: IndexWriter = index.writer_with_num_threads(1, 50_000_000).expect("a writer");
    cleaner.garbage_collect_files().wait().expect("what was merged is gone");
    let bytes: u64 =
        std::fs::read_dir(folder).expect("the folder").map(|file| file.and_then(|file| file.metadata()).expect("a file").len()).sum();
    json!({
        "case": "build", "documents": number, "build_s": build_s, "documents_per_cpu_s": number as f64 / build_s, "index_mb": bytes as f64 / 1e6,
        "wall_s": begun.elapsed().as_secs_f64(), "segments": index.searchable_segment_ids().expect("segments").len(), "rss_peak_mb": measure::status_mb("VmHWM:"),
    })
}

/// A price by replacing its document, which is the way there is, and a new product: each until a reader sees it.
pub fn update(corpus: &Path, folder: &Path) -> [Value; 2] {
    let (index, fields) = open(folder);
    let reader: IndexReader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().expect("a reader");
    let mut writer: IndexWriter = index.writer_with_num_threads(1, 50_000_000).expect("a writer");
    let rows: Vec<Row> = corpus::rows(corpus).step_by(STEP).take(CHANGES).collect();
    let mut measured = |name: &str, change: &dyn Fn(&mut IndexWriter, usize, &Row)| {
        let (mut figures, before) = (Figures::default(), measure::cpu_of_process());
        for (at, row) in rows.iter().enumerate() {
            let begun = Instant::now();
            change(&mut writer, at, row);
            writer.commit().expect("committed");
            reader.reload().expect("reloaded");
            figures.wall.push(begun.elapsed());
        }
        // Other threads work too: theirs is the process's time, which has no quantiles.
        let cpu_us = (measure::cpu_of_process() - before).as_secs_f64() * 1e6 / rows.len() as f64;
        figures.line(name, Some(cpu_us), reader.searcher().num_docs())
    };
    let price = measured("update", &|writer, at, row| {
        writer.delete_term(Term::from_field_text(fields.key, &row.id));
        let row = Row { price: row.price + at as u64 + 1, ..row.clone() };
        writer.add_document(document(&fields, (at * STEP) as u64, &row)).expect("added");
    });
    let product = measured("update-product", &|writer, at, row| {
        let row = Row { id: format!("new-{at}"), ..row.clone() };
        writer.add_document(document(&fields, at as u64, &row)).expect("added");
    });
    [price, product]
}
