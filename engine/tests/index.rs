//! The index that was saved beside the log, over starts of the whole engine: taken over, never trusted.

mod common;

use common::{call, config, open, under_both_drivers};
use engine::{Config, Engine, SearchLanguage, Shutdown};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use wire::{Body, Op, Principal, ProductInput, ProductStatus, Request, Role, SearchQuery, VariantInput};

/// Enough for two shards to have a segment each that is worth a file.
const PRODUCTS: usize = 2_400;
/// A machine that does much else saves late.
const SAVED_WITHIN: Duration = Duration::from_secs(60);

under_both_drivers! {
    a_start_takes_over_what_was_saved
    a_start_in_another_language_indexes_again
}

fn product(number: usize, title: &str) -> Request {
    let key = format!("p{number}");
    let variant = VariantInput { key: key.clone(), options: Vec::new(), prices: Vec::new(), barcodes: Vec::new() };
    let input = ProductInput {
        key,
        title: format!("{title} number{number}"),
        description: String::new(),
        brand: None,
        category: None,
        attributes: Vec::new(),
        images: Vec::new(),
        variants: vec![variant],
        stock: Vec::new(),
        popularity: 0,
        margin: None,
        released: None,
        status: ProductStatus::Active,
    };
    Request { principal: Principal::Staff { role: Role::Merchandiser }, ..Request::system(Op::PutProduct(Box::new(input))) }
}

fn put(engine: &Engine, products: impl IntoIterator<Item = Request>) {
    let calls: Vec<_> = products.into_iter().map(|request| engine.call(request)).collect();
    for answer in calls {
        futures_lite::future::block_on(answer).expect("the engine answers").result.expect("a product");
    }
}

/// How many products a search finds.
fn found(engine: &Engine, text: &str) -> u64 {
    let query = SearchQuery { text: text.to_owned(), limit: 1, total: true, ..SearchQuery::default() };
    match call(engine, Request::system(Op::Search(query))).result {
        Ok(Body::Search(results)) => results.total.expect("asked for"),
        other => panic!("{other:?}"),
    }
}

/// Names of the files of the index, in order.
fn files(data: &Path) -> Vec<String> {
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("our names")).collect()
    };
    let mut files = Vec::new();
    for folder in names(&data.join("index")) {
        files.extend(names(&data.join("index").join(&folder)).into_iter().map(|file| format!("{folder}/{}", file.trim_start_matches('0'))));
    }
    files.sort();
    files
}

/// Waits until the files are these, and a moment more: so they stay.
#[expect(clippy::disallowed_methods, reason = "the files are written behind the engine's back, and nobody tells when")]
fn wait_for(data: &Path, wanted: &[&str]) {
    let start = Instant::now();
    while files(data) != wanted {
        assert!(start.elapsed() < SAVED_WITHIN, "{:?} and not {wanted:?}", files(data));
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(files(data), wanted);
}

fn a_start_takes_over_what_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let engine = open(data, 1);
    put(&engine, (0..PRODUCTS).map(|number| product(number, "lamp")));
    assert_eq!(found(&engine, "lamp"), PRODUCTS as u64);
    assert_eq!(engine.shutdown(), Shutdown::Drained);

    // However it was saved on the way: a start that finds nothing makes one segment of everything.
    std::fs::remove_dir_all(data.join("index")).expect("it is derived");
    let engine = open(data, 1);
    wait_for(data, &["s-00000-of-00001/1.seg"]);
    // Changed after it was saved.
    put(&engine, [product(7, "chair")]);
    drop(engine);

    // It is taken over, else it would be saved again under another number; and what changed since is as it is now.
    let check = |engine: &Engine| {
        assert_eq!((found(engine, "lamp"), found(engine, "chair"), found(engine, "number7")), (PRODUCTS as u64 - 1, 1, 1));
        assert_eq!(found(engine, "number2399"), 1);
    };
    let engine = open(data, 1);
    check(&engine);
    wait_for(data, &["s-00000-of-00001/1.seg"]);
    drop(engine);

    // Two shards take each its own out of what one left; they keep it in files of their own.
    let engine = open(data, 2);
    check(&engine);
    wait_for(data, &["s-00000-of-00002/1.seg", "s-00001-of-00002/1.seg"]);
    drop(engine);

    // One file damaged, one of a program to come: the start does without.
    let spoil = |name: &str, at: usize| {
        let path = data.join("index").join(name);
        let mut bytes = std::fs::read(&path).expect("a file");
        bytes[at] ^= 2;
        std::fs::write(path, bytes).expect("a file");
    };
    spoil("s-00000-of-00002/00000000000000000001.seg", 5_000);
    spoil("s-00001-of-00002/00000000000000000001.seg", 24);
    let engine = open(data, 2);
    check(&engine);
    wait_for(data, &["s-00000-of-00002/2.seg", "s-00001-of-00002/2.seg"]);
    drop(engine);
    spoil("s-00001-of-00002/00000000000000000002.seg", 5_000);
    let engine = open(data, 2);
    wait_for(data, &["s-00000-of-00002/2.seg", "s-00001-of-00002/3.seg"]);
    assert_eq!(engine.shutdown(), Shutdown::Drained);
    check(&open(data, 2));
}

/// What was saved in one language is of no use to another.
fn a_start_in_another_language_indexes_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let engine = open(data, 1);
    put(&engine, (0..PRODUCTS).map(|number| product(number, if number == 7 { "Öl" } else { "lamp" })));
    assert_eq!(found(&engine, "oel"), 0, "English knows no other form of it, and three letters are no slip");
    drop(engine);
    std::fs::remove_dir_all(data.join("index")).expect("it is derived");

    let german = || Engine::open(Config { search_language: SearchLanguage::German, ..config(data, 1) }).expect("opens");
    let engine = german();
    assert_eq!((found(&engine, "oel"), found(&engine, "lamp"), found(&engine, "number2399")), (1, PRODUCTS as u64 - 1, 1));
    wait_for(data, &["s-00000-of-00001/1.seg"]);
    drop(engine);
    // Taken over, else it would have another number.
    let engine = german();
    assert_eq!(found(&engine, "oel"), 1);
    wait_for(data, &["s-00000-of-00001/1.seg"]);
    drop(engine);
    let engine = open(data, 1);
    assert_eq!((found(&engine, "oel"), found(&engine, "lamps")), (0, PRODUCTS as u64 - 1));
    wait_for(data, &["s-00000-of-00001/2.seg"]);
}
