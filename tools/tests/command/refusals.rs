//! Bad arguments end with 2, failures with 1, and neither changes anything.

use crate::support::Place;
use shingle::Database;

#[test]
fn verbs_that_read_or_write_make_no_store() {
    let place = Place::new();
    for verb in [
        &["get", "k"][..],
        &["scan"],
        &["status"],
        &["verify"],
        &["put", "k", "v"],
        &["delete", "k"],
        &["rollback", "--to-height", "1", "--yes"],
    ] {
        let said = place.fails(1, verb);
        assert!(said.contains("not a Shingle store") && said.contains("put --create"), "{said}");
        assert!(!place.path("data").exists(), "{verb:?} made a directory");
    }
}

#[test]
fn bad_arguments_end_with_2() {
    let place = Place::new();
    place.ok(&["put", "--create", "k", "v"]);
    let too_long = "k".repeat(65_537);
    for args in [
        &["get"][..],
        &["get", "0xabc"],
        &["get", ""],
        &["get", &too_long],
        &["put", "", "v"],
        &["get", "k", "--at-height", "1", "--at-version", "1"],
        &["get", "k", "--at-height", "7"],
        &["get", "k", "--at-version", "7"],
        &["scan", "--prefix", "a", "--from", "b"],
        &["rollback", "--to-height", "1", "--yes"],
        &["status", "--config", "missing.toml"],
        &["bench", "blocks", "--key-bytes", "3"],
        &["replay", "missing"],
        &["frobnicate"],
    ] {
        place.fails(2, args);
    }
    assert_eq!(place.ok(&["scan"]), "k\tv\n");
}

#[test]
fn a_wrong_setting_is_named() {
    let place = Place::new();
    place.ok(&["put", "--create", "k", "v"]);
    std::fs::write(place.path("bad.toml"), "[rocksdb]\nblock_cache_size = 1\n").expect("it can be written");
    let said = place.fails(2, &["status", "--config", "bad.toml"]);
    assert!(said.contains("rocksdb.block_cache_size") && said.contains('1'), "{said}");
    std::fs::write(place.path("good.toml"), "preset = \"medium\"\n").expect("it can be written");
    assert!(place.ok(&["status", "--config", "good.toml"]).contains("384 MiB"));
}

#[test]
fn a_rollback_waits_for_a_yes() {
    let place = Place::new();
    place.ok(&["demo", "--blocks", "4", "--accounts", "50", "--transfers", "5"]);
    let said = place.fails(2, &["rollback", "--to-height", "2"]);
    assert!(said.contains("5 blocks") && said.contains("--yes"), "{said}");
    assert!(place.ok(&["status"]).contains("height 7"));
    let done = place.json(&["rollback", "--to-height", "2", "--yes", "--json"]);
    assert_eq!((done["height"].as_u64(), done["blocks_removed"].as_u64()), (Some(2), Some(5)));
    assert!(place.ok(&["status"]).contains("height 2"));
    place.fails(2, &["get", "k", "--at-height", "3"]);
}

/// What was committed after the newest block belongs to none, and goes as well.
#[test]
fn a_rollback_names_what_belongs_to_no_block() {
    let place = Place::new();
    place.ok(&["demo", "--blocks", "2", "--accounts", "50", "--transfers", "5"]);
    let height = place.json(&["status", "--json"])["height"].to_string();
    let nothing = place.json(&["rollback", "--to-height", &height, "--json"]);
    assert_eq!(nothing["version"], place.json(&["status", "--json"])["version"], "nothing was above the block");
    place.ok(&["put", "late", "1"]);
    let said = place.fails(2, &["rollback", "--to-height", &height]);
    assert!(said.contains("0 blocks and 1 versions after the newest block"), "{said}");
    assert_eq!(place.ok(&["get", "late"]), "1\n");
    let done = place.json(&["rollback", "--to-height", &height, "--yes", "--json"]);
    assert_eq!(done["later_versions_removed"].as_u64(), Some(1));
    place.fails(1, &["get", "late"]);
}

#[test]
fn a_store_that_is_open_elsewhere_is_left_alone() {
    let place = Place::new();
    let db = Database::open(place.path("data")).expect("a new store");
    let said = place.fails(1, &["get", "k"]);
    assert!(said.contains(&std::process::id().to_string()), "it does not say who holds it: {said}");
    db.close().expect("nothing is wrong with it");
    place.ok(&["put", "k", "v"]);
}
