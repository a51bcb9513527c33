//! Bad arguments end with 2, failures and what is not there with 1, and neither changes anything.

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
        assert!(said.contains("no Shingle store") && said.contains("put --create"), "{said}");
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
        &["scan", "--prefix", "a", "--from", "b"],
        &["bench", "blocks", "--key-bytes", "3"],
        &["bench", "blocks", "--dir", "data"],
        &["--dir", "data", "replay", "chains"],
        &["--dir", "data", "status", "--url", "http://127.0.0.1:1"],
        &["-d", "data", "checkpoint", "list", "--url", "http://127.0.0.1:1"],
        &["--dir", "data", "repair", "data"],
        &["frobnicate"],
    ] {
        place.fails(2, args);
    }
    assert_eq!(place.ok(&["scan"]), "k\tv\n");
}

/// The likeness of names is no good adviser.
#[test]
fn a_refused_option_leads_to_the_one_that_is_meant() {
    let place = Place::new();
    let said = place.fails(2, &["bench", "blocks", "--seconds", "1"]);
    assert!(said.contains("'--blocks'") && !said.contains("'--rounds'"), "{said}");
    if !cfg!(feature = "peers") {
        for peers in ["fjall", "rocksdb,redb"] {
            let said = place.fails(2, &["bench", "blocks", "--against", peers]);
            assert!(said.contains("--features peers"), "{said}");
        }
    }
    let said = place.fails(2, &["bench", "blocks", "--against", "oracle"]);
    assert!(said.contains("possible values: rocksdb") && !said.contains("--features"), "{said}");
}

