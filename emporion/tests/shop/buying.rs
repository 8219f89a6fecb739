//! A guest buys.

use crate::{
    api::{Api, ask, fresh_key},
    guest::Guest,
    process::{Folder, Shop},
    several::alone_and_in_a_cluster,
};
use adapters::sandbox;
use serde_json::{Value, json};
use std::path::Path;

alone_and_in_a_cluster! {
    a_guest_buys_two_units
    every_test_card_does_what_it_says
    a_repeated_request_gets_the_first_outcome_also_after_a_restart
}

/// Columns of the stock at `main`: available, held, committed.
async fn columns(api: &Api, key: &str) -> (i64, i64, i64) {
    let stock = api.stock(key).await;
    let row = stock["locations"].as_array().expect("rows").iter().find(|row| row["location"] == "main").expect("a row").clone();
    let of = |column: &str| row[column].as_i64().expect("units");
    (of("available"), of("held"), of("committed"))
}

/// What the provider took and did not give back, over all payments, and what it still has reserved.
fn charged(data: &Path) -> (i64, i64) {
    let accounts = sandbox::read(&data.join("sandbox")).expect("the provider's books");
    (accounts.values().map(sandbox::Account::net).sum(), accounts.values().map(sandbox::Account::reserved).sum())
}

async fn finds(api: &Api, query: &str) -> Vec<Value> {
    api.get(&format!("/v1/search?{query}")).await.expect(200).body["items"].as_array().expect("items").clone()
}

async fn a_guest_buys_two_units(folder: Folder) {
    let shop = Shop::start(&folder).await;
    let api = shop.api();
    api.products(&[("lamp", "Walnut desk lamp", 25), ("last", "Walnut last one", 1)]).await;
    assert_eq!(finds(&api, "q=walnut&filter=in_stock:true").await.len(), 2);

    let guest = Guest::with(&api, "lamp", 2).await;
    let cart = guest.cart().await;
    assert_eq!((&cart["status"], &cart["totals"]["total"]["amount"], &cart["problems"]), (&json!("open"), &json!(2000), &json!([])));
    let order = guest.pay("pm_card_visa").await.expect(201).body;
    assert_eq!((&order["status"], &order["payment_status"]), (&json!("open"), &json!("captured")), "{order}");
    assert_eq!(order["lines"][0]["quantities"], json!({"allocated": 2}));
    assert_eq!(order["payments"][0]["captured"], json!({"amount": 2000, "currency": "USD"}));
    assert_eq!(columns(&api, "lamp").await, (23, 0, 2));
    assert_eq!(charged(&shop.data), (2000, 0));
    let id = order["id"].as_str().expect("an id");
    assert_eq!(guest.order(id).await["number"], order["number"]);
    assert_eq!(guest.cart().await["status"], "ordered");
    assert_eq!(guest.pay("pm_card_visa").await.expect(409).code(), "cart_closed");

    // The last unit of a SKU is sold: a search that wants stock does not show it any more, at once.
    let last = Guest::with(&api, "last", 1).await;
    last.pay("pm_card_mastercard").await.expect(201);
    let in_stock = finds(&api, "q=walnut&filter=in_stock:true").await;
    assert_eq!(in_stock.iter().map(|item| &item["product"]["key"]).collect::<Vec<_>>(), ["lamp"]);
    let all = finds(&api, "q=walnut").await;
    assert_eq!(all.iter().filter(|item| item["product"]["in_stock"] == false).count(), 1, "{all:?}");

    // Cancelling gives money and stock back.
    let cancelled = guest.act(id, "cancel", &json!({"reason": "changed my mind"})).await.expect(200).body;
    assert_eq!((&cancelled["status"], &cancelled["payment_status"]), (&json!("cancelled"), &json!("refunded")), "{cancelled}");
    assert_eq!(columns(&api, "lamp").await, (25, 0, 0));
    assert_eq!(charged(&shop.data), (1000, 0));

    let data = shop.data.clone();
    assert!(shop.stop().await.success(), "{}", folder.log());
    assert!(!data.join("server.json").exists());
    let (sound, says) = folder.verify();
    assert!(sound, "{says}");
}

