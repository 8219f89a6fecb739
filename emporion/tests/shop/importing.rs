//! `emporion import` against a running shop, and the demo catalog.

use crate::process::{Folder, Shop, emporion};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

const ICECAT: &str = r#"{"id":"11","title":"Quill 30 Cyan","model":"Q30","description":"Cyan ink","brand":"Quill","price_cents":1295,"released":"2020-02-29","ean":["0123456789012"],"attrs":{"t_type":"Original","n_width":56.5,"b_wireless":false}}
{"id":"12","title":"Quill 30 Magenta","model":"","description":"","brand":"Quill","price_cents":1295,"released":"2020-02-29","ean":[],"attrs":{}}
"#;
const BESTBUY: &str = r#"{"id":"11","title":"Pocket phone","description":"Rings.","brand":"Telva","categories":["Phones","Prepaid"],"price_cents":4999,"popularity":21449}

{"id":"12","title":"Broken phone","description":"","brand":"Telva","categories":"Phones","price_cents":1}
this is no JSON
{"id":"13","title":"","description":"","brand":"Telva","categories":["Phones"],"price_cents":100,"popularity":1}
{"id":"14","title":"Desk phone","description":"","brand":"Telva","categories":["Phones"],"price_cents":2999,"popularity":7}
"#;
const OWN: &str = r#"{"type":"category","key":"lamps","name":"Lamps"}
{"type":"product","key":"own-1","title":"Own lamp","category":"lamps","variants":[{"key":"own-1","prices":[{"amount":500,"currency":"USD"}]}],"stock":[{"variant":"own-1","location":"main","on_hand":4}]}
{"type":"stock","sku":"key=own-1","location":"main","mode":"delta","quantity":3,"id":"delivery-1"}
"#;
const CSV: &str = "Artikel,Name,Preis,Bestand,Text\nc-1,Blue cup,7.50,9,\"Two\nlines\"\nc-2,Red cup,7.5x,9,\nc-3,Green cup,8,0,plain\n";

fn import(data: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = emporion().args(["import", "--data"]).arg(data).args(args).output().expect("the program runs");
    parts(&output)
}

fn parts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn fixture(folder: &Folder, name: &str, text: &str) -> String {
    let path: PathBuf = folder.path().join(name);
    if name.ends_with(".gz") {
        let mut gzip = flate2::write::GzEncoder::new(File::create(&path).expect("a file"), flate2::Compression::default());
        gzip.write_all(text.as_bytes()).expect("writes");
        gzip.finish().expect("writes");
    } else {
        fs::write(&path, text).expect("writes");
    }
    path.display().to_string()
}

