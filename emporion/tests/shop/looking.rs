//! What an operator sees of a folder when no shop runs on it.

use crate::{
    api::{ask, fresh_key},
    guest::Guest,
    process::{Folder, Shop, run},
};
use serde_json::{Value, json};

/// `emporion log dump`: whether it did it, its lines, and what it says beside them.
fn dump(data: &std::path::Path, args: &[&str]) -> (bool, Vec<Value>, String) {
    let data = data.display().to_string();
    let output = run(&[&["log", "dump", &data], args].concat());
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect();
    (output.status.success(), lines, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_position_leads_to_the_command_behind_an_answer() {
    let folder = Folder::new();
    let shop = Shop::start(&folder).await;
    let api = shop.api();
    api.products(&[("lamp", "Lamp", 5)]).await;
    let adjust = ask("POST", "/v1/admin/stock/adjust")
        .key(fresh_key("adjust"))
        .json(&json!({"sku": "key=lamp", "location": "main", "delta": 7, "reason": "found behind the shelf"}));
    let answer = api.send(&adjust).await.expect(200);
    Guest::with(&api, "lamp", 1).await;
    assert!(shop.stop().await.success());

    // `epoch.partition:seq`
    let position = answer.headers["log-position"].clone();
    let (partition, seq) = position.split_once('.').and_then(|(_, place)| place.split_once(':')).expect("a position");
    let (done, lines, _) = dump(&folder.data(), &["--partition", partition, "--from", seq, "--to", seq]);
    let [line] = &lines[..] else { panic!("one entry: {lines:?}") };
    assert!(done && line["name"] == "AdjustStock" && line["index"] == seq.parse::<u64>().expect("a number"), "{line}");
    assert!(line["command"].as_str().expect("a text").contains("found behind the shelf"), "{line}");
    assert!(line["at"].as_str().expect("a time").ends_with('Z') && line["idempotency"].is_string(), "{line}");

    // All partitions together have what was done, in order, and nothing personal in plain.
    let mut names = Vec::new();
    for partition in 0..64 {
        let (done, lines, _) = dump(&folder.data(), &["--partition", &partition.to_string()]);
        assert!(done);
        let indexes: Vec<u64> = lines.iter().filter_map(|line| line["index"].as_u64()).collect();
        assert!(indexes.iter().copied().eq(1..=indexes.len() as u64), "{indexes:?}");
        assert!(!lines.iter().any(|line| line.to_string().contains("Ada")), "an address is sealed");
        names.extend(lines.iter().map(|line| line["name"].as_str().expect("a name").to_owned()));
    }
    for wanted in ["PutProduct", "OpenStock", "AdjustStock", "CreateCart", "AddLine", "SetAddress"] {
        assert!(names.iter().any(|name| name == wanted), "{wanted} in {names:?}");
    }

    let (done, _, says) = dump(&folder.data(), &["--partition", "64"]);
    assert!(!done && says.contains("there is no partition 64: this folder has 64, numbered from 0"), "{says}");
}