async fn every_test_card_does_what_it_says(folder: Folder) {
    let shop = Shop::start(&folder).await;
    let api = shop.api();
    api.products(&[("thing", "A thing", 100)]).await;
    let mut sold = 0;

    // Each row is a token, the answer's status, and the decline code.
    for (token, status, decline) in [
        ("pm_card_visa", 201, None),
        ("pm_card_mastercard", 201, None),
        ("pm_sandbox_slow_300", 201, None),
        ("pm_sandbox_lost", 201, None),
        ("pm_card_chargeDeclined", 402, Some("card_declined")),
        ("pm_card_chargeDeclinedInsufficientFunds", 402, Some("insufficient_funds")),
        ("pm_never_heard_of", 402, Some("invalid_token")),
    ] {
        let guest = Guest::with(&api, "thing", 1).await;
        let answer = guest.pay(token).await;
        assert_eq!(answer.status, status, "{token}: {}", answer.text);
        if let Some(decline) = decline {
            assert_eq!((answer.code(), &answer.body["decline_code"]), ("payment_declined", &json!(decline)), "{token}");
            assert_eq!(guest.cart().await["status"], "open", "{token}");
            guest.pay("pm_card_visa").await.expect(201);
        }
        sold += 1;
        assert_eq!(columns(&api, "thing").await, (100 - sold, 0, sold), "{token}");
    }

    // 3-D Secure: the order waits for the buyer.
    for (outcome, status) in [("success", 200), ("fail", 402)] {
        let guest = Guest::with(&api, "thing", 1).await;
        let waiting = guest.pay("pm_card_authenticationRequired").await.expect(202);
        assert_eq!(
            waiting.body["next_action"]["kind"].as_str().or_else(|| waiting.body["next_action"]["type"].as_str()),
            Some("three_d_secure"),
            "{}",
            waiting.text
        );
        assert_eq!(columns(&api, "thing").await, (99 - sold, 1, sold), "held while the buyer is at the bank");
        let order = waiting.body["id"].as_str().expect("an id");
        let answer = guest.act(order, "payment-action", &json!({"outcome": outcome})).await;
        assert_eq!(answer.status, status, "{outcome}: {}", answer.text);
        if outcome == "success" {
            assert_eq!(answer.body["payment_status"], "captured", "{}", answer.text);
            sold += 1;
        } else {
            assert_eq!(answer.body["decline_code"], "authentication_failed", "{}", answer.text);
            assert_eq!(guest.cart().await["status"], "open");
        }
        assert_eq!(columns(&api, "thing").await, (100 - sold, 0, sold), "{outcome}");
    }
    assert_eq!(charged(&shop.data), (sold * 1000, 0));
}

async fn a_repeated_request_gets_the_first_outcome_also_after_a_restart(folder: Folder) {
    let mut shop = Shop::start(&folder).await;
    let api = shop.api();
    api.products(&[("thing", "A thing", 5)]).await;
    let guest = Guest::with(&api, "thing", 1).await;
    let refused = guest.checkout("pm_card_chargeDeclined", 1000, &fresh_key("declined"));
    api.send(&refused).await.expect(402);
    let bought = guest.checkout("pm_card_visa", 1000, &fresh_key("bought"));
    let order = api.send(&bought).await.expect(201).body;
    let adjust = ask("POST", "/v1/admin/stock/adjust")
        .key(fresh_key("adjust"))
        .json(&json!({"sku": "key=thing", "location": "main", "delta": 10, "reason": "delivery"}));
    api.send(&adjust).await.expect(200);

    for crash in [false, true, false] {
        let again = api.insist(&bought).await.expect(201);
        assert!(again.is_replay(), "{:?}", again.headers);
        assert_eq!((&again.body["id"], &again.body["number"]), (&order["id"], &order["number"]));
        let declined = api.insist(&refused).await.expect(402);
        assert!(declined.is_replay() && declined.body["decline_code"] == "card_declined", "{}", declined.text);
        assert!(api.insist(&adjust).await.expect(200).is_replay());
        assert_eq!(columns(&api, "thing").await, (14, 0, 1));
        assert_eq!(charged(&shop.data), (1000, 0));
        let listen = shop.listen;
        if crash {
            shop.kill();
        } else {
            assert!(shop.stop().await.success());
        }
        shop = Shop::start_again(&folder, listen).await;
    }
    let reused = ask("POST", "/v1/carts").key("a-key-of-more-than-22-characters").json(&json!({}));
    api.insist(&reused).await.expect(201);
    let other_body = ask("POST", "/v1/carts").key("a-key-of-more-than-22-characters").json(&json!({"currency": "EUR"}));
    assert_eq!(api.insist(&other_body).await.expect(422).code(), "idempotency_key_reused");
}
