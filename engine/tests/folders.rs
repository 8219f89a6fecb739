//! Folders opened, closed, dropped, opened with other numbers of shards, damaged, and looked over.

mod common;

use common::{assert_carts, batches, chain, config, create_carts, go_on_with, log_files, open, under_both_drivers, verify_sound};
use engine::{Driver, Engine, OpenError, Shutdown};
use std::{collections::BTreeMap, path::Path};

under_both_drivers! {
    what_was_acknowledged_is_there_after_shutdown_and_after_a_drop
    any_number_of_shards_opens_what_another_left
    a_generation_that_was_never_written_is_given_up
    one_process_has_a_folder_at_a_time
    a_newer_folder_and_a_fixed_number_of_partitions_are_respected
    a_torn_tail_is_cut_and_told
    damage_to_what_was_acknowledged_stops_the_start
    a_lost_segment_and_a_lost_key_stop_the_start
}

fn what_was_acknowledged_is_there_after_shutdown_and_after_a_drop() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop");
    let mut carts = Vec::new();
    for round in 0..4 {
        let engine = open(&data, 1);
        assert!(engine.opened().entries >= carts.len() as u64, "{:?}", engine.opened());
        assert_carts(&engine, &carts);
        carts.extend(create_carts(&engine, 150));
        if round % 2 == 0 {
            assert_eq!(engine.shutdown(), Shutdown::Drained);
            assert_eq!(verify_sound(&data).cut, []);
        } else {
            drop(engine);
        }
    }
    assert_carts(&open(&data, 1), &carts);
}

#[test]
fn a_folder_is_the_same_under_either_driver() {
    let folder = tempfile::tempdir().unwrap();
    let mut carts = Vec::new();
    for round in 0..5 {
        go_on_with(if round % 2 == 0 { Driver::Portable } else { Driver::Glommio });
        let engine = open(folder.path(), 2);
        assert_eq!((engine.opened().generation, engine.opened().cut.as_slice()), (1, &[][..]));
        assert_carts(&engine, &carts);
        // More than a segment each time.
        carts.extend(create_carts(&engine, 300));
        if round < 2 {
            assert_eq!(engine.shutdown(), Shutdown::Drained);
        }
    }
    verify_sound(folder.path());
}

fn any_number_of_shards_opens_what_another_left() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop");
    let mut carts = Vec::new();
    let mut generations = Vec::new();
    for (round, shards) in [2, 1, 3, 3, 1].into_iter().enumerate() {
        let engine = open(&data, shards);
        generations.push((engine.opened().generation, engine.opened().new_generation));
        assert_carts(&engine, &carts);
        let mut last = BTreeMap::new();
        for cart in carts.iter().chain(&create_carts(&engine, 130)) {
            let common::Acknowledged { position, .. } = *cart;
            let before = last.insert(position.partition, position.seq);
            assert!(before < Some(position.seq), "{position} after {before:?}");
        }
        carts = carts.into_iter().chain(create_carts(&engine, 64)).collect();
        if round % 2 == 0 {
            assert_eq!(engine.shutdown(), Shutdown::Drained);
        } else {
            drop(engine);
        }
        let (one, two) = (verify_sound(&data), verify_sound(&data));
        let digests = |report: &engine::Report| report.partitions.iter().map(|partition| partition.digest).collect::<Vec<_>>();
        assert_eq!(digests(&one), digests(&two), "a partition's state is a function of its log");
    }
    assert_eq!(generations, [(1, true), (2, true), (3, true), (3, false), (4, true)]);
}

fn a_generation_that_was_never_written_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("shop");
    let engine = open(&data, 1);
    let carts = create_carts(&engine, 64);
    assert_eq!(engine.shutdown(), Shutdown::Drained);
    // Dropped before its first write, most likely: either way the next start must close the right generation.
    drop(open(&data, 2));
    drop(open(&data, 3));
    let engine = open(&data, 1);
    assert_carts(&engine, &carts);
    let more = create_carts(&engine, 64);
    drop(engine);
    let engine = open(&data, 2);
    assert_carts(&engine, &carts);
    assert_carts(&engine, &more);
}

