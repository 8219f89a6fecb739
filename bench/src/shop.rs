//! Question: what does a shop cost its server, per thing a shopper does? One program, HTTP/3, products of the icecat kind.
//!
//! Estimate first: a product read is one TLS record each way (8 to 13 us of CPU for HTTP/3 at the edge), a hop to the shard and back, and
//! some kilobytes of JSON; a search adds the index (20 to 60 us) and twenty hits; a checkout is four requests and eight durable writes in a
//! row, whose CPU is far below their time.

use crate::{
    ShopArguments,
    client::Client,
    server::{BenchError, Server},
};
use bench::report::{Case, HEADING, Latencies};
use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// Starts a shop, runs every case, prints them.
pub(crate) async fn run(arguments: &ShopArguments, json: bool) -> Result<(), BenchError> {
    let folder = tempfile::tempdir().map_err(BenchError::io("temporary folder"))?;
    let data = folder.path().join("data");
    let server = Server::start(&arguments.program, &data)?;
    let print = |case: Case| println!("{}", if json { case.json() } else { case.row() });
    if !json {
        println!("{HEADING}");
    }
    print(import(arguments, &server, &data)?);
    let keys = product_keys(&arguments.products)?;
    let queries = queries(&arguments.queries)?;
    let mut clients = Vec::new();
    // A QUIC connection for every eight requests in flight, as browsers behind one gateway would be several.
    for _ in 0..arguments.connections.div_ceil(8) {
        clients.push(Client::connect(&server.found).await?);
    }
    let shared = Arc::new((keys, queries));
    print(case(arguments, &server, &clients, "shop/product", arguments.ops, &shared, product).await?);
    print(case(arguments, &server, &clients, "shop/search", arguments.ops, &shared, search).await?);
    print(case(arguments, &server, &clients, "shop/checkout", arguments.ops / 5, &shared, checkout).await?);
    server.kill()?;
    let server = Server::start(&arguments.program, &data)?;
    let cpu = server.cpu_us()?;
    print(Case::plain("shop/restart", 1, server.started_in.as_secs_f64(), Some(cpu), Some(server.rss_mb()?)));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
fn import(arguments: &ShopArguments, server: &Server, data: &Path) -> Result<Case, BenchError> {
    let (begun, cpu) = (Instant::now(), server.cpu_us()?);
    let status = Command::new(&arguments.program)
        .args(["import", "--format", "icecat", "--stock", "1000000", "--data"])
        .arg(data)
        .arg(&arguments.products)
        .stdout(std::process::Stdio::null())
        .status()
        .map_err(BenchError::io("start the import"))?;
    if !status.success() {
        return Err(BenchError::other(format!("the import ended with {status}")));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let products = lines(&arguments.products)?.len() as u64;
    Ok(Case::plain("shop/import", products, seconds, Some(server.cpu_us()? - cpu), Some(server.rss_mb()?)))
}

type Inputs = Arc<(Vec<String>, Vec<String>)>;

/// Runs `ops` operations with as many in flight as asked for, and charges the server's CPU to them.
#[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks")]
async fn case<F, R>(
    arguments: &ShopArguments,
    server: &Server,
    clients: &[Client],
    name: &str,
    ops: u64,
    inputs: &Inputs,
    operation: F,
) -> Result<Case, BenchError>
where
    F: Fn(Client, Inputs, u64) -> R + Copy + Send + 'static,
    R: Future<Output = Result<(), BenchError>> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let (begun, cpu) = (Instant::now(), server.cpu_us()?);
    let workers: Vec<_> = (0..arguments.connections)
        .map(|worker| {
            let (client, inputs, next) = (clients[worker % clients.len()].clone(), Arc::clone(inputs), Arc::clone(&next));
            tokio::spawn(async move {
                let mut latencies = Latencies::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= ops {
                        return Ok::<_, BenchError>(latencies);
                    }
                    let sent = Instant::now();
                    operation(client.clone(), Arc::clone(&inputs), number).await?;
                    latencies.record(sent.elapsed());
                }
            })
        })
        .collect();
    let mut latencies = Latencies::default();
    for worker in workers {
        latencies.add(&worker.await.map_err(BenchError::other)??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Case::plain(name, ops, seconds, Some(server.cpu_us()? - cpu), Some(server.rss_mb()?)).with(&latencies))
}

async fn product(mut client: Client, inputs: Inputs, number: u64) -> Result<(), BenchError> {
    let key = pick(&inputs.0, number);
    let answer = client.send("GET", &format!("/v1/products/key={key}"), &[], None).await?;
    expect(answer, 200).map(drop)
}

async fn search(mut client: Client, inputs: Inputs, number: u64) -> Result<(), BenchError> {
    let query = pick(&inputs.1, number);
    let path = format!("/v1/search?q={query}&limit=20&facets=brand,attr.t_type,price");
    let answer = client.send("GET", &path, &[], None).await?;
    expect(answer, 200).map(drop)
}

/// A guest's whole purchase: cart, line, address, checkout, and the order must be captured.
async fn checkout(mut client: Client, inputs: Inputs, number: u64) -> Result<(), BenchError> {
    let key = pick(&inputs.0, number);
    let made = expect(client.send("POST", "/v1/carts", &[], Some("{}".to_owned())).await?, 201)?;
    let cart = text(&made, "/cart/id")?;
    let token = text(&made, "/cart_token")?;
    let headers = [("cart-token", token.as_str())];
    let line = format!(r#"{{"sku":"key={key}","quantity":1}}"#);
    expect(client.send("POST", &format!("/v1/carts/{cart}/lines"), &headers, Some(line)).await?, 200)?;
    let address = r#"{"name":"Ada","line1":"1 Main St","city":"Springfield","postal_code":"12345","country":"US"}"#;
    let filled = expect(client.send("PUT", &format!("/v1/carts/{cart}/address"), &headers, Some(address.to_owned())).await?, 200)?;
    let total = filled.pointer("/totals/total").ok_or_else(|| BenchError::other("a cart without total"))?;
    let body = format!(r#"{{"email":"ada@example.org","payment":{{"provider":"sandbox","token":"pm_card_visa"}},"accept_total":{total}}}"#);
    let idempotency = format!("bench-checkout-{cart}");
    let headers = [("cart-token", token.as_str()), ("idempotency-key", idempotency.as_str())];
    let order = expect(client.send("POST", &format!("/v1/carts/{cart}/checkout"), &headers, Some(body)).await?, 201)?;
    match text(&order, "/payment_status")?.as_str() {
        "captured" => Ok(()),
        other => Err(BenchError::other(format!("an order ended as {other}"))),
    }
}

fn expect(answer: crate::client::Answer, status: u16) -> Result<serde_json::Value, BenchError> {
    if answer.status.as_u16() == status {
        return answer.json();
    }
    Err(BenchError::other(format!("{} instead of {status}: {}", answer.status, String::from_utf8_lossy(&answer.body))))
}

fn text(value: &serde_json::Value, pointer: &str) -> Result<String, BenchError> {
    let found = value.pointer(pointer).and_then(|value| value.as_str());
    found.map(str::to_owned).ok_or_else(|| BenchError::other(format!("no {pointer} in an answer")))
}

/// Spread over the inputs, the same in every run.
fn pick(from: &[String], number: u64) -> &str {
    let place = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    &from[usize::try_from(place).unwrap_or(0) % from.len()]
}

fn lines(path: &Path) -> Result<Vec<String>, BenchError> {
    let file = std::fs::File::open(path).map_err(BenchError::io(path.display().to_string()))?;
    let reader: Box<dyn Read> =
        if path.extension().is_some_and(|e| e == "gz") { Box::new(flate2::read::GzDecoder::new(file)) } else { Box::new(file) };
    BufReader::new(reader).lines().collect::<Result<_, _>>().map_err(BenchError::io(path.display().to_string()))
}

fn product_keys(path: &Path) -> Result<Vec<String>, BenchError> {
    #[derive(serde::Deserialize)]
    struct Keyed {
        id: String,
    }
    lines(path)?.iter().map(|line| serde_json::from_str::<Keyed>(line).map(|keyed| keyed.id).map_err(BenchError::other)).collect()
}

/// The second column, percent-encoded for a URL.
fn queries(path: &Path) -> Result<Vec<String>, BenchError> {
    let encode = |text: &str| {
        text.bytes()
            .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect::<String>()
    };
    let queries: Vec<String> = lines(path)?.iter().skip(1).filter_map(|line| line.split('\t').nth(1)).map(encode).collect();
    if queries.is_empty() { Err(BenchError::other("no queries in the file")) } else { Ok(queries) }
}