/// Every page of help has the same layout: clap has another one where any option has a list of values, each with its meaning.
#[test]
fn every_page_of_help_has_the_same_layout() {
    let place = Place::new();
    let verbs = |parents: &[&str]| -> Vec<String> {
        let help = place.ok(&[parents, &["--help"]].concat());
        assert!(!help.contains("Possible values:") && !help.contains(". [default"), "{parents:?}: {help}");
        let listed = help.split("\nCommands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
        let names =
            listed.lines().filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
        names.filter(|name| *name != "help").map(str::to_owned).collect()
    };
    let mut seen = 0;
    for verb in verbs(&[]) {
        for below in verbs(&[&verb]) {
            verbs(&[&verb, &below]);
            seen += 1;
        }
    }
    assert!(seen > 25, "only {seen} verbs of verbs");
}

/// Heights, versions and files that could be there are looked for like keys: 1, whatever the verb.
#[test]
fn what_is_not_there_ends_with_1() {
    let place = Place::new();
    place.ok(&["put", "--create", "k", "v"]);
    let before_any_block = place.fails(1, &["rollback", "--to-height", "1"]);
    assert!(before_any_block.contains("no blocks"), "{before_any_block}");
    place.ok(&["demo", "--dir", "chain", "--blocks", "1", "--accounts", "10", "--transfers", "1"]);
    for args in [
        &["get", "missing"][..],
        &["get", "k", "--at-height", "7"],
        &["get", "k", "--at-version", "7"],
        &["scan", "--at-height", "7"],
        &["scan", "--at-version", "7"],
        &["-d", "chain", "rollback", "--to-height", "7"],
        &["-d", "chain", "rollback", "--to-height", "7", "--yes"],
        &["status", "--config", "missing.toml"],
        &["replay", "missing"],
    ] {
        let said = place.fails(1, args);
        assert!(said.contains("missing") || said.contains('7'), "{args:?}: {said}");
    }
}

/// What an option expects is said in its own words, with its unit and its bounds.
#[test]
fn a_number_that_is_none_is_told_what_is_expected() {
    let place = Place::new();
    for (args, expected) in [
        (&["get", "k", "--at-height", "two"][..], "expected a block height, a whole number"),
        (&["demo", "--seconds", "1.5"], "expected seconds, a whole number from 1 to 86400"),
        (&["get", "k", "--at-version", "-1"], "expected a version, a whole number"),
        (&["bench", "blocks", "--memtables", "1"], "expected bytes, from 256 KiB to 64.0 GiB"),
        (&["demo", "--shards", "0"], "expected a number of shards, a whole number from 1 to 1024"),
        (&["scan", "--limit", "x"], "expected a number of entries, a whole number"),
        (&["bench", "reads", "--cache", "lots"], "expected bytes, such as 4096 or 64MiB"),
        (&["replay", "chains", "--flush-every", "0"], "expected a number of blocks, a whole number, 1 or more"),
    ] {
        let said = place.fails(2, args);
        assert!(said.contains(expected) && said.contains(args[args.len() - 1]), "{said}");
        assert!(!said.contains("digit"), "{said}");
    }
}

/// One sentence about the path, and the system's words once.
#[test]
fn a_refusal_does_not_stutter() {
    let place = Place::new();
    std::fs::write(place.path("file"), "x").expect("it can be written");
    std::fs::create_dir(place.path("empty")).expect("it can be made");
    for (dir, what) in [
        ("gone", "the directory does not exist"),
        ("file", "it is a file, not a directory"),
        ("empty", "the directory has no MANIFEST"),
    ] {
        let said = place.fails(1, &["--dir", dir, "status"]);
        assert!(said.starts_with(&format!("shingle: there is no Shingle store in {dir}: {what}\n")), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }
    let said = place.fails(1, &["put", "--create", "-d", "file", "k", "v"]);
    assert!(said.contains("it is a file, not a directory"), "{said}");
    for args in [&["status", "--config", "gone.toml"][..], &["replay", "gone"]] {
        let said = place.fails(1, args);
        assert_eq!(said.matches("No such file").count(), 1, "{said}");
    }
}

/// Only a damaged log can be cut off: the way out is shown for it, and for nothing else.
#[test]
fn damage_is_told_with_the_way_out_that_helps() {
    let place = Place::new();
    place.ok(&["demo", "--blocks", "2", "--accounts", "20000", "--transfers", "50", "--shards", "2"]);
    let tables = files_below(&place.path("data/shards/000"));
    let tables = tables.iter().filter(|path| path.extension().is_some_and(|extension| extension == "sst"));
    let size = |path: &std::path::Path| path.metadata().map_or(0, |found| found.len());
    let table = tables.max_by_key(|path| size(path)).expect("the demo flushes");
    // The ends of a table are read when the store is opened.
    flip(table, size(table) as usize / 2);

    let ended = place.run(&["verify"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.lines().last().is_some_and(|line| line.starts_with("DAMAGED: 1 shard of 2")), "{ended:?}");
    assert!(ended.stdout.lines().any(|line| line.starts_with("shard 0: ")), "{ended:?}");
    assert!(ended.stdout.contains("`shingle repair` says"), "{ended:?}");
    let ended = place.run(&["verify", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((ended.code, &report["sound"]), (Some(1), &serde_json::Value::Bool(false)), "{report}");
    let ended = place.run(&["scan"]);
    assert_eq!(ended.code, Some(1));
    assert!(!ended.stderr.contains("recover-to-last-good"), "{ended:?}");

    let place = Place::new();
    place.ok(&["put", "--create", "a", "first value"]);
    place.ok(&["put", "b", "2"]);
    let value = |bytes: &[u8]| bytes.windows(11).position(|bytes| bytes == b"first value");
    let segments = files_below(&place.path("data/log"));
    let first = segments.iter().find_map(|path| Some((path, value(&std::fs::read(path).ok()?)?)));
    let (segment, offset) = first.expect("the log holds what is not flushed");
    flip(segment, offset);
    let said = place.fails(1, &["get", "b"]);
    assert!(said.contains("shingle status --recover-to-last-good"), "{said}");
    let ended = place.run(&["verify"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with("DAMAGED: the store cannot be opened"), "{ended:?}");
    place.ok(&["status", "--recover-to-last-good"]);
    place.fails(1, &["get", "b"]);
}

fn flip(file: &std::path::Path, offset: usize) {
    let mut bytes = std::fs::read(file).expect("it can be read");
    bytes[offset] ^= 1;
    std::fs::write(file, bytes).expect("it can be written");
}

fn files_below(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).expect("it is a directory").map(|entry| entry.expect("it can be read").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
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
    let before = place.json(&["status", "--json"])["version"].clone();
    let said = place.ok(&["rollback", "--to-height", "2"]);
    assert!(said.contains("would lose 5 blocks") && said.contains("--yes"), "{said}");
    let preview = place.json(&["rollback", "--to-height", "2", "--json"]);
    assert_eq!((&preview["done"], preview["blocks"].as_u64()), (&serde_json::Value::Bool(false), Some(5)));
    assert_eq!(preview["version"], before);
    assert!(place.ok(&["status"]).contains("height 7,"));
    let done = place.json(&["rollback", "--to-height", "2", "--yes", "--json"]);
    assert_eq!((done["to_height"].as_u64(), done["blocks"].as_u64()), (Some(2), Some(5)));
    assert_eq!(done["done"], serde_json::Value::Bool(true));
    assert!(place.ok(&["status"]).contains("height 2,"));
    place.fails(1, &["get", "k", "--at-height", "3"]);
    let rolled_back = place.fails(1, &["get", "k", "--at-version", &before.to_string()]);
    assert!(rolled_back.contains("rolled back") && !rolled_back.contains("snapshot"), "{rolled_back}");
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
    let said = place.ok(&["rollback", "--to-height", &height]);
    assert!(said.contains("0 blocks and 1 version after the newest block"), "{said}");
    assert_eq!(place.ok(&["get", "late"]), "1\n");
    let done = place.json(&["rollback", "--to-height", &height, "--yes", "--json"]);
    assert_eq!(done["later_versions"].as_u64(), Some(1));
    place.fails(1, &["get", "late"]);
}

#[test]
fn a_store_that_is_open_elsewhere_is_left_alone() {
    let place = Place::new();
    let db = Database::open(place.path("data")).expect("a new store");
    let said = place.fails(1, &["get", "k"]);
    assert!(said.contains(&std::process::id().to_string()), "it does not say who holds it: {said}");
    assert_eq!(said.lines().count(), 1, "one sentence is enough: {said}");
    db.close().expect("nothing is wrong with it");
    place.ok(&["put", "k", "v"]);
}
