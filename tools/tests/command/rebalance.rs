//! rebalance, reshard, shards, slots.

use crate::support::Place;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A store of eight shards in ./data, with some blocks.
fn chain() -> Place {
    let place = Place::new();
    place.ok(&["demo", "--blocks", "20", "--accounts", "500", "--transfers", "200"]);
    place
}

fn sum(list: &Value, member: &str) -> u64 {
    list.as_array().expect("a list").iter().map(|item| item[member].as_u64().expect("a number")).sum()
}

/// What no simulation may change.
fn contents(place: &Place) -> (Value, String) {
    let status = place.json(&["status", "--json"]);
    (
        json!([status["version"], status["slot_map_epoch"], status["shards"].as_array().map(Vec::len)]),
        place.ok(&["scan"]),
    )
}

#[test]
fn a_simulation_says_what_would_move_and_changes_nothing() {
    let place = chain();
    let before = contents(&place);
    let grown = place.json(&["rebalance", "--to-shards", "16", "--rate", "64MiB", "--simulate", "--json"]);
    assert_eq!(grown["plan"]["moves"].as_array().map(Vec::len), Some(2048));
    assert_eq!((&grown["plan"]["shards_after"], &grown["shards_before"]), (&json!(16), &json!(8)));
    for shard in grown["shards"].as_array().expect("a list") {
        assert_eq!(shard["slots_after"], 256, "{shard}");
    }
    assert!(grown["bytes"].as_u64() > Some(0) && grown["seconds"].as_f64() > Some(0.0), "{}", grown["bytes"]);
    let shrunk = place.json(&["rebalance", "--to-shards", "3", "--simulate", "--json"]);
    assert_eq!((sum(&shrunk["shards"], "slots_after"), &shrunk["seconds"]), (4096, &Value::Null));
    for (number, shard) in shrunk["shards"].as_array().expect("a list").iter().enumerate() {
        let slots = shard["slots_after"].as_u64().expect("a number");
        assert!(if number < 3 { slots == 1365 || slots == 1366 } else { slots == 0 }, "{shard}");
    }
    let said = place.ok(&["rebalance", "--to-shards", "16", "--rate", "64MiB/s", "--simulate"]);
    assert!(said.contains("2 048") && said.contains("16 (before: 8)") && said.contains("at that rate"), "{said}");
    assert!(place.ok(&["rebalance", "--simulate"]).contains("nothing to move"));
    let emptied = place.json(&["rebalance", "--weight", "3=0", "--weight", "1=0.5", "--simulate", "--json"]);
    assert_eq!(emptied["shards"][3]["slots_after"], 0);
    assert!(emptied["shards"][1]["slots_after"].as_u64() < Some(512), "{}", emptied["shards"][1]);
    assert_eq!(contents(&place), before);
    assert!(!place.path("data/shards/008").exists());
}

#[test]
fn named_slots_are_simulated_or_refused_by_name() {
    let place = chain();
    let moved =
        place.json(&["reshard", "--from", "0", "--to", "3", "--slots", "7,100-199,100", "--simulate", "--json"]);
    assert_eq!(moved["plan"]["moves"].as_array().map(Vec::len), Some(101));
    assert_eq!(moved["plan"]["moves"][0], json!({"slot": 7, "from": 0, "to": 3}));
    assert_eq!((&moved["shards"][0]["slots_after"], &moved["shards"][3]["slots_after"]), (&json!(411), &json!(613)));
    for (args, said) in [
        (["--from", "0", "--to", "3", "--slots", "600"], "slot 600 is not on shard 0"),
        (["--from", "0", "--to", "8", "--slots", "7"], "there is no shard 8"),
        (["--from", "0", "--to", "0", "--slots", "7"], "the same"),
        (["--from", "0", "--to", "3", "--slots", "4096"], "there is no slot 4096"),
    ] {
        let refused = place.fails(1, &[&["reshard", "--simulate"][..], &args].concat());
        assert!(refused.contains(said), "{args:?}: {refused}");
    }
}

