//! The demo catalog: [`PRODUCTS`] invented products that look like a shop's, the same every time.
//!
//! Path: a seed → [`products`] (pure; words from `vocabulary`) → [`fill`], which sends them to the engine, at most [`IN_FLIGHT_MAX`] at once.
//! Only an empty catalog is filled. A fill that was interrupted is finished at the next start that asks for it: a mark in the data folder
//! tells it from a catalog of the merchant's own.

mod generate;
mod random;
mod vocabulary;

pub(crate) use generate::{categories, products};

use crate::{fail::Fail, files};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use wire::{Body, CallError, Client, Failure, Op, Principal, Request, Role, SearchQuery};

/// Products of the demo catalog.
pub(crate) const PRODUCTS: usize = 10_000;
/// What the demo catalog is made from.
const SEED: u64 = 0xe390_0a10;
/// Products on their way at once.
const IN_FLIGHT_MAX: usize = 256;
/// How long one product is tried while the engine is busy.
const PATIENCE: Duration = Duration::from_secs(30);
/// There while a fill is not finished.
const MARK: &str = "demo.unfinished";

/// Fills the catalog of a running engine if it is empty.
pub(crate) async fn fill(client: &Arc<dyn Client>, data: &Path) -> Result<(), Fail> {
    let mark = data.join(MARK);
    if !mark.exists() && !is_empty(client).await? {
        tracing::info!("the catalog is not empty, so no demo products are added");
        return Ok(());
    }
    files::write(&mark, b"Filling the demo catalog was interrupted; start with --demo again to finish it.\n", 0o644)?;
    let began = Instant::now();
    for category in categories() {
        put(client, Op::PutCategory(category)).await?;
    }
    let mut under_way = JoinSet::new();
    for product in products(SEED, PRODUCTS) {
        if under_way.len() >= IN_FLIGHT_MAX {
            joined(under_way.join_next().await)?;
        }
        let client = Arc::clone(client);
        under_way.spawn(async move { put(&client, Op::PutProduct(Box::new(product))).await });
    }
    while !under_way.is_empty() {
        joined(under_way.join_next().await)?;
    }
    std::fs::remove_file(&mark).map_err(|error| files::failed("removed", &mark, &error))?;
    tracing::info!(products = PRODUCTS, seconds = began.elapsed().as_secs_f64(), "the demo catalog is filled");
    Ok(())
}

fn joined(ended: Option<Result<Result<(), Fail>, tokio::task::JoinError>>) -> Result<(), Fail> {
    match ended {
        None => Ok(()),
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => Err(Fail::Failed(format!("filling the demo catalog ended by a fault of ours: {error}"))),
    }
}

async fn is_empty(client: &Arc<dyn Client>) -> Result<bool, Fail> {
    let query = SearchQuery { limit: 1, total: true, ..SearchQuery::default() };
    match call(client, Op::Search(query)).await? {
        Body::Search(results) => Ok(results.total == Some(0) && results.items.is_empty()),
        other => Err(Fail::Failed(format!("the engine answered a search with something else: {other:?}"))),
    }
}

async fn put(client: &Arc<dyn Client>, op: Op) -> Result<(), Fail> {
    call(client, op).await.map(|_| ())
}

/// Asks until the engine has room.
async fn call(client: &Arc<dyn Client>, op: Op) -> Result<Body, Fail> {
    let until = Instant::now() + PATIENCE;
    loop {
        let request = Request { principal: Principal::Staff { role: Role::Admin }, ..Request::system(op.clone()) };
        let why = match client.call(request).await {
            Ok(response) => match response.result {
                Ok(body) => return Ok(body),
                Err(Failure::Overloaded { retry_after_ms }) if Instant::now() < until => {
                    sleep(Duration::from_millis(retry_after_ms.clamp(5, 1_000).into())).await;
                    continue;
                }
                Err(failure) => format!("{failure:?}"),
            },
            Err(CallError::QueueFull) if Instant::now() < until => {
                sleep(Duration::from_millis(5)).await;
                continue;
            }
            Err(error) => error.to_string(),
        };
        return Err(Fail::Failed(format!("the demo catalog cannot be filled: the engine answered {why}")));
    }
}
