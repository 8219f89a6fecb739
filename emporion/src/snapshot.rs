//! `emporion snapshot`: wants snapshots of everything in a running shop, and waits until they are made.

use crate::{
    cli::SnapshotArgs,
    fail::Fail,
    shop::{self, Shop},
};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use std::time::Duration;

/// How often the shop is asked whether they are made.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What the shop tells.
#[derive(Debug, Deserialize)]
struct Report {
    partitions: u32,
    due: u32,
    log_bytes: u64,
    failure: Option<String>,
}

pub(crate) fn run(args: &SnapshotArgs) -> Result<(), Fail> {
    let shop = Shop::find(&args.shop, "admin")?;
    shop::runtime()?.block_on(wait(&shop))
}

async fn wait(shop: &Shop) -> Result<(), Fail> {
    let client = shop.client()?;
    let mut report = ask(shop, &client, Method::POST).await?;
    let asked = report.due;
    while report.due > 0 {
        if let Some(why) = report.failure {
            return Err(Fail::Failed(format!(
                "{} of {asked} snapshots are not made, the last try failed: {why}; the shop tries again by itself and keeps its log until it can",
                report.due
            )));
        }
        tokio::time::sleep(ASK_AGAIN).await;
        report = ask(shop, &client, Method::GET).await?;
    }
    let Report { partitions, log_bytes, .. } = report;
    println!(
        "{asked} snapshots made, the other {} of {partitions} had nothing new; the log takes {log_bytes} bytes",
        partitions - asked.min(partitions)
    );
    Ok(())
}

async fn ask(shop: &Shop, client: &Client, method: Method) -> Result<Report, Fail> {
    let url = shop.url("/v1/admin/snapshots");
    let mut request = client.request(method.clone(), url.clone()).bearer_auth(shop.token());
    if method == Method::POST {
        request = request.json(&serde_json::json!({}));
    }
    let response = request.send().await.map_err(|error| shop::unreachable(&url, &error))?;
    match response.status() {
        status if status.is_success() => response.json().await.map_err(|error| shop::unreachable(&url, &error)),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(Fail::Failed("the shop refused: give a token of the role admin (`emporion token --role admin`)".into()))
        }
        status => Err(Fail::Failed(format!("the shop answered {status} where it should tell of its snapshots: see its log"))),
    }
}