fn one_process_has_a_folder_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), 1);
    let error = Engine::open(config(folder.path(), 1)).unwrap_err().to_string();
    assert!(error.contains(&format!("is in use by process {}", std::process::id())), "{error}");
    let error = engine::verify(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is in use by process"), "{error}");
    assert_eq!(engine.shutdown(), Shutdown::Drained);
    drop(open(folder.path(), 1));
}

fn a_newer_folder_and_a_fixed_number_of_partitions_are_respected() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), 1));
    let other = engine::Config { partitions: Some(8), ..config(folder.path(), 1) };
    let error = Engine::open(other).unwrap_err().to_string();
    assert!(error.contains("the folder has 64 partitions, fixed when it was made; 8 are configured"), "{error}");
    let text = std::fs::read_to_string(folder.path().join("folder.json")).unwrap();
    std::fs::write(folder.path().join("folder.json"), text.replace("\"format\": 2", "\"format\": 7")).unwrap();
    let error = Engine::open(config(folder.path(), 1)).unwrap_err().to_string();
    assert!(error.contains("has folder format 7; this version of Emporion reads formats up to 2"), "{error}");
}

/// Changes one byte of the file.
fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

fn a_torn_tail_is_cut_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), 1);
    let carts = create_carts(&engine, 100);
    assert_eq!(engine.shutdown(), Shutdown::Drained);
    // The last batch is the mark that an orderly end leaves; a crash while it is written tears it.
    let (path, bytes) = log_files(folder.path()).pop().unwrap();
    let torn = *batches(&bytes).last().unwrap();
    flip(&path, torn + 130);

    assert_eq!(verify_sound(folder.path()).cut.len(), 1);
    let engine = open(folder.path(), 1);
    let cut = &engine.opened().cut;
    assert_eq!(cut.len(), 1, "{cut:?}");
    assert_eq!((folder.path().join(&cut[0].file), cut[0].offset), (path, torn as u64));
    assert_carts(&engine, &carts);
    let more = create_carts(&engine, 10);
    drop(engine);
    let engine = open(folder.path(), 1);
    assert_eq!(engine.opened().cut, [], "what was cut once is behind an end that is recorded");
    assert_carts(&engine, &carts);
    assert_carts(&engine, &more);
}

fn damage_to_what_was_acknowledged_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), 1);
    create_carts(&engine, 100);
    assert_eq!(engine.shutdown(), Shutdown::Drained);
    let (path, bytes) = log_files(folder.path()).pop().unwrap();
    let at = batches(&bytes)[5];
    flip(&path, at + 150);

    let before = log_files(folder.path());
    let error = Engine::open(config(folder.path(), 1)).unwrap_err();
    assert!(matches!(error, OpenError::Log(_)), "{error:?}");
    let text = chain(&error);
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    for says in [file.as_str(), &format!("is damaged at byte {at}"), "Restore the folder from a backup"] {
        assert!(text.contains(says), "{text}\nwanted: {says}");
    }
    let report = engine::verify(folder.path()).unwrap();
    assert!(!report.is_sound());
    // On a slow machine one of the batches before it may be the mark of an idle moment, which has no entry.
    assert!(report.entries > 0, "{report:?}");
    assert!(report.damage[0].to_string().contains(&format!("is damaged at byte {at}")), "{report:?}");
    assert!(log_files(folder.path()) == before, "a start that fails changes nothing");
}

fn a_lost_segment_and_a_lost_key_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), 1);
    create_carts(&engine, 600);
    assert_eq!(engine.shutdown(), Shutdown::Drained);
    let key = folder.path().join("keys/shop.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let error = Engine::open(config(folder.path(), 1)).unwrap_err().to_string();
    assert!(error.contains("shop.key is missing: without it the personal fields"), "{error}");
    std::fs::write(&key, kept).unwrap();
    let error = Engine::open(config(folder.path(), 1)).unwrap_err().to_string();
    assert!(error.contains("others could read it"), "{error}");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();

    let files = log_files(folder.path());
    assert!(files.len() >= 3, "600 carts, one write each, fill more than two segments of 256 blocks");
    std::fs::remove_file(&files[1].0).unwrap();
    let error = chain(&Engine::open(config(folder.path(), 1)).unwrap_err());
    assert!(error.contains("segment-00000002.wal is missing: the log goes from segment 1 to segment"), "{error}");
}
