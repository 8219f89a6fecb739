//! What the tests of the engine as a whole share: opening, carts as proof of what was acknowledged, and running a test again as a child.
#![allow(dead_code, reason = "each test program uses its part")]

use engine::{Config, Driver, Engine, Report};
use futures_lite::future::block_on;
use std::{
    cell::Cell,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use wire::{Body, CartId, Failure, Op, PartitionId, Position, Principal, Request, Response};

/// Names the folder to work on, in a child.
const CHILD: &str = "EMPORION_TEST_CHILD";

thread_local! {
    /// Under which driver this test opens its engines; `None` under the one that is chosen by saying nothing.
    static DRIVER: Cell<Option<Driver>> = const { Cell::new(None) };
}

/// From here on this test opens its engines so.
pub(crate) fn go_on_with(driver: Driver) {
    DRIVER.set(Some(driver));
}

/// Makes of each function a test for each driver: `glommio::NAME` and `portable::NAME`.
macro_rules! under_both_drivers {
    ($($name:ident)*) => {
        mod glommio {
            $(#[test] fn $name() {
                super::common::go_on_with(engine::Driver::Glommio);
                super::$name();
            })*
        }
        mod portable {
            $(#[test] fn $name() {
                super::common::go_on_with(engine::Driver::Portable);
                super::$name();
            })*
        }
    };
}
#[allow(unused_imports, reason = "each test program uses its part")]
pub(crate) use under_both_drivers;

/// Small segments, so that tests cross from one to the next.
pub(crate) fn config(data: &Path, shards: u16) -> Config {
    Config { shards: Some(shards), segment_bytes: 1 << 20, driver: DRIVER.get().unwrap_or_default(), ..Config::new(data) }
}

/// Runs a test that speaks over the network.
pub(crate) fn run_async(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads").block_on(test);
}

pub(crate) fn open(data: &Path, shards: u16) -> Engine {
    Engine::open(config(data, shards)).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(cause) => format!("{error}: {}", chain(cause)),
    }
}

pub(crate) fn call(engine: &Engine, request: Request) -> Response {
    block_on(engine.call(request)).expect("the engine answers")
}

/// A cart that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) cart: CartId,
    pub(crate) position: Position,
}

pub(crate) fn create_cart(engine: &Engine, partition: u16) -> Result<Acknowledged, Failure> {
    let currency = "EUR".parse().expect("a currency");
    let response = call(engine, Request::system(Op::CreateCart { currency, partition: PartitionId(partition) }));
    let position = response.positions.first().copied();
    match response.result? {
        Body::Cart(cart) => Ok(Acknowledged { cart: cart.id, position: position.expect("a command has a position") }),
        other => panic!("{other:?} is no cart"),
    }
}

/// Carts on every partition in turn.
pub(crate) fn create_carts(engine: &Engine, count: u16) -> Vec<Acknowledged> {
    let partitions = engine.topology().partitions;
    (0..count).map(|number| create_cart(engine, number % partitions).expect("a cart")).collect()
}

/// Every acknowledged cart must be there.
pub(crate) fn assert_carts(engine: &Engine, carts: &[Acknowledged]) {
    for Acknowledged { cart, .. } in carts {
        let request = Request { principal: Principal::Guest { cart: *cart }, ..Request::system(Op::GetCart(*cart)) };
        match call(engine, request).result {
            Ok(Body::Cart(found)) => assert_eq!(found.id, *cart),
            other => panic!("{cart}: {other:?}"),
        }
    }
}

/// The folder as `emporion verify` sees it; it must be sound.
pub(crate) fn verify_sound(data: &Path) -> Report {
    let report = engine::verify(data).expect("a folder");
    assert!(report.is_sound(), "{report:?}");
    report
}

/// All files of the log with data, oldest first, as (path, bytes).
pub(crate) fn log_files(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![data.join("log")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("a segment");
                files.push((path, bytes));
            }
        }
    }
    files.sort();
    files.retain(|(_, bytes)| bytes.iter().any(|byte| *byte != 0));
    files
}

/// Offsets of the batches in a segment, by their magic (FORMAT.md section 3).
pub(crate) fn batches(segment: &[u8]) -> Vec<usize> {
    (4096..segment.len()).step_by(4096).filter(|at| &segment[at + 48..at + 56] == b"EMPBATCH").collect()
}

/// The folder a child works on; `None` in the test itself.
pub(crate) fn child() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Runs the test `name` of this program again as a child working on `data`, under the same driver; what it prints is the answer.
pub(crate) fn run_child(name: &str, data: &Path) -> Output {
    let program = std::env::current_exe().expect("this program");
    let this = match DRIVER.get() {
        None => name.to_owned(),
        Some(Driver::Glommio) => format!("glommio::{name}"),
        Some(Driver::Portable) => format!("portable::{name}"),
    };
    Command::new(program).args([&this, "--exact", "--nocapture"]).env(CHILD, data).output().expect("the child runs")
}

/// What a child says about opening: the error's text, or `opened`.
pub(crate) fn say_open(data: &Path, shards: u16) {
    match Engine::open(config(data, shards)) {
        Ok(engine) => {
            println!("child: opened");
            drop(engine);
        }
        Err(error) => println!("child: {}", chain(&error)),
    }
}

/// The line a child said.
pub(crate) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once("child: ").map(|(_, said)| said));
    line.unwrap_or_else(|| panic!("the child said nothing: {output:?}")).to_owned()
}
