//! tantivy over the mixed corpus, measured as `bench -- search` measures ours.
//!
//! ```text
//! tantivy-peer build   --corpus FILE --index DIR
//! tantivy-peer answers --corpus FILE --index DIR --queries TSV --mode any|all|fuzzy --depth N [--own LETTER]
//! tantivy-peer turns   --corpus FILE --index DIR --queries FILE --typos TSV --passes N
//! ```
//!
//! `build` prints one line of JSON, `answers` one a query, `turns` one for every mode that it reads from standard input. One thread asks; reads go through mmap; all segments
//! are merged into one. A fault ends the program with its reason: this is a measuring device, and half a measurement is none.

mod ask;
mod corpus;
mod make;
mod measure;

use std::{collections::HashMap, io::BufRead, path::PathBuf};

/// `--name value` pairs.
struct Arguments(HashMap<String, String>);

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Self {
        let mut pairs = HashMap::new();
        while let Some(name) = words.next() {
            let name = name.strip_prefix("--").unwrap_or_else(|| panic!("{name} is no option")).to_owned();
            let value = words.next().unwrap_or_else(|| panic!("--{name} needs a value"));
            pairs.insert(name, value);
        }
        Self(pairs)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn need(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("--{name} is missing"))
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(self.need(name))
    }

    fn number(&self, name: &str) -> usize {
        self.need(name).parse().unwrap_or_else(|error| panic!("--{name}: {error}"))
    }
}

fn main() {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let arguments = Arguments::read(words);
    match command.as_str() {
        "build" => println!("{}", make::build(&arguments.path("corpus"), &arguments.path("index"))),
        "answers" => answers(&arguments),
        "turns" => turns(&arguments),
        _ => {
            eprintln!("tantivy-peer: build, answers or turns");
            std::process::exit(2);
        }
    }
}

fn answers(arguments: &Arguments) {
    let asker = ask::Asker::open(&arguments.path("index"));
    let ids = corpus::ids(&arguments.path("corpus"));
    let (mode, depth, own) = (ask::Mode::named(arguments.need("mode")), arguments.number("depth"), arguments.get("own").unwrap_or(""));
    for (query_id, query) in corpus::questions(&arguments.path("queries")) {
        let found = asker.top(&*asker.query(mode, &query), depth);
        let ids: Vec<&str> = found.iter().map(|number| ids[*number as usize].as_str()).filter(|id| id.starts_with(own)).collect();
        println!("{}", serde_json::json!({"query_id": query_id, "query": query, "ids": ids}));
    }
}

fn turns(arguments: &Arguments) {
    let asker = ask::Asker::open(&arguments.path("index"));
    let texts = |name: &str| corpus::questions(&arguments.path(name)).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    let (queries, typos, passes) = (texts("queries"), texts("typos"), arguments.number("passes"));
    println!("{}", serde_json::json!({"case": "ready", "documents": asker.documents()}));
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input");
        match line.trim() {
            "update" => {
                for line in make::update(&arguments.path("corpus"), &arguments.path("index")) {
                    println!("{line}");
                }
            }
            "prefix" => println!("{}", measure::passes(&asker, "prefix", &measure::keystrokes(&queries), passes)),
            "fuzzy" => println!("{}", measure::passes(&asker, "fuzzy", &typos, passes)),
            mode => println!("{}", measure::passes(&asker, mode, &queries, passes)),
        }
    }
}
