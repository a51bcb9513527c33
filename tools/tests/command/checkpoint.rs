//! checkpoint, repair.

use crate::support::Place;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A store of a few blocks in ./data.
fn place_with_blocks() -> Place {
    let place = Place::new();
    place.ok(&["demo", "--blocks", "12", "--accounts", "200", "--transfers", "50"]);
    place
}

#[test]
fn a_checkpoint_is_made_listed_verified_restored_and_deleted() {
    let place = place_with_blocks();
    let made = place.json(&["checkpoint", "create", "one", "--json"]);
    let status = place.json(&["status", "--json"]);
    assert_eq!((&made["version"], &made["block"]), (&status["version"], &status["head"]));
    let balance = place.ok(&["get", "account/000042"]);
    place.ok(&["put", "account/000042", "overwritten"]);
    let listed = place.json(&["checkpoint", "list", "--json"]);
    assert_eq!(listed, json!([made]));
    assert!(place.ok(&["checkpoint", "list"]).contains("by hand"));
    assert!(place.ok(&["checkpoint", "verify", "one"]).starts_with("sound: version"));
    let restored = place.json(&["checkpoint", "restore", "one", "--to", "restored", "--json"]);
    assert_eq!(restored["version"], made["version"]);
    assert_eq!(place.ok(&["get", "account/000042", "--dir", "restored"]), balance);
    assert!(place.ok(&["verify", "--dir", "restored"]).contains("sound: everything"));
    place.ok(&["checkpoint", "restore", "one", "--to", "spread", "--shard-dir", "a", "--shard-dir", "b", "--copy"]);
    assert!(place.path("a/000").is_dir() && place.path("b/001").is_dir() && !place.path("spread/shards").exists());
    assert_eq!(place.ok(&["get", "account/000042", "--dir", "spread"]), balance);
    assert_eq!(place.json(&["checkpoint", "delete", "one", "--json"]), json!({"deleted": "one"}));
    assert_eq!(place.json(&["checkpoint", "list", "--json"]), json!([]));
    assert_eq!(place.ok(&["get", "account/000042", "--dir", "restored"]), balance);
}

#[test]
fn refusals_say_why_and_change_nothing() {
    let place = place_with_blocks();
    place.ok(&["checkpoint", "create", "one"]);
    for name in ["a/b", "..", "with space", ""] {
        place.fails(2, &["checkpoint", "create", name]);
    }
    for args in [
        &["checkpoint", "create", "one"][..],
        &["checkpoint", "list", "--at", "nobackup"],
        &["checkpoint", "verify", "two"],
        &["checkpoint", "verify", "./nowhere"],
        &["checkpoint", "delete", "two"],
        &["checkpoint", "restore", "two", "--to", "restored"],
        &["checkpoint", "restore", "one", "--to", "data"],
        &["checkpoint", "create", "one", "--dir", "nowhere"],
        &["checkpoint", "delete", "one", "--dir", "nowhere"],
        &["repair", "--dir", "nowhere"],
    ] {
        place.fails(1, args);
    }
    assert!(!place.path("nowhere").exists() && !place.path("restored").exists());
    place.fails(2, &["checkpoint", "restore", "one"]);
    place.fails(2, &["checkpoint"]);
}

fn tables(shard: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(shard).expect("a shard's directory");
    entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "sst"))
        .collect()
}

/// In a file of its own: other names of it are a checkpoint's.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(path).expect("it is there");
    fs::write(path, bytes).expect("room on the disk");
}

