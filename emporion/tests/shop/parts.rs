//! A shop of several processes: an engine, two gateways and a payment adapter, from invitations.

use crate::{
    api::{Api, fresh_key},
    bad_starts::{one_line, told},
    guest::Guest,
    process::{Folder, PATIENCE, emporion, run, verify},
    several::{adapter, charged, engine, free, gateway, invited, readyz},
};
use std::{fs, path::PathBuf, process::Command, time::Duration};
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn two_gateways_and_an_adapter_are_one_shop() {
    let folder = Folder::new();
    // The first start makes the keys that invitations are made from.
    let first = engine(&folder, "127.0.0.1:0").ready(&folder).await;
    let wire = first.listen.to_string();
    let [web_1, web_2, pay] =
        [("gateway", "web-1"), ("gateway", "web-2"), ("adapter", "pay")].map(|(kind, name)| invited(&folder, kind, name));
    let minted = run(&["token", "--role", "admin", "--data", &folder.data().display().to_string()]);
    assert!(minted.status.success());
    assert!(first.stop().await.success(), "{}", folder.log());

    // They start before the engine, in any order, and wait for it.
    let listen = free();
    let one = gateway(&folder, "web-1", &listen.to_string(), Some(&web_1));
    let adapter = adapter(&folder, Some(&pay));
    while !one.data.join("dev-ca.pem").exists() {
        sleep(Duration::from_millis(10)).await;
    }
    for web in ["web-1", "web-2"] {
        fs::create_dir_all(folder.path().join(web)).expect("a folder");
        fs::write(folder.path().join(web).join("admin.token"), &minted.stdout).expect("writes");
    }
    let a = Api::http2(&one.data, listen);
    readyz(&folder, &a, 503).await;
    assert!(!one.data.join("server.json").exists());
    let until = Instant::now() + PATIENCE;
    while !folder.log().contains("no engine answers at 127.0.0.1:") {
        assert!(Instant::now() < until, "{}", folder.log());
        sleep(Duration::from_millis(20)).await;
    }
    let behind = engine(&folder, &wire).ready(&folder).await;
    let one = one.ready(&folder).await;
    readyz(&folder, &a, 200).await;
    let two = gateway(&folder, "web-2", "127.0.0.1:0", Some(&web_2)).ready(&folder).await;
    let b = two.api();
    for web in [&one, &two] {
        let ca = |data: &PathBuf| fs::read_to_string(data.join("dev-ca.pem")).expect("a certificate");
        assert_eq!(ca(&web.data), ca(&folder.data()), "clients trust one authority");
    }

    // Each step of a purchase at the other gateway than the one before.
    a.products(&[("lamp", "Walnut desk lamp", 25)]).await;
    let guest = Guest::with(&a, "lamp", 1).await;
    guest.at(&b).add("lamp", 1).await.expect(200);
    let checkout = guest.checkout("pm_card_visa", 2000, &fresh_key("checkout"));
    let order = b.send(&checkout).await.expect(201).body;
    assert_eq!(order["payment_status"], "captured", "{order}");
    let again = a.send(&checkout).await.expect(201);
    assert!(again.is_replay() && again.body["id"] == order["id"], "{}", again.text);
    assert_eq!(guest.order(order["id"].as_str().expect("an id")).await["number"], order["number"]);
    assert_eq!(b.stock("lamp").await["locations"][0]["committed"], 2);
    assert_eq!(charged(&folder), 2000);

    // One stops in order; the other goes on. A crash of the engine is seen through.
    assert!(one.stop().await.success(), "{}", folder.log());
    assert!(!folder.path().join("web-1/server.json").exists());
    let other = Guest::with(&b, "lamp", 3).await;
    behind.kill();
    readyz(&folder, &b, 503).await;
    let behind = engine(&folder, &wire).ready(&folder).await;
    assert_eq!(other.pay_in_the_end("pm_card_mastercard", 3000).await.expect(201).body["payment_status"], "captured");
    assert_eq!(charged(&folder), 5000);

    // What was given once need not be given again.
    let one = gateway(&folder, "web-1", &listen.to_string(), None).ready(&folder).await;
    assert_eq!(other.at(&one.api()).cart().await["status"], "ordered");
    for part in [one, two, adapter, behind] {
        assert!(part.stop().await.success(), "{}", folder.log());
    }
    let (sound, says) = verify(&folder.data());
    assert!(sound, "{says}");
}

#[tokio::test]
async fn parts_that_cannot_start_say_why() {
    let folder = Folder::new();
    let begin = |data: &str, args: &[&str]| -> Command {
        let mut command = emporion();
        command.args(args).arg("--data").arg(folder.path().join(data)).env("EMPORION_LOG", "error");
        command
    };
    let said = |mut command: Command| told(&command.output().expect("the program runs"));
    one_line(said(begin("data", &["cluster", "invite", "--for", "gateway"])), 1, &["has no keys/token.key", "emporion engine --data"]);
    one_line(said(begin("web", &["gateway"])), 2, &["has no invitation yet", "--invitation FILE", "--for gateway"]);
    one_line(said(begin("web", &["gateway", "--invitation", "/nowhere"])), 1, &["no invitation /nowhere", "--for gateway"]);
    one_line(said(begin("web", &["gateway", "--engine", "here"])), 2, &["--engine", "no HOST:PORT"]);
    one_line(said(begin("web", &["gateway", "--hedge-ms", "0"])), 2, &["--hedge-ms"]);
    assert!(!folder.path().join("web").exists());

    let engine = engine(&folder, "127.0.0.1:0").ready(&folder).await;
    let [web, pay] = ["gateway", "adapter"].map(|kind| invited(&folder, kind, kind).display().to_string());
    one_line(said(begin("data", &["cluster", "invite", "--for", "gateway", "--out", &web])), 1, &["is there already"]);
    one_line(said(begin("data", &["cluster", "invite", "--for", "gateway", "--name", "A B"])), 2, &["--name", "a-z 0-9"]);
    one_line(said(begin("web", &["gateway", "--invitation", &pay])), 1, &["an invitation for an adapter, and not for a gateway"]);
    one_line(said(begin("data", &["gateway", "--invitation", &web])), 2, &["is an engine's folder"]);
    let gateway = gateway(&folder, "web", "127.0.0.1:0", Some(&PathBuf::from(&web))).ready(&folder).await;
    one_line(said(begin("web", &["gateway", "--listen", "127.0.0.1:0"])), 1, &["in use by another process", "--data"]);
    one_line(said(begin("web", &["import", "x.ndjson"])), 2, &["mints no tokens", "--token-file"]);
    assert!(engine.stop().await.success(), "{}", folder.log());
    one_line(said(begin("data", &["cluster", "invite", "--for", "gateway"])), 2, &["no engine runs on", "--engine HOST:PORT"]);
    let text = begin("data", &["cluster", "invite", "--for", "gateway", "--engine", "shop.example:7443"]).output().expect("runs").stdout;
    let invitation: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(invitation["engines"], serde_json::json!(["shop.example:7443"]));
    assert!(gateway.stop().await.success(), "{}", folder.log());
}
