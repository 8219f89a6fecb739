//! What the lock file and the README must keep to, checked where nobody can forget it.
//!
//! Advisory databases cannot be asked in a build without a network, so the versions below which a dependency is known to be at fault are
//! written here, each with its reason. Raise one when an advisory appears; `SECURITY.md` points to this table.

use std::{collections::BTreeMap, fs, path::Path};

/// Package, least version that is not known to be at fault, and what happens below it.
const FLOORS: &[(&str, [u64; 3], &str)] = &[
    ("quinn-proto", [0, 11, 19], "remote panics and memory exhaustion: RUSTSEC-2026-0037, -0185, -0338 to -0342"),
    ("rustls", [0, 23, 46], "RUSTSEC-2026-0285, -0346 to -0349"),
    ("rustls-webpki", [0, 103, 16], "certificates accepted that are not valid, panics: RUSTSEC-2026-0049, -0098, -0099, -0104, -0382"),
    ("h2", [0, 4, 4], "endless CONTINUATION frames exhaust the processor: RUSTSEC-2024-0332"),
    ("tungstenite", [0, 20, 1], "headers of any length exhaust the processor: RUSTSEC-2023-0065"),
    ("ctutils", [0, 4, 4], "RUSTSEC-2026-0385"),
];

/// The floors that must be met by something: without these packages the program would not be what it is.
const PRESENT: &[&str] = &["quinn-proto", "rustls", "rustls-webpki", "h2"];

/// Packages that must not come in, and why.
const ABSENT: &[(&str, &str)] = &[
    ("openssl-sys", "TLS is rustls with aws-lc-rs; a second TLS library is a second set of faults"),
    ("native-tls", "TLS is rustls with aws-lc-rs; a second TLS library is a second set of faults"),
];

/// Who may have `protobuf`, whose decoding of bytes from a network never ends (RUSTSEC-2024-0437): the consensus library, which keeps its own types in it, and the engine's
/// `replication`, which makes those from types of our own. `protobuf-build` and `protobuf-codegen` run at build time.
const PROTOBUF: &[&str] = &["engine", "raft", "raft-proto", "protobuf-build", "protobuf-codegen"];

struct Package {
    version: [u64; 3],
    text: String,
    pre_release: bool,
}

/// Semantic Versioning 2.0.0: `major.minor.patch`, then `-pre`, then `+build`.
fn package(text: &str) -> Package {
    let core = text.split('+').next().unwrap_or(text);
    let (core, pre_release) = core.split_once('-').map_or((core, false), |(core, _)| (core, true));
    let mut numbers = core.split('.').map(|number| number.parse().unwrap_or_else(|_| panic!("{text} is no version")));
    let mut next = || numbers.next().unwrap_or_else(|| panic!("{text} is no version"));
    Package { version: [next(), next(), next()], text: text.to_owned(), pre_release }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// Every package of the lock file; a name may have several versions.
fn locked() -> BTreeMap<String, Vec<Package>> {
    let text = fs::read_to_string(root().join("Cargo.lock")).expect("the lock file is beside the workspace manifest");
    let lock: toml::Table = text.parse().expect("cargo wrote it");
    let mut packages: BTreeMap<String, Vec<Package>> = BTreeMap::new();
    for row in lock["package"].as_array().expect("a list") {
        let field = |name: &str| row[name].as_str().expect("text");
        packages.entry(field("name").to_owned()).or_default().push(package(field("version")));
    }
    assert!(packages.len() > 100, "only {} packages were read: has the lock file another form?", packages.len());
    packages
}

#[test]
fn versions_compare_as_numbers() {
    assert!(package("0.11.19").version > package("0.11.9").version);
    assert!(package("1.0.0").version > package("0.103.17").version);
    assert!(package("7.0.0-rc2").pre_release);
    assert!(!package("1.2.1+spec-1.1.0").pre_release, "a dash in build metadata is no pre-release");
}

#[test]
fn no_dependency_is_below_its_floor() {
    let packages = locked();
    for name in PRESENT {
        assert!(packages.contains_key(*name), "{name} is not in Cargo.lock: was it renamed, and does its floor still guard anything?");
    }
    for (name, floor, why) in FLOORS {
        for found in packages.get(*name).into_iter().flatten() {
            assert!(found.version >= *floor, "{name} {} is below {floor:?} ({why}): run `cargo update -p {name}`", found.text);
        }
    }
}

#[test]
fn no_dependency_is_a_pre_release_or_unwanted() {
    let packages = locked();
    for (name, versions) in &packages {
        for found in versions {
            assert!(!found.pre_release, "{name} {} is a pre-release: its authors do not call it ready", found.text);
        }
    }
    for (name, why) in ABSENT {
        assert!(!packages.contains_key(*name), "{name} came into Cargo.lock: {why}");
    }
}

#[test]
fn protobuf_stays_within_consensus() {
    let lock: toml::Table = fs::read_to_string(root().join("Cargo.lock")).expect("it is there").parse().expect("cargo wrote it");
    for row in lock["package"].as_array().expect("a list") {
        let name = row["name"].as_str().expect("text");
        let needs = row.get("dependencies").and_then(|list| list.as_array()).into_iter().flatten();
        let has = needs.filter_map(|need| need.as_str()).any(|need| need.split(' ').next() == Some("protobuf"));
        assert!(!has || PROTOBUF.contains(&name), "{name} depends on protobuf: see RUSTSEC-2024-0437");
    }
    // In the engine one place decodes it, from bytes that the same process made.
    let sources = root().join("engine/src");
    let mut folders = vec![sources.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if fs::read_to_string(&entry).is_ok_and(|text| text.contains("merge_from") || text.contains("parse_from")) {
                assert!(entry.ends_with("replication/tail.rs"), "{} decodes protobuf: of whose bytes?", entry.display());
            }
        }
    }
}

#[test]
fn each_folder_the_readme_names_is_a_crate_and_each_crate_is_named() {
    let read = |file: &str| fs::read_to_string(root().join(file)).expect("it is in the root folder");
    // Rows of the layout table begin with a link: | [`folder/`](folder) | …
    let readme = read("README.md");
    let mut named: Vec<&str> =
        readme.lines().filter_map(|line| line.strip_prefix("| [`")?.split_once("/`]").map(|(folder, _)| folder)).collect();
    named.sort_unstable();
    for folder in &named {
        assert!(root().join(folder).is_dir(), "README.md names {folder}/, which is not there");
    }
    let manifest: toml::Table = read("Cargo.toml").parse().expect("a manifest");
    let lists = ["members", "exclude"].map(|list| manifest["workspace"][list].as_array().expect("a list"));
    for folder in lists.into_iter().flatten().map(|folder| folder.as_str().expect("text")) {
        assert!(named.contains(&folder), "README.md does not name the crate {folder}/");
        assert!(root().join(folder).join("Cargo.toml").is_file(), "{folder}/ has no manifest");
    }
}
