//! A cluster of three engines, with two gateways and a payment adapter in front of it.

use crate::{
    api::Api,
    bad_starts::{fails, one_line, told},
    guest::Guest,
    process::{Folder, PATIENCE, Shop},
    several::{NODES, Places, charged, cluster, engine, free, invited, readyz, succeeds, well},
};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};
use tokio::time::{Instant, sleep};

/// What a node says of all.
fn status(folder: &Folder, node: usize) -> (bool, Value) {
    let output = cluster(&Places::data(folder, node), &["status", "--json"]);
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

/// Buys units, each call at another gateway than the one before.
async fn buys(one: &Api, other: &Api, quantity: u32, token: &str) {
    let guest = Guest::with(one, "lamp", quantity).await;
    let bought = guest.at(other).pay_in_the_end(token, i64::from(quantity) * 1000).await.expect(201).body;
    assert_eq!(bought["payment_status"], "captured", "{bought}");
    assert_eq!(guest.order(bought["id"].as_str().expect("an id")).await["number"], bought["number"]);
}

#[tokio::test]
async fn a_cluster_sells_while_its_nodes_come_and_go() {
    let folder = Folder::cluster();
    let mut shop = Shop::start(&folder).await;
    let (a, b) = (Api::http2(&shop.data, shop.listen), Api::http2(&shop.behind[0].data, shop.behind[0].listen));
    a.products(&[("lamp", "Walnut desk lamp", 100)]).await;
    buys(&a, &b, 1, "pm_card_visa").await;
    buys(&b, &a, 2, "pm_card_mastercard").await;
    let mut sold = 3;

    for node in 0..NODES.len() {
        // Behind the other gateway and the adapter.
        shop.behind.remove(2 + node).kill();
        let until = Instant::now() + PATIENCE;
        // The others notice, and lead what it led.
        loop {
            let (well, status) = status(&folder, (node + 1) % NODES.len());
            if status["nodes"][node]["state"] == "down" && status["without_leader"] == json!([]) {
                assert!(!well, "a node is down");
                break;
            }
            assert!(Instant::now() < until, "{status}: {}", folder.log());
            sleep(Duration::from_millis(100)).await;
        }
        buys(&a, &b, 1, "pm_card_visa").await;
        sold += 1;
        shop.behind.insert(2 + node, folder.places().engine(&folder, node).ready(&folder).await);
        well(&folder).await;
    }
    readyz(&folder, &a, 200).await;
    let stock = b.stock("lamp").await;
    assert_eq!((&stock["locations"][0]["available"], &stock["locations"][0]["committed"]), (&json!(100 - sold), &json!(sold)));
    assert_eq!(charged(&folder), sold * 1000);
    assert!(shop.stop().await.success(), "{}", folder.log());
}

#[tokio::test]
async fn operators_say_what_becomes_of_a_node() {
    let folder = Folder::cluster();
    let data = |node: usize| Places::data(&folder, node);
    let _engines = folder.places().engines(&folder).await;
    let said = |node: usize, args: &[&str]| told(&cluster(&data(node), args));

    succeeds(&cluster(&data(0), &["drain", "b"]));
    let until = Instant::now() + PATIENCE;
    loop {
        let (_, status) = status(&folder, 0);
        let b = &status["nodes"][1];
        if b["leads"] == 0 && b["state"] == "draining" && status["without_leader"] == json!([]) {
            break;
        }
        assert!(Instant::now() < until, "{status}: {}", folder.log());
        sleep(Duration::from_millis(100)).await;
    }
    succeeds(&cluster(&data(2), &["resume", "2"]));
    succeeds(&cluster(&data(2), &["move", "c", "--zone", "attic"]));
    well(&folder).await;
    assert_eq!(status(&folder, 0).1["nodes"][2]["zone"], "attic");
    let table = cluster(&data(1), &["status"]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("all 64 partitions are led"), "{table:?}");

    one_line(said(0, &["drain", "x"]), 1, &["there is no node x: there are a, b, c"]);
    one_line(said(0, &["move", "a"]), 2, &["--address, --zone or --region"]);
    one_line(fails(&data(0), &[]), 1, &["is node 1 of a cluster", "emporion engine --data", "emporion gateway"]);
    one_line(said(0, &["init", "--name", "a", "--address", "127.0.0.1:1"]), 1, &["in use by process"]);
    let invitation = invited(&folder, "node", "again").display().to_string();
    let join =
        |data: &Path, name: &str| told(&cluster(data, &["join", "--invitation", &invitation, "--name", name, "--address", "127.0.0.1:1"]));
    one_line(join(&data(1), "d"), 1, &["is node 2 of a cluster already"]);
    one_line(join(&folder.path().join("d"), "b"), 1, &["node 2 runs under the name `b`", "--name"]);
    assert!(!folder.path().join("d").exists());

    // Interrupted before the folder was whole, it is repeated: another number, under the same name.
    let d = folder.path().join("d");
    assert_eq!(join(&d, "d"), (Some(0), String::new()));
    fs::remove_file(d.join("folder.json")).expect("removed");
    assert_eq!(join(&d, "d"), (Some(0), String::new()));
    nodes(&folder, &[1, 2, 3, 5]).await;
    one_line(join(&d, "d"), 1, &["is node 5 of a cluster already"]);
    succeeds(&cluster(&data(1), &["remove", "d"]));
    nodes(&folder, &[1, 2, 3]).await;
    well(&folder).await;
    succeeds(&cluster(&data(0), &["remove", "c"]));
    nodes(&folder, &[1, 2]).await;
}

/// Waits until there are these nodes.
async fn nodes(folder: &Folder, wanted: &[u64]) {
    let until = Instant::now() + PATIENCE;
    loop {
        let (_, status) = status(folder, 0);
        let nodes = status["nodes"].as_array().map(|nodes| nodes.iter().filter_map(|node| node["id"].as_u64()).collect());
        if nodes == Some(wanted.to_vec()) {
            return;
        }
        assert!(Instant::now() < until, "{wanted:?} in {status}: {}", folder.log());
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_engine_alone_is_no_cluster() {
    let folder = Folder::new();
    let data = folder.data();
    let said = |args: &[&str]| told(&cluster(&data, args));
    one_line(said(&["status"]), 1, &["is no folder of a cluster's node", "emporion cluster init"]);
    let engine = engine(&folder, "127.0.0.1:0").ready(&folder).await;
    one_line(said(&["invite", "--for", "node"]), 2, &["is alone", "emporion cluster init"]);
    one_line(said(&["drain", "a"]), 1, &["is no folder of a cluster's node"]);
    assert!(engine.stop().await.success(), "{}", folder.log());
    one_line(said(&["init", "--name", "a", "--address", "here"]), 2, &["--address", "no HOST:PORT"]);
    succeeds(&cluster(&data, &["init", "--name", "a", "--address", &free().to_string()]));
    one_line(said(&["init", "--name", "a", "--address", "127.0.0.1:1"]), 1, &["is node 1 of a cluster already"]);
    one_line(said(&["status"]), 1, &["no node answers at 127.0.0.1:"]);
}