fn repaired(place: &Place) -> Value {
    let ended = place.run(&["repair", "--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
    serde_json::from_str(&ended.stdout).expect("--json prints JSON")
}

#[test]
fn repair_says_what_is_damaged_and_which_checkpoint_brings_it_back() {
    let place = place_with_blocks();
    assert!(place.ok(&["repair"]).ends_with("sound: nothing to repair\n"));
    place.ok(&["checkpoint", "create", "older"]);
    let balance = place.ok(&["get", "account/000042"]);
    place.ok(&["put", "k", "v"]);
    place.ok(&["checkpoint", "create", "newer"]);
    for table in tables(&place.path("data/shards/003")) {
        flip(&table);
    }
    let report = repaired(&place);
    assert_eq!(report["sound"], false);
    for (number, shard) in report["shards"].as_array().expect("a list").iter().enumerate() {
        assert_eq!(shard["damage"].is_null(), number != 3, "{shard}");
    }
    assert!(report["shards"][3]["repair"]["failed"]["why"].is_string(), "{report}");
    assert!(!place.path("data/shards/003.repair").exists(), "copies are removed");
    assert_eq!(report["checkpoint"]["name"], "newer");
    // The newest one that is sound, not the newest.
    flip(&tables(&place.path("data/checkpoints/newer/shards/001"))[0]);
    let report = repaired(&place);
    assert_eq!(
        (&report["checkpoint"]["name"], &report["damaged_checkpoints"][0][0]),
        (&json!("older"), &json!("newer"))
    );
    let command = report["commands"][0].as_str().expect("a command").to_owned();
    let arguments: Vec<_> = command.split(' ').skip(1).collect();
    place.ok(&arguments);
    let restored = arguments.last().expect("the target is named last");
    assert_eq!(place.ok(&["get", "account/000042", "--dir", restored]), balance);
    assert!(place.ok(&["repair", restored]).ends_with("sound: nothing to repair\n"));
    // Without any, it says so.
    fs::remove_dir_all(place.path("data/checkpoints")).expect("it is there");
    let ended = place.run(&["repair"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("shard 3: DAMAGED") && ended.stdout.contains("no sound checkpoint"), "{ended:?}");
}

#[test]
fn repair_names_damage_outside_of_shards_and_writes_nothing() {
    let place = place_with_blocks();
    place.ok(&["checkpoint", "create", "one"]);
    place.ok(&["put", "k", "v"]);
    place.ok(&["put", "k", "w"]);
    for (part, file) in [("blocks", "data/blocks"), ("manifest", "data/MANIFEST")] {
        let path = place.path(file);
        let sound = fs::read(&path).expect("it is there");
        let mut damaged = sound.clone();
        damaged[20] ^= 1;
        fs::write(&path, &damaged).expect("room on the disk");
        let report = repaired(&place);
        assert!(report[part].is_string() && report["checkpoint"]["name"] == "one", "{part}: {report}");
        assert!(fs::read(&path).expect("it is there") == damaged, "{part} was written to");
        fs::write(&path, &sound).expect("room on the disk");
    }
    let log = fs::read_dir(place.path("data/log")).expect("a directory").map(|entry| entry.expect("readable").path());
    let log: Vec<_> = log.filter(|path| path.extension().is_some_and(|kind| kind == "log")).collect();
    for path in &log {
        fs::rename(path, path.with_extension("aside")).expect("it is there");
    }
    assert!(repaired(&place)["log"].is_string());
    for path in &log {
        fs::rename(path.with_extension("aside"), path).expect("it is there");
    }
    assert!(place.ok(&["repair"]).ends_with("sound: nothing to repair\n"));
    assert_eq!(place.ok(&["get", "k"]), "w\n");
}

/// Runs a line as somebody would who copies it from the page.
fn run_line(place: &Place, line: &str) {
    let directory = Path::new(env!("CARGO_BIN_EXE_shingle")).parent().expect("it lies in one").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(directory).chain(std::env::split_paths(&path)));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-e", "-c", line]).current_dir(place.path("")).env("PATH", path.expect("no colon in it"));
    let ended = shell.output().expect("every system has it");
    assert!(ended.status.success(), "{line}: {ended:?}");
}

/// Whatever is damaged, and however often it was asked before, the command that is named works as it stands.
#[test]
fn what_repair_names_works_as_it_stands() {
    let place = place_with_blocks();
    place.ok(&["checkpoint", "create", "one"]);
    let balance = place.ok(&["get", "account/000042"]);
    let shard = place.path("data/shards/003");
    fs::rename(&shard, place.path("aside")).expect("one file system");
    fs::write(&shard, "no directory").expect("a writable directory");
    let mut targets = Vec::new();
    for _ in 0..3 {
        let report = repaired(&place);
        assert!(report["shards"][3]["damage"].is_string() && report["shards"][2]["damage"].is_null(), "{report}");
        let command = report["commands"][0].as_str().expect("a command").to_owned();
        run_line(&place, &command);
        targets.push(command.split(' ').next_back().expect("the target is named last").to_owned());
    }
    // Asked from within the store.
    let mut within = place.command(&["repair", "--dir", ".", "--json"]);
    let printed = within.current_dir(place.path("data")).output().expect("it starts").stdout;
    let report: Value = serde_json::from_slice(&printed).expect("--json prints JSON");
    let command = report["commands"][0].as_str().expect("a command").to_owned();
    targets.push(command.split(' ').next_back().expect("the target is named last").to_owned());
    run_line(&place, &format!("cd data && {command}"));
    for target in targets {
        assert_eq!(place.ok(&["get", "account/000042", "--dir", &target]), balance);
        assert!(place.ok(&["repair", &target]).ends_with("sound: nothing to repair\n"));
    }
    fs::remove_file(&shard).expect("it is there");
    fs::rename(place.path("aside"), &shard).expect("one file system");
    assert!(place.ok(&["repair"]).ends_with("sound: nothing to repair\n"));
}

/// A log is cut off where something of it is good; one that is gone is not.
#[test]
fn repair_says_that_a_log_can_be_cut_off_only_where_it_can() {
    let place = place_with_blocks();
    for value in ["1", "2", "3"] {
        place.ok(&["put", "k", value]);
    }
    let segments = || {
        let entries = fs::read_dir(place.path("data/log")).expect("a directory");
        let paths = entries.map(|entry| entry.expect("readable").path());
        let mut segments: Vec<_> = paths.filter(|path| path.extension().is_some_and(|kind| kind == "log")).collect();
        segments.sort();
        segments
    };
    let log = segments();
    let [.., damaged, _, _] = log.as_slice() else { panic!("each run of the command begins a segment: {log:?}") };
    for path in &log {
        fs::rename(path, path.with_extension("aside")).expect("it is there");
    }
    let ended = place.run(&["repair"]);
    assert!(ended.stdout.contains("commit log: DAMAGED") && !ended.stdout.contains("cut off"), "{ended:?}");
    for path in &log {
        fs::rename(path.with_extension("aside"), path).expect("it is there");
    }
    fs::remove_file(damaged).expect("it is there");
    let ended = place.run(&["repair"]);
    let line = ended.stdout.lines().find(|line| line.contains("cut off")).unwrap_or_else(|| panic!("{ended:?}"));
    assert!(repaired(&place)["log_last_good"].is_u64());
    let (_, command) = line.split_once(": ").expect("the command is behind the colon");
    assert!(command.starts_with("shingle "), "{line}");
    run_line(&place, command);
    assert!(place.ok(&["repair"]).ends_with("sound: nothing to repair\n"));
}
