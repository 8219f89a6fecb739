//! Folders of every released version open, and say what they said then.
//!
//! Path: `folders/VERSION.tar.gz`, made once by that version → unpacked → `verify` → a shop on it → each answer of `folders/VERSION.json` is still among what
//! the shop answers (fields may have been added) → a purchase → `verify`. When the folder of this version is missing the test makes it and fails, so
//! that whoever raises the version commits it.
//! Deliberately absent from the answers: what ends by itself, such as carts left alone, and how searches rank.

use crate::{
    api::{Api, ask, fresh_key},
    guest::Guest,
    process::{Folder, Shop, verify},
};
use serde_json::{Map, Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const THIS: &str = env!("CARGO_PKG_VERSION");

fn folders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/folders")
}

#[tokio::test]
async fn folders_of_all_versions_open() {
    let made = folders().join(format!("{THIS}.tar.gz"));
    if !made.exists() {
        make(&made).await;
        panic!("{} was not there and is made: look at {THIS}.json beside it, and commit both", made.display());
    }
    let mut versions = 0;
    for entry in fs::read_dir(folders()).expect("folders") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "gz") {
            opens(&path).await;
            versions += 1;
        }
    }
    assert!(versions > 0);
}

async fn opens(packed: &Path) {
    let folder = Folder::new();
    fs::create_dir(folder.data()).expect("a folder");
    tar(&["-xzf", &packed.display().to_string(), "-C", &folder.data().display().to_string()]);
    assert_sound(&folder, packed);
    let facts = packed.display().to_string().replace(".tar.gz", ".json");
    let facts: Map<String, Value> = serde_json::from_slice(&fs::read(&facts).expect("facts")).expect("JSON");
    let shop = Shop::start(&folder).await;
    let api = shop.api();
    for (path, said) in &facts {
        let says = api.get_as_staff(path).await.expect(200).body;
        assert!(contains(&says, said), "{}: {path}\nsaid {said}\nsays {says}", packed.display());
    }
    let bought = Guest::with(&api, "lamp", 1).await.pay("pm_card_visa").await.expect(201).body;
    assert!(shop.stop().await.success());
    assert_sound(&folder, packed);
    let shop = Shop::start(&folder).await;
    let order = format!("/v1/orders/{}", bought["id"].as_str().expect("an id"));
    assert_eq!(shop.api().get_as_staff(&order).await.expect(200).body["payment_status"], "captured");
}

fn assert_sound(folder: &Folder, packed: &Path) {
    let (sound, says) = verify(&folder.data());
    assert!(sound, "{}: {says}", packed.display());
}

/// Is everything of `old` in `new`?
fn contains(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => old.iter().all(|(name, old)| new.get(name).is_some_and(|new| contains(new, old))),
        (Value::Array(new), Value::Array(old)) => new.len() == old.len() && new.iter().zip(old).all(|(new, old)| contains(new, old)),
        (new, old) => new == old,
    }
}

/// A folder with a bit of everything, part of it in snapshots and part in the log, as a crash leaves it.
async fn make(packed: &Path) {
    let folder = Folder::new();
    let shop = Shop::start(&folder).await;
    let api = shop.api();
    api.products(&[("lamp", "Brass lamp", 40), ("vase", "Blue vase", 7), ("gone", "Withdrawn", 1)]).await;
    let mut facts: Vec<String> = ["/v1/products/key=lamp", "/v1/products/key=vase", "/v1/categories"].map(str::to_owned).into();
    fill(&api, "before", &mut facts).await;
    assert!(shop.stop().await.success());
    // With another number of shards every partition begins with a snapshot.
    let shop = Shop::start_with(&folder, &["--listen", "127.0.0.1:0", "--shards", "2"]).await;
    let api = shop.api();
    api.send(&ask("DELETE", "/v1/admin/products/key=gone")).await.expect(204);
    fill(&api, "after", &mut facts).await;
    facts.extend(["lamp", "vase"].map(|key| format!("/v1/admin/stock/key={key}")));
    let mut said = Map::new();
    for path in facts {
        let answer = api.get_as_staff(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        said.insert(path, answer.body);
    }
    shop.kill();
    fs::create_dir_all(folders()).expect("a folder");
    tar(&["-czSf", &packed.display().to_string(), "-C", &folder.data().display().to_string(), "--exclude=server.json", "."]);
    let json = serde_json::to_string_pretty(&Value::Object(said)).expect("JSON");
    fs::write(packed.display().to_string().replace(".tar.gz", ".json"), json + "\n").expect("written");
}

/// An order that stands, one that was cancelled, and stock that moved.
async fn fill(api: &Api, when: &str, facts: &mut Vec<String>) {
    for (key, cancelled) in [("lamp", false), ("vase", true)] {
        let guest = Guest::with(api, key, 2).await;
        let order = guest.pay("pm_card_visa").await.expect(201).body;
        let id = order["id"].as_str().expect("an id");
        if cancelled {
            guest.act(id, "cancel", &json!({"reason": when})).await.expect(200);
        }
        facts.push(format!("/v1/orders/{id}"));
    }
    let adjust = json!({"sku": "key=lamp", "location": "main", "delta": 5, "reason": when});
    api.send(&ask("POST", "/v1/admin/stock/adjust").key(fresh_key("adjust")).json(&adjust)).await.expect(200);
    let elsewhere = json!({"sku": "key=lamp", "location": format!("store-{when}"), "delta": 3, "reason": when});
    api.send(&ask("POST", "/v1/admin/stock/adjust").key(fresh_key("adjust")).json(&elsewhere)).await.expect(200);
}

fn tar(args: &[&str]) {
    let output = Command::new("tar").args(args).output().expect("tar is there");
    assert!(output.status.success(), "tar {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