#[test]
fn what_no_store_could_do_is_a_matter_of_usage() {
    let place = chain();
    for args in [
        &["rebalance", "--to-shards", "0"][..],
        &["rebalance", "--to-shards", "1025"],
        &["rebalance", "--threshold", "101"],
        &["rebalance", "--threshold", "-1"],
        &["rebalance", "--weight", "3"],
        &["rebalance", "--weight", "3=-1"],
        &["rebalance", "--weight", "3=1", "--weight", "3=2"],
        &["rebalance", "--by", "luck"],
        &["rebalance", "--rate", "0"],
        &["reshard", "--from", "0", "--to", "3"],
        &["reshard", "--from", "0", "--to", "3", "--slots", "9-7"],
        &["slots", "--by", "luck"],
    ] {
        place.fails(2, args);
    }
    for args in [
        &["rebalance", "--weight", "9=1", "--simulate"][..],
        &["rebalance", "--to-shards", "4", "--weight", "5=1", "--simulate"],
        &["rebalance", "--shard-dir", "elsewhere", "--simulate"],
        &["rebalance", "--simulate", "--dir", "nowhere"],
        &["shards", "--dir", "nowhere"],
        &["slots", "--dir", "nowhere"],
    ] {
        place.fails(1, args);
    }
    assert!(!place.path("nowhere").exists() && !place.path("elsewhere").exists());
}

#[test]
fn shards_and_slots_agree_with_what_the_store_holds() {
    let place = chain();
    let keys = place.ok(&["scan"]).lines().count() as u64;
    let shards = place.json(&["shards", "--measure", "--json"]);
    assert_eq!((sum(&shards["shards"], "keys"), sum(&shards["shards"], "slots")), (keys, 4096));
    // What the node wrote was kept when it closed: the keys alone are as many writes, each account in the first block.
    assert!(sum(&shards["shards"], "writes") >= keys, "{shards}");
    let slots = place.json(&["slots", "--json"]);
    assert_eq!((&slots["measured_at"], sum(&slots["slots"], "keys")), (&shards["measured_at"], keys));
    for member in ["keys", "bytes", "reads", "writes"] {
        assert_eq!(sum(&slots["slots"], member), sum(&slots["shards"], member), "{member}");
    }
    let table = place.ok(&["shards"]);
    assert!(table.contains("heat") && table.contains("\nall "), "{table}");
    let written: u64 = sum(&slots["slots"], "writes");
    place.ok(&["put", "alice", "1"]);
    assert_eq!(sum(&place.json(&["slots", "--json"])["slots"], "writes"), written + 1);
}

#[test]
fn the_map_has_a_cell_for_every_slot_and_says_what_it_means() {
    let place = chain();
    for by in ["heat", "reads", "writes", "bytes", "keys"] {
        let map = place.ok(&["slots", "--by", by, "--measure"]);
        assert!(map.is_ascii(), "what is no terminal gets plain characters: {map}");
        let cells: usize = map
            .lines()
            .filter(|line| line.contains("  shard ") && !line.starts_with("slot"))
            .map(|line| line.split_whitespace().nth(1).map_or(0, str::len))
            .sum();
        assert_eq!(cells, 2048, "a cell for every two slots, by {by}: {map}");
    }
    let map = place.ok(&["slots", "--by", "bytes"]);
    assert!(map.contains("a cell is the mean of 2 slots") && map.contains("of the mean"), "{map}");
}

#[test]
fn what_was_known_of_the_slots_can_be_lost_without_harm() {
    let place = chain();
    let scanned = place.ok(&["scan"]);
    for damaged in [&b"rubbish"[..], b""] {
        std::fs::write(place.path("data/slots"), damaged).expect("a writable directory");
        assert_eq!(sum(&place.json(&["slots", "--json"])["slots"], "writes"), 0);
    }
    std::fs::remove_file(place.path("data/slots")).expect("it is there");
    assert_eq!(place.ok(&["scan"]), scanned);
    assert_eq!(place.json(&["verify", "--json"])["sound"], true);
}

fn shards(place: &Place) -> Vec<u64> {
    let shards = place.json(&["shards", "--json"]);
    shards["shards"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|shard| shard["slots"].as_u64().expect("a number"))
        .collect()
}

