//! A cluster of three engines, with two gateways and a payment adapter in front of it.

use crate::{
    api::Api,
    bad_starts::{fails, one_line, told},
    guest::Guest,
    process::{Folder, PATIENCE, Shop, emporion, run},
    several::{charged, free, gateway, invited_at, readyz},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Names of the nodes.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Three nodes, by name.
struct Cluster {
    folder: Folder,
    nodes: Vec<Option<Shop>>,
}

impl Cluster {
    async fn start() -> Self {
        let folder = Folder::new();
        let addresses = NAMES.map(|_| free());
        let mut cluster = Self { folder, nodes: Vec::new() };
        let place = |node: usize| ["--name", NAMES[node], "--address"].map(str::to_owned).into_iter().chain([addresses[node].to_string()]);
        succeeds(&cluster.cluster(0, &["init"], place(0)));
        cluster.nodes.push(Some(cluster.engine(0).ready(&cluster.folder).await));
        let invitation = invited_at(&cluster.folder, &cluster.data(0), "node", "further");
        for node in 1..NAMES.len() {
            let invitation = ["--invitation".to_owned(), invitation.display().to_string()];
            succeeds(&cluster.cluster(node, &["join", "--shards", "1"], place(node).chain(invitation)));
            cluster.nodes.push(Some(cluster.engine(node).ready(&cluster.folder).await));
        }
        cluster.well().await;
        cluster
    }

    fn data(&self, node: usize) -> PathBuf {
        self.folder.path().join(NAMES[node])
    }

    /// Starts the engine of a node.
    fn engine(&self, node: usize) -> Shop {
        Shop::begin_part(&self.folder, self.data(node), &["engine", "--shards", "1"])
    }

    /// `emporion cluster` with the folder of a node.
    fn cluster(&self, node: usize, args: &[&str], more: impl IntoIterator<Item = String>) -> Output {
        emporion().arg("cluster").args(args).args(more).arg("--data").arg(self.data(node)).output().expect("the program runs")
    }

    /// What the node says of all.
    fn status(&self, node: usize) -> (bool, Value) {
        let output = self.cluster(node, &["status", "--json"], []);
        (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
    }

    /// Waits until all nodes say that all three are up and everything is led.
    async fn well(&self) {
        let until = Instant::now() + PATIENCE;
        for node in 0..NAMES.len() {
            loop {
                let (well, status) = self.status(node);
                if well && status["nodes"].as_array().is_some_and(|nodes| nodes.len() == NAMES.len()) {
                    break;
                }
                assert!(Instant::now() < until, "{status}: {}", self.folder.log());
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Starts a gateway, whose folder has an admin's token for those who ask it.
    async fn gateway(&self, name: &str) -> Shop {
        let invitation = invited_at(&self.folder, &self.data(1), "gateway", name);
        let gateway = gateway(&self.folder, name, "127.0.0.1:0", Some(&invitation)).ready(&self.folder).await;
        let minted = run(&["token", "--role", "admin", "--data", &self.data(2).display().to_string()]);
        fs::write(gateway.data.join("admin.token"), &minted.stdout).expect("writes");
        gateway
    }

    fn adapter(&self) -> Shop {
        let invitation = invited_at(&self.folder, &self.data(2), "adapter", "pay").display().to_string();
        Shop::begin_part(&self.folder, self.folder.path().join("pay"), &["adapter", "--invitation", &invitation])
    }
}

#[track_caller]
fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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
    let mut cluster = Cluster::start().await;
    let (one, two) = (cluster.gateway("web-1").await, cluster.gateway("web-2").await);
    let adapter = cluster.adapter();
    let (a, b) = (one.api(), two.api());
    a.products(&[("lamp", "Walnut desk lamp", 100)]).await;
    buys(&a, &b, 1, "pm_card_visa").await;
    buys(&b, &a, 2, "pm_card_mastercard").await;
    let mut sold = 3;

    for node in 0..NAMES.len() {
        if let Some(engine) = cluster.nodes[node].take() {
            engine.kill();
        }
        let until = Instant::now() + PATIENCE;
        let other = (node + 1) % NAMES.len();
        // The others notice, and lead what it led.
        loop {
            let (well, status) = cluster.status(other);
            if status["nodes"][node]["state"] == "down" && status["without_leader"] == json!([]) {
                assert!(!well, "a node is down");
                break;
            }
            assert!(Instant::now() < until, "{status}: {}", cluster.folder.log());
            sleep(Duration::from_millis(100)).await;
        }
        buys(&a, &b, 1, "pm_card_visa").await;
        sold += 1;
        cluster.nodes[node] = Some(cluster.engine(node).ready(&cluster.folder).await);
        cluster.well().await;
    }
    readyz(&cluster.folder, &a, 200).await;
    let stock = b.stock("lamp").await;
    assert_eq!((&stock["locations"][0]["available"], &stock["locations"][0]["committed"]), (&json!(100 - sold), &json!(sold)));
    assert_eq!(charged(&cluster.folder), sold * 1000);
    for part in [one, two, adapter].into_iter().chain(cluster.nodes.into_iter().flatten()) {
        assert!(part.stop().await.success(), "{}", cluster.folder.log());
    }
}

#[tokio::test]
async fn operators_say_what_becomes_of_a_node() {
    let cluster = Cluster::start().await;
    let said = |node: usize, args: &[&str]| told(&cluster.cluster(node, args, []));
    let leads = |status: &Value, node: usize| status["nodes"][node]["leads"].as_u64();

    succeeds(&cluster.cluster(0, &["drain", "b"], []));
    let until = Instant::now() + PATIENCE;
    loop {
        let (_, status) = cluster.status(0);
        if leads(&status, 1) == Some(0) && status["nodes"][1]["state"] == "draining" && status["without_leader"] == json!([]) {
            break;
        }
        assert!(Instant::now() < until, "{status}: {}", cluster.folder.log());
        sleep(Duration::from_millis(100)).await;
    }
    succeeds(&cluster.cluster(2, &["resume", "2"], []));
    succeeds(&cluster.cluster(2, &["move", "c", "--zone", "attic"], []));
    cluster.well().await;
    assert_eq!(cluster.status(0).1["nodes"][2]["zone"], "attic");
    let table = cluster.cluster(1, &["status"], []);
    assert!(String::from_utf8_lossy(&table.stdout).contains("all 64 partitions are led"), "{table:?}");

    one_line(said(0, &["drain", "x"]), 1, &["there is no node x: there are a, b, c"]);
    one_line(said(0, &["move", "a"]), 2, &["--address, --zone or --region"]);
    one_line(fails(&cluster.data(0), &[]), 1, &["is node 1 of a cluster", "emporion engine --data", "emporion gateway"]);
    let again = ["--name", "a", "--address", "127.0.0.1:1"];
    one_line(said(0, &[&["init"][..], &again].concat()), 1, &["in use by process"]);
    let invitation = invited_at(&cluster.folder, &cluster.data(0), "node", "again").display().to_string();
    let join = |data: &Path, name: &str| {
        let args = ["join", "--invitation", &invitation, "--name", name, "--address", "127.0.0.1:1"];
        told(&emporion().arg("cluster").args(args).arg("--data").arg(data).output().expect("runs"))
    };
    one_line(join(&cluster.data(1), "d"), 1, &["is node 2 of a cluster already"]);
    one_line(join(&cluster.folder.path().join("d"), "b"), 1, &["node 2 runs under the name `b`", "--name"]);
    assert!(!cluster.folder.path().join("d").exists());

    succeeds(&cluster.cluster(0, &["remove", "c"], []));
    let until = Instant::now() + PATIENCE;
    while cluster.status(0).1["nodes"].as_array().is_none_or(|nodes| nodes.len() != 2) {
        assert!(Instant::now() < until, "{}", cluster.folder.log());
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_engine_alone_is_no_cluster() {
    let folder = Folder::new();
    let data = folder.data();
    let said = |args: &[&str]| told(&emporion().arg("cluster").args(args).arg("--data").arg(&data).output().expect("runs"));
    one_line(said(&["status"]), 1, &["is no folder of a cluster's node", "emporion cluster init"]);
    let engine = crate::several::engine(&folder, "127.0.0.1:0").ready(&folder).await;
    one_line(said(&["invite", "--for", "node"]), 2, &["is alone", "emporion cluster init"]);
    one_line(said(&["drain", "a"]), 1, &["is no folder of a cluster's node"]);
    assert!(engine.stop().await.success(), "{}", folder.log());
    one_line(said(&["init", "--name", "a", "--address", "here"]), 2, &["--address", "no HOST:PORT"]);
    assert!(
        emporion()
            .args(["cluster", "init", "--name", "a", "--address", &free().to_string(), "--data"])
            .arg(&data)
            .output()
            .expect("runs")
            .status
            .success()
    );
    one_line(said(&["init", "--name", "a", "--address", "127.0.0.1:1"]), 1, &["is node 1 of a cluster already"]);
    one_line(said(&["status"]), 1, &["no node answers at 127.0.0.1:"]);
}