#[tokio::test]
async fn every_format_comes_in_and_wrong_lines_are_told_by_number() {
    let folder = Folder::new();
    let shop = Shop::start(&folder).await;
    let (data, api) = (shop.data.clone(), shop.api());

    let icecat = fixture(&folder, "icecat.jsonl.gz", ICECAT);
    let (code, out, err) = import(&data, &["--format", "icecat", &icecat]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("2 created, 0 updated, 0 unchanged, 0 refused"), "{out}");
    let ink = api.get("/v1/products/key=11").await.expect(200).body;
    assert_eq!((&ink["title"], &ink["variants"][0]["price"]["amount"]), (&"Quill 30 Cyan".into(), &1295.into()));
    assert_eq!((&ink["attributes"]["n_width"], &ink["attributes"]["t_type"]), (&56.5.into(), &"Original".into()), "{ink}");
    assert_eq!(api.stock("11").await["locations"][0]["on_hand"], 25);

    // Sent again, nothing changes; one that is different changes alone, and its stock stays.
    let (code, out, _) = import(&data, &["--format", "icecat", &icecat]);
    assert!(code == Some(0) && out.starts_with("0 created, 0 updated, 2 unchanged"), "{out}");
    let dearer = fixture(&folder, "dearer.jsonl", &ICECAT.replacen("1295", "1395", 1));
    let (code, out, _) = import(&data, &["--format", "icecat", "--stock", "99", &dearer]);
    assert!(code == Some(0) && out.starts_with("0 created, 1 updated, 1 unchanged"), "{out}");
    assert_eq!(api.stock("11").await["locations"][0]["on_hand"], 25);

    let bestbuy = fixture(&folder, "bestbuy.jsonl", BESTBUY);
    let (code, out, err) = import(&data, &["--format", "bestbuy", "--stock", "7", "--key-prefix", "x-", &bestbuy]);
    assert!(code == Some(1) && out.starts_with("2 created, 0 updated, 0 unchanged, 3 refused"), "{out} {err}");
    for (line, why) in [(3, "categories is no list"), (4, "no JSON"), (5, "title")] {
        let told = err.lines().find(|told| told.contains(&format!("bestbuy.jsonl:{line}: ")));
        assert!(told.is_some_and(|told| told.contains(why)), "line {line}: {err}");
    }
    assert!(err.lines().last().is_some_and(|last| last.starts_with("emporion: 3 of 5 lines were refused")), "{err}");
    let phone = api.get("/v1/products/key=x-bb-11").await.expect(200).body;
    assert_eq!(phone["category"].as_array().expect("a path").last().expect("one")["key"], "Phones/Prepaid", "{phone}");
    assert_eq!(api.stock("x-bb-11").await["locations"][0]["on_hand"], 7);

    // Several files, one of them standard input.
    let own = fixture(&folder, "own.ndjson", OWN);
    let mut child = emporion()
        .args(["import", "--data"])
        .arg(&data)
        .args([own.as_str(), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("a pipe").write_all(format!("{OWN}nonsense\n").as_bytes()).expect("writes");
    let (code, out, err) = parts(&child.wait_with_output().expect("ends"));
    assert!(code == Some(1) && err.contains("-:4: ") && out.contains("1 refused"), "{out} {err}");
    assert_eq!(api.stock("own-1").await["locations"][0]["on_hand"], 7, "the delivery came once");

    let csv = fixture(&folder, "cups.csv", CSV);
    let map = "Artikel=key,Name=title,Preis=price,Bestand=stock,Text=description";
    let (code, out, err) = import(&data, &["--format", "csv", "--map", map, &csv]);
    assert!(code == Some(1) && out.starts_with("2 created") && err.contains("cups.csv:4: price `7.5x`"), "{out} {err}");
    let cup = api.get("/v1/products/key=c-1").await.expect(200).body;
    assert_eq!((&cup["description"], &cup["variants"][0]["price"]["amount"]), (&"Two\nlines".into(), &750.into()));

    let (code, _, err) = import(&data, &["no-such-file.ndjson"]);
    assert!(code == Some(1) && err.contains("no-such-file.ndjson cannot be read"), "{err}");
    let token = fixture(&folder, "wrong.token", "nonsense");
    let (code, _, err) = import(&data, &["--token-file", &token, &own]);
    assert!(code == Some(1) && err.contains("401") && err.contains("emporion token"), "{err}");
    let support = emporion().args(["token", "--role", "support", "--data"]).arg(&data).output().expect("runs");
    let token = fixture(&folder, "support.token", &String::from_utf8_lossy(&support.stdout));
    let (code, _, err) = import(&data, &["--token-file", &token, &own]);
    assert!(code == Some(1) && err.contains("403"), "{err}");
}

#[tokio::test]
async fn the_demo_catalog_is_there_when_the_shop_is_ready() {
    let folder = Folder::new();
    let shop = Shop::start_with(&folder, &["--listen", "127.0.0.1:0", "--demo"]).await;
    let total = async |shop: &Shop| shop.api().get("/v1/search?q=&total=true&limit=1").await.expect(200).body["total"].clone();
    assert_eq!(total(&shop).await, 10_000);
    let found = shop.api().get("/v1/search?q=desk+lamp&filter=in_stock:true&facets=brand&limit=5").await.expect(200).body;
    assert_eq!(found["items"].as_array().map(Vec::len), Some(5), "{found}");
    let listen = shop.listen;
    assert!(shop.stop().await.success());
    // The second time the catalog is not empty, and stays as it is.
    let shop = Shop::start_with(&folder, &["--listen", &listen.to_string(), "--demo"]).await;
    assert_eq!(total(&shop).await, Value::from(10_000));
    assert!(folder.log().contains("not empty"), "{}", folder.log());
}