/// The state at every third height, and at the newest one.
fn history(place: &Place) -> Vec<String> {
    let at = |height: &str| place.ok(&["scan", "--at-height", height]);
    ["3", "6", "9", "12", "15", "18", "20"].map(at).into()
}

#[test]
fn a_store_grows_and_shrinks_and_holds_what_it_held() {
    let place = chain();
    let (state, history_before) = (place.ok(&["scan"]), history(&place));
    let check = |place: &Place| {
        assert_eq!((place.ok(&["scan"]), history(place)), (state.clone(), history_before.clone()));
        assert_eq!(place.json(&["verify", "--json"])["sound"], true);
        assert_eq!(place.json(&["rebalance", "status", "--json"]), Value::Null);
    };
    let dirs = ["--shard-dir", "disks/a", "--shard-dir", "disks/b"];
    let grown = place.json(&[&["rebalance", "--to-shards", "12", "--json"][..], &dirs].concat());
    assert_eq!((&grown["shards"], &grown["shortfalls"]), (&json!(12), &json!([])));
    assert!(grown["slots"].as_u64() > Some(1300) && grown["rows"].as_u64() > Some(0), "{grown}");
    assert!(place.path("disks/a").read_dir().is_ok_and(|mut dirs| dirs.next().is_some()));
    assert!(shards(&place).iter().all(|slots| (341..=342).contains(slots)), "{:?}", shards(&place));
    check(&place);
    let said = place.ok(&["rebalance", "--to-shards", "12"]);
    assert!(said.contains("no slot was moved"), "{said}");
    let said = place.ok(&["reshard", "--from", "0", "--to", "11", "--slots", "0-9"]);
    assert!(said.starts_with("10 slots moved"), "{said}");
    assert_eq!(place.json(&["slots", "--json"])["slots"][9]["shard"], 11);
    check(&place);
    let said = place.ok(&["rebalance", "--to-shards", "5", "--by", "bytes"]);
    assert!(said.contains("the store has 5 shards"), "{said}");
    assert_eq!(shards(&place).len(), 5);
    let left = |dir: &str| place.path(dir).read_dir().map_or(0, Iterator::count);
    assert_eq!((left("disks/a"), left("disks/b"), left("data/shards")), (0, 0, 5));
    check(&place);
    place.ok(&["rebalance", "--weight", "2=0"]);
    assert_eq!(shards(&place)[2], 0);
    check(&place);
    place.ok(&["put", "alice", "1"]);
    assert_eq!(place.ok(&["get", "alice"]), "1\n");
}

#[test]
fn what_is_not_under_way_can_be_neither_resumed_nor_aborted() {
    let place = chain();
    assert!(place.ok(&["rebalance", "status"]).contains("no rebalancing is under way"));
    for action in ["resume", "abort"] {
        assert!(place.fails(1, &["rebalance", action]).contains("no rebalancing is under way"), "{action}");
    }
    place.fails(2, &["rebalance", "--to-shards", "4", "status"]);
}

fn manifest_now(place: &Place) -> String {
    std::fs::read_to_string(place.path("data/MANIFEST")).unwrap_or_default()
}

