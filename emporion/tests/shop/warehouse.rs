//! The warehouse over HTTP, with the shop killed between the calls.

use crate::{
    api::{Answer, Api, ask},
    process::{Folder, Shop},
    several::alone_and_in_a_cluster,
};
use serde_json::{Value, json};

alone_and_in_a_cluster! { goods_go_to_other_locations_over_a_kill suppliers_announce_and_policies_show }

/// A call that moves stock, insisted on under its own key.
async fn moves(api: &Api, path: &str, key: &str, body: Value) -> Answer {
    api.insist(&ask("POST", format!("/v1/admin/stock/{path}")).key(key).json(&body)).await
}

/// On hand and in transit of a SKU over all locations.
async fn everywhere(api: &Api, key: &str) -> i64 {
    let stock = api.stock(key).await;
    let rows = stock["locations"].as_array().expect("rows").iter();
    rows.map(|row| row["on_hand"].as_i64().expect("units") + row["in_transit"].as_i64().expect("units")).sum()
}

async fn row(api: &Api, key: &str, location: &str) -> Value {
    let stock = api.stock(key).await;
    stock["locations"].as_array().expect("rows").iter().find(|row| row["location"] == location).expect("a row").clone()
}

// Locations enough that some are on other partitions and shards than `main`.
async fn goods_go_to_other_locations_over_a_kill(folder: Folder) {
    let shop = Shop::start(&folder).await;
    let listen = shop.listen;
    let api = shop.api();
    api.products(&[("lamp", "Walnut desk lamp", 60)]).await;
    let mut transfers = Vec::new();
    for n in 0..6 {
        let body = json!({"from": "main", "to": format!("shop-{n}"), "lines": [{"sku": "key=lamp", "quantity": 5}]});
        let sent = moves(&api, "transfers", &format!("send-{n}"), body).await.expect(201).body;
        transfers.push(sent["transfer"].as_str().expect("an id").to_owned());
    }
    assert_eq!((row(&api, "lamp", "main").await["available"].as_i64(), everywhere(&api, "lamp").await), (Some(30), 60));
    let arrive = |n: usize| {
        let path = format!("transfers/{}/arrive", transfers[n]);
        (path, json!({"lines": [{"sku": "key=lamp", "whole": 3, "damaged": 1, "lost": 1}]}))
    };
    for n in 0..3 {
        let (path, body) = arrive(n);
        let done = moves(&api, &path, &format!("arrive-{n}"), body).await.expect(200).body;
        assert_eq!((&done["units"], &done["left"], &done["arriving"]), (&json!(4), &json!(0), &json!(0)));
    }
    // Sent and not waited for: the kill comes in between.
    let (path, body) = arrive(3);
    let late = ask("POST", format!("/v1/admin/stock/{path}")).key("arrive-3").json(&body);
    let (other, asked) = (api.clone(), late.clone());
    let flying = tokio::spawn(async move { other.try_send(&asked).await.is_ok() });
    tokio::task::yield_now().await;
    shop.kill();
    flying.await.expect("it ends");

    let shop = Shop::start_again(&folder, listen).await;
    let api = shop.api();
    let done = api.insist(&late).await.expect(200).body;
    assert_eq!((&done["left"], &done["arriving"]), (&json!(0), &json!(0)));
    assert!(moves(&api, &arrive(0).0, "arrive-0", arrive(0).1).await.expect(200).is_replay());
    assert_eq!(everywhere(&api, "lamp").await, 60 - 4, "four are lost, and no other");
    let there = row(&api, "lamp", "shop-3").await;
    assert_eq!((&there["available"], &there["unavailable_by_reason"]["damaged"]), (&json!(3), &json!(1)));
    moves(&api, &format!("transfers/{}/recall", transfers[4]), "recall", json!({})).await.expect(200);
    assert_eq!((row(&api, "lamp", "main").await["available"].as_i64(), everywhere(&api, "lamp").await), (Some(35), 56));

    let check = api.send(&ask("POST", "/v1/admin/stock/check").json(&json!({}))).await.expect(200).body;
    assert_eq!((&check["ok"], &check["broken"]), (&json!(true), &json!([])), "{check}");
    let history = api.get("/v1/admin/stock/history?location=main&limit=100").await.expect(200).body;
    let sent = history["items"].as_array().expect("items").iter().filter(|item| item["from"] == "available").count();
    assert_eq!(sent, 6, "{history}");
    shop.stop().await;
    let (whole, told) = folder.verify();
    assert!(whole, "{told}");
}

async fn suppliers_announce_and_policies_show(folder: Folder) {
    let shop = Shop::start(&folder).await;
    let api = shop.api();
    api.products(&[("lamp", "Walnut desk lamp", 4)]).await;
    let lines = json!([{"sku": "key=lamp", "quantity": 10}]);
    let body = json!({"location": "main", "due": "2030-01-01T08:00:00Z", "reference": "ASN-1", "lines": lines});
    let announced = moves(&api, "announcements", "a", body).await.expect(201).body;
    let id = announced["announcement"].as_str().expect("an id");
    let main = row(&api, "lamp", "main").await;
    assert_eq!((&main["incoming"], &main["expected"][0]["due"]), (&json!(10), &json!("2030-01-01T08:00:00Z")));
    let came = moves(&api, "deliveries", "d", json!({"location": "main", "announcement": id, "lines": lines})).await.expect(200).body;
    assert_eq!((&came["units"], &came["left"]), (&json!(10), &json!(0)));
    let apart = json!({"sku": "key=lamp", "location": "main", "action": "set_apart", "reason": "safety", "quantity": 2});
    let stock = moves(&api, "unavailable", "u", apart).await.expect(200).body;
    assert_eq!(stock["locations"][0]["unavailable_by_reason"]["safety"], 2);
    let wrong = json!({"sku": "key=lamp", "location": "main", "action": "write_off", "reason": "damaged", "quantity": 1});
    assert_eq!(moves(&api, "unavailable", "w", wrong).await.expect(409).code(), "too_few_apart");

    let policy = json!({"backorder": {"limit": 3}, "low_stock": 5});
    api.send(&ask("PUT", "/v1/admin/stock/key=lamp/policies/main").json(&policy)).await.expect(200);
    let product = api.get("/v1/products/key=lamp").await.expect(200).body;
    assert_eq!(product["variants"][0]["availability"]["backorder"], true);
    let adjust = json!({"sku": "key=lamp", "location": "main", "delta": -8, "reason": "count"});
    let stock = moves(&api, "adjust", "c", adjust).await.expect(200).body;
    assert_eq!((&stock["locations"][0]["available"], &stock["locations"][0]["low_stock"]), (&json!(4), &json!(5)));
    let events = api.get("/v1/admin/stock/events?location=main").await.expect(200).body;
    assert_eq!((&events["items"][0]["kind"], &events["items"][0]["available"]), (&json!("low_stock"), &json!(4)));
    let limit = api.send(&ask("PUT", "/v1/admin/stock/key=lamp/purchase-limit").json(&json!({"per_order": 2}))).await.expect(200).body;
    assert_eq!(limit["purchase_limit"], json!({"per_order": 2, "per_customer": null}));
}
