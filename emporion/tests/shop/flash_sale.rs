//! Two hundred buyers, fifty units, at the same moment: exactly fifty get one, and nobody else is charged.

use crate::{
    guest::Guest,
    process::{Folder, Shop},
    several::alone_and_in_a_cluster,
};
use adapters::sandbox;
use std::{collections::BTreeSet, path::Path, time::Duration};
use tokio::{task::JoinSet, time::sleep};

alone_and_in_a_cluster! {
    fifty_units_make_fifty_orders
    stock_is_held_while_the_payment_takes_its_time
    a_crash_while_the_payment_takes_its_time_loses_no_order_and_strands_no_stock
    a_crash_in_the_middle_loses_no_order_and_strands_no_stock
}

const STOCK: u32 = 50;
const BUYERS: usize = 200;

/// How it ended for one buyer.
enum End {
    /// Their order.
    Bought(String),
    SoldOut,
}

async fn buyers(shop: &Shop) -> Vec<Guest> {
    let api = shop.api();
    api.products(&[("flash", "Flash sale", STOCK)]).await;
    let mut opening = JoinSet::new();
    for _ in 0..BUYERS {
        let api = api.clone();
        opening.spawn(async move { Guest::with(&api, "flash", 1).await });
    }
    opening.join_all().await
}

/// Lets all of them check out at once.
fn rush(guests: Vec<Guest>, payment: &'static str) -> JoinSet<End> {
    let mut rush = JoinSet::new();
    for guest in guests {
        rush.spawn(async move {
            let answer = guest.pay_in_the_end(payment, 1000).await;
            match (answer.status, answer.code()) {
                (201, _) => End::Bought(answer.body["id"].as_str().expect("an id").to_owned()),
                (409, "insufficient_stock") => End::SoldOut,
                _ => panic!("{}: {}", answer.status, answer.text),
            }
        });
    }
    rush
}

async fn check(shop: &Shop, ends: Vec<End>) {
    let orders: BTreeSet<&String> = ends
        .iter()
        .filter_map(|end| match end {
            End::Bought(id) => Some(id),
            End::SoldOut => None,
        })
        .collect();
    assert_eq!((orders.len(), ends.len()), (STOCK as usize, BUYERS), "one order a unit");
    let api = shop.api();
    let stock = api.stock("flash").await;
    let row = &stock["locations"][0];
    assert_eq!((&row["available"], &row["held"], &row["committed"]), (&0.into(), &0.into(), &STOCK.into()), "{stock}");
    assert_eq!(stock["holds"].as_array().map(Vec::len), Some(0), "{stock}");
    let listed = api.get("/v1/admin/orders?limit=100").await.expect(200).body;
    let captured: BTreeSet<&str> = listed["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter(|order| order["payment_status"] == "captured")
        .filter_map(|order| order["id"].as_str())
        .collect();
    assert_eq!(captured, orders.iter().map(|id| id.as_str()).collect(), "every order that was told is there, and no other");
    check_books(&shop.data);
}

fn check_books(data: &Path) {
    let accounts = sandbox::read(&data.join("sandbox")).expect("the provider's books");
    assert_eq!(accounts.values().filter(|account| account.net() == 1000).count(), STOCK as usize);
    assert!(accounts.values().all(|account| account.reserved() == 0 && (account.net() == 0 || account.net() == 1000)), "{accounts:?}");
    assert!(accounts.len() <= BUYERS);
}

async fn sale(folder: Folder, payment: &'static str) {
    let shop = Shop::start(&folder).await;
    let guests = buyers(&shop).await;
    let ends = rush(guests, payment).join_all().await;
    check(&shop, ends).await;
    // Without a crash nobody is asked for money who gets nothing.
    assert_eq!(sandbox::read(&shop.data.join("sandbox")).expect("the provider's books").len(), STOCK as usize);
    assert!(shop.stop().await.success());
    let (sound, says) = folder.verify();
    assert!(sound, "{says}");
}

async fn fifty_units_make_fifty_orders(folder: Folder) {
    sale(folder, "pm_card_visa").await;
}

async fn stock_is_held_while_the_payment_takes_its_time(folder: Folder) {
    sale(folder, "pm_sandbox_slow_2000").await;
}

async fn a_crash_while_the_payment_takes_its_time_loses_no_order_and_strands_no_stock(folder: Folder) {
    a_crash_in_the_middle(folder, "pm_sandbox_slow_2000", 800).await;
}

async fn a_crash_in_the_middle_loses_no_order_and_strands_no_stock(folder: Folder) {
    a_crash_in_the_middle(folder, "pm_card_visa", 40).await;
}

async fn a_crash_in_the_middle(folder: Folder, payment: &'static str, after_ms: u64) {
    let shop = Shop::start(&folder).await;
    let listen = shop.listen;
    let guests = buyers(&shop).await;
    let rush = rush(guests, payment);
    sleep(Duration::from_millis(after_ms)).await;
    shop.kill();
    let (sound, says) = folder.verify();
    assert!(sound, "{says}");
    let shop = Shop::start_again(&folder, listen).await;
    let ends = rush.join_all().await;
    check(&shop, ends).await;
}