/// Begins one that would take minutes, and waits until it copies.
fn begin_slowly(place: &Place) -> Child {
    let mut running = place
        .command(&["rebalance", "--to-shards", "9", "--rate", "1KiB"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be started");
    while !manifest_now(place).contains("copying") {
        assert!(running.try_wait().expect("a child of this process").is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    running
}

fn signal(running: &Child, signal: &str) {
    let asked = Command::new("kill").args([format!("-{signal}"), running.id().to_string()]).status();
    assert!(asked.expect("there is a shell's kill").success());
}

#[test]
fn one_that_was_killed_is_gone_on_with_or_given_up() {
    for action in ["resume", "abort"] {
        let place = chain();
        let state = place.ok(&["scan"]);
        let mut running = begin_slowly(&place);
        signal(&running, "KILL");
        running.wait().expect("a child of this process");
        // Opening the store lets it go on, so that it may have handed over before it could be given up.
        let ended = match action {
            "resume" => place.run(&["rebalance", "resume", "--rate", "1GiB"]),
            _ => place.run(&["rebalance", action]),
        };
        assert!(ended.code == Some(0) || action == "abort" && ended.code == Some(1), "{ended:?}");
        while place.json(&["rebalance", "status", "--json"]) != Value::Null {}
        assert_eq!(shards(&place).len(), if action == "abort" && ended.code == Some(0) { 8 } else { 9 }, "{ended:?}");
        assert_eq!(place.ok(&["scan"]), state);
        assert_eq!(place.json(&["verify", "--json"])["sound"], true);
    }
}

/// Ctrl-C, and what a service manager sends: it closes the store, and says what goes on with it.
#[test]
fn one_that_was_interrupted_closes_the_store_and_names_what_goes_on_with_it() {
    for asked in ["INT", "TERM"] {
        let place = chain();
        let state = place.ok(&["scan"]);
        let running = begin_slowly(&place);
        signal(&running, asked);
        let ended = running.wait_with_output().expect("a child of this process");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{asked}: {said}");
        let resume = said.split('`').nth(1).expect("a command is named");
        assert!(said.contains("interrupted; the rebalancing is not finished"), "{said}");
        let manifest = manifest_now(&place);
        assert!(manifest.contains("copying"), "{manifest}");
        // As it stands.
        let resume: Vec<_> = resume.split(' ').skip(1).collect();
        assert_eq!(resume[..2], ["rebalance", "resume"]);
        let rate = || place.json(&["rebalance", "status", "--json"])["bytes_per_sec_max"].clone();
        assert_eq!(rate(), 1024);
        // It keeps its rate, or gets another, which is kept over a kill.
        for (given, expected) in [(&[][..], 1024), (&["--rate", "2KiB"], 2048)] {
            let mut running =
                place.command(&[&resume, given].concat()).stderr(Stdio::null()).spawn().expect("as before");
            while !manifest_now(&place).contains(&format!("\"bytes_per_sec\": {expected}")) {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(300));
            assert!(running.try_wait().expect("a child of this process").is_none(), "no slower than before");
            running.kill().expect("it runs");
            running.wait().expect("a child of this process");
            assert_eq!(rate(), expected);
        }
        place.ok(&[&resume[..], &["--rate", "none"]].concat());
        assert_eq!(shards(&place).len(), 9);
        assert_eq!(place.json(&["rebalance", "status", "--json"]), Value::Null);
        assert_eq!(place.ok(&["scan"]), state);
        assert_eq!(place.json(&["verify", "--json"])["sound"], true);
    }
}

#[test]
fn the_bench_compares_everything_after_growing_and_shrinking() {
    let place = Place::new();
    let bench = [
        "bench",
        "rebalance",
        "--keys",
        "3000",
        "--updates",
        "50",
        "--warm-up",
        "0",
        "--seconds",
        "1",
        "--shards",
        "2",
    ];
    let report = place.json(&[&bench[..], &["--to-shards", "3", "--json"]].concat());
    assert_eq!(report["keys_compared"], 3000);
    assert!(report["grown"]["slots"].as_u64() > Some(1300) && report["grown"]["slots"] == report["shrunk"]["slots"]);
    let names: Vec<_> =
        report["phases"].as_array().expect("a list").iter().map(|phase| phase["name"].clone()).collect();
    assert_eq!(names, ["before", "growing", "cleaning", "between", "shrinking", "removing", "after"]);
    for phase in [0, 3, 6] {
        assert!(report["phases"][phase]["commits"]["number"].as_u64() > Some(0), "{report}");
    }
    assert!(place.ok(&[&bench[..], &["--to-shards", "1"]].concat()).contains("3 000 keys compared"));
    // Forty blocks a second, which any machine takes: no more come, and none is left out.
    let report = place.json(&[&bench[..], &["--to-shards", "3", "--rate", "2k/s", "--json"]].concat());
    let phases = report["phases"].as_array().expect("a list");
    let sum = |of: &dyn Fn(&Value) -> f64| phases.iter().map(of).sum::<f64>();
    let blocks = sum(&|phase| phase["commits"]["number"].as_f64().expect("a number"));
    let due = 40.0 * sum(&|phase| phase["seconds"].as_f64().expect("a number"));
    assert!((0.5 * due..1.2 * due).contains(&blocks), "{blocks} blocks, {due} due");
}
