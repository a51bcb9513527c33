//! Moving slots over HTTP: planned, carried out, seen, given up and gone on with, and one at a time.

#[path = "../support/mount.rs"]
mod mount;

use crate::actions::{bearer, wait_for};
use crate::http::{Answer, ask, get};
use crate::{Node, commit};
use mount::Mount;
use serde_json::{Value, json};
use shingle::{Batch, RebalanceRequest};
use std::collections::BTreeMap;

fn post(node: &Node, path: &str, settings: &Value) -> Answer {
    ask(node.address(), "POST", path, &[&bearer()], settings.to_string().as_bytes()).expect("it answers")
}

fn begin(node: &Node, path: &str, settings: &Value) -> Answer {
    let begun = post(node, path, settings);
    assert_eq!(begun.status, 202, "{path} {settings}: {begun:?}");
    begun
}

/// What came of an action that was begun.
fn done(node: &Node, path: &str, settings: &Value) -> Value {
    wait_for(node, &begin(node, path, settings))
}

fn status(node: &Node) -> Value {
    get(node.address(), "/rebalance/status").json()
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !is() {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// So much that it takes minutes at the lowest rate.
fn fill(node: &Node) {
    for round in 0_u32..4 {
        let mut batch = Batch::new();
        for key in 0_u32..2000 {
            batch.put(format!("filler {key}"), [round.to_be_bytes(); 32].concat());
        }
        node.db.commit(batch).expect("a sound store");
    }
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn contents(node: &Node) -> (Rows, Rows) {
    let then = node.db.snapshot_at(shingle::At::Height(2)).expect("nothing is pruned");
    let rows = |scan: shingle::Scan| scan.collect::<shingle::Result<Vec<_>>>().expect("a sound store");
    (rows(node.db.prefix("")), rows(then.prefix("")))
}

fn metrics(node: &Node) -> BTreeMap<String, f64> {
    let body = get(node.address(), "/metrics").body;
    let samples = body.lines().filter(|line| line.starts_with("shingle_")).filter_map(|line| line.rsplit_once(' '));
    samples.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

#[test]
fn a_plan_is_that_of_the_library_and_changes_nothing() {
    let node = Node::start();
    let before = (contents(&node), node.db.slot_map());
    let asked = json!({ "to_shards": 5, "by": "bytes", "rate_bytes_per_sec": 1 << 20 });
    let planned = post(&node, "/rebalance/plan", &asked);
    assert_eq!(planned.status, 200, "{planned:?}");
    let request: RebalanceRequest = serde_json::from_value(asked).expect("it is one");
    assert_eq!(planned.json(), json!(node.db.plan_rebalance(&request).expect("a plan that fits")));
    assert!(planned.json()["seconds"].is_number() && planned.json()["shards"][4]["slots_before"] == 0);
    let moved = post(&node, "/reshard/plan", &json!({ "from": 0, "to": 2, "slots": [{ "start": 7, "end": 9 }] }));
    assert_eq!(moved.json()["plan"]["moves"].as_array().map(Vec::len), Some(3), "{moved:?}");
    assert_eq!((contents(&node), node.db.slot_map()), before);
    assert_eq!(get(node.address(), "/operations").json()["operations"], json!([]));
    assert_eq!(status(&node), Value::Null);
}

#[test]
fn what_does_not_fit_is_refused_by_name_and_moves_nothing() {
    let node = Node::start();
    let map = node.db.slot_map();
    for (path, settings, said) in [
        ("/rebalance", json!({ "to_shards": 0 }), "1 to 1024 shards"),
        ("/rebalance", json!({ "to_shards": 5000 }), "1 to 1024 shards"),
        ("/rebalance", json!({ "weights": { "3": 1 } }), "3 is none"),
        ("/rebalance", json!({ "weights": { "0": 0, "1": 0, "2": 0 } }), "weight 0"),
        ("/rebalance", json!({ "weights": { "0": -1 } }), "0 to 1000"),
        ("/rebalance", json!({ "threshold_percent": 101 }), "0 to 100 per cent"),
        ("/rebalance", json!({ "shard_dirs": ["/nowhere"] }), "no shard is added"),
        ("/reshard", json!({ "from": 0, "to": 3, "slots": [{ "start": 0, "end": 0 }] }), "there is no shard 3"),
        ("/reshard", json!({ "from": 0, "to": 0, "slots": [{ "start": 0, "end": 0 }] }), "the same"),
        ("/reshard", json!({ "from": 0, "to": 1, "slots": [] }), "no slot was named"),
        ("/reshard", json!({ "from": 0, "to": 1, "slots": [{ "start": 9, "end": 7 }] }), "from 9 to 7"),
        ("/reshard", json!({ "from": 0, "to": 1, "slots": [{ "start": 0, "end": 4_294_967_295_u32 }] }), "no slot"),
        ("/reshard", json!({ "from": 0, "to": 1, "slots": [{ "start": 4095, "end": 4095 }] }), "not on shard 0"),
    ] {
        let planned = post(&node, &format!("{path}/plan"), &settings);
        assert!(planned.status == 400 && planned.body.contains(said), "{settings}: {planned:?}");
        let failed = done(&node, path, &settings);
        assert_eq!(failed["error"].as_str(), Some(planned.body.trim()), "{failed}");
    }
    for (path, settings) in [
        ("/rebalance", json!({ "to_shard": 5 })),
        ("/rebalance", json!({ "to_shards": 5, "simulate": true })),
        ("/rebalance", json!({ "to_shards": 5, "shard_dirs": ["disks/a"] })),
        ("/rebalance", json!({ "to_shards": 5, "rate_bytes_per_sec": 1 })),
        ("/rebalance", json!([5])),
        ("/reshard", json!({ "from": 0, "to": 1 })),
        ("/reshard", json!({ "from": 0, "to": 1, "slots": [7] })),
        ("/rebalance/resume", json!({ "to_shards": 5 })),
        ("/rebalance/rate", json!({ "rate_bytes_per_sec": -1 })),
        ("/rebalance/abort", json!({ "now": true })),
    ] {
        let refused = post(&node, path, &settings);
        assert_eq!(refused.status, 400, "{path} {settings}: {refused:?}");
        assert!(refused.body.starts_with(&format!("{} does not take these settings: ", &path[1..])), "{refused:?}");
    }
    // A target that holds something is somebody's.
    let taken = node.store_dir().with_file_name("taken");
    std::fs::create_dir_all(taken.join("003")).expect("it is ours");
    std::fs::write(taken.join("003/precious"), "x").expect("it is ours");
    let failed = done(&node, "/rebalance", &json!({ "to_shards": 4, "shard_dirs": [taken] }));
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("not empty")), "{failed}");
    assert_eq!(std::fs::read(taken.join("003/precious")).expect("it is there"), b"x");
    for path in ["/rebalance/resume", "/rebalance/abort"] {
        let failed = done(&node, path, &json!({}));
        assert_eq!(failed["error"], "no rebalancing is under way", "{failed}");
    }
    assert_eq!((node.db.slot_map(), node.db.shards(), status(&node)), (map, 3, Value::Null));
}

#[test]
fn a_node_grows_and_shrinks_and_says_what_each_shard_and_slot_carries() {
    let node = Node::start();
    let before = contents(&node);
    let disk = node.store_dir().with_file_name("disk");
    let grown = done(&node, "/rebalance", &json!({ "to_shards": 5, "shard_dirs": [disk] }));
    assert_eq!((&grown["state"], &grown["result"]["shards"]), (&json!("done"), &json!(5)), "{grown}");
    assert_eq!(
        (&grown["progress"], &grown["result"]["shortfalls"]),
        (&json!({ "done": 1000, "total": 1000 }), &json!([]))
    );
    assert_eq!(disk.read_dir().expect("it was made").count(), 2);
    let again = done(&node, "/rebalance", &json!({ "to_shards": 5 }));
    assert_eq!((&again["result"]["slots"], &again["result"]["shards"]), (&json!(0), &json!(5)), "{again}");
    let moved = done(&node, "/reshard", &json!({ "from": 0, "to": 4, "slots": [{ "start": 0, "end": 9 }] }));
    assert_eq!(moved["result"]["slots"], 10, "{moved}");

    let measured = done(&node, "/slots/measure", &json!({}));
    let [shards, slots] = ["/shards", "/slots"].map(|path| get(node.address(), path).json());
    assert_eq!(slots, json!(node.db.slot_stats()));
    assert_eq!(shards, json!(node.db.shard_stats()));
    assert_eq!(slots["slots"][9]["shard"], 4);
    let keys = shards["shards"].as_array().expect("a list").iter().filter_map(|shard| shard["keys"].as_u64());
    assert_eq!((keys.sum::<u64>(), &shards["measured_at"]), (50, &measured["result"]["measured_at"]));
    let map = get(node.address(), "/slot-map").json();
    assert_eq!((&map["epoch"], &map["next"], &map["runs"][0]), (&json!(3), &Value::Null, &json!([4, 10])), "{map}");

    let stats = get(node.address(), "/status").json();
    let total = grown["result"]["slots"].as_u64().expect("a number") + 10;
    assert_eq!(
        (&stats["rebalance"]["runs"], &stats["rebalance"]["slots"], &stats["rebalance"]["under_way"]),
        (&json!(2), &json!(total), &Value::Null)
    );
    let found = metrics(&node);
    for (name, value) in [
        ("shingle_rebalances_total", 2.0),
        ("shingle_rebalance_slots_total", total as f64),
        ("shingle_rebalance_failures_total", 0.0),
        ("shingle_rebalance_running", 0.0),
        ("shingle_rebalance_progress_ratio", 0.0),
        ("shingle_rebalance_state{state=\"copying\"}", 0.0),
        ("shingle_shards", 5.0),
        ("shingle_slot_map_epoch", 3.0),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    assert_eq!(found["shingle_rebalance_copied_rows_total"], stats["rebalance"]["rows"].as_f64().expect("a number"));
    assert!(found["shingle_rebalance_copied_bytes_total"] > 0.0 && found["shingle_rebalance_removed_rows_total"] > 0.0);
    assert!(found["shingle_rebalance_longest_pause_seconds"] >= 0.0);

    let shrunk = done(&node, "/rebalance", &json!({ "to_shards": 2 }));
    assert_eq!(shrunk["result"]["shards"], 2, "{shrunk}");
    assert_eq!(disk.read_dir().expect("it stays").count(), 0);
    assert_eq!(contents(&node), before);
    assert!(node.db.verify(&|_| {}).expect("it can be read").is_sound());
}

#[test]
fn one_runs_at_a_time_is_seen_on_its_way_and_can_be_given_up() {
    let node = Node::start();
    fill(&node);
    let before = contents(&node);
    let slow = json!({ "to_shards": 5, "rate_bytes_per_sec": 1024 });
    let running = begin(&node, "/rebalance", &slow);
    wait_until("it copies", || status(&node)["bytes_copied"].as_u64() > Some(0));
    let refused = post(&node, "/rebalance", &json!({ "to_shards": 4 }));
    assert_eq!((refused.status, &refused.json()["id"]), (409, &running.json()["id"]), "{refused:?}");
    let other = done(&node, "/reshard", &json!({ "from": 0, "to": 1, "slots": [{ "start": 0, "end": 0 }] }));
    let said = other["error"].as_str().unwrap_or_default();
    assert!(said.contains("a rebalancing is not finished: it copies"), "{other}");

    let now = status(&node);
    assert_eq!((&now["phase"], &now["shards_after"], &now["slots_done"]), (&json!("copying"), &json!(5), &json!(0)));
    assert_eq!((&now["bytes_per_sec_max"], &now["failure"]), (&json!(1024), &Value::Null));
    assert!(now["fraction"].as_f64() > Some(0.0), "changes are copied, and count: {now}");
    let map = get(node.address(), "/slot-map").json();
    assert_eq!((&map["epoch"], &map["next"]["epoch"]), (&json!(1), &json!(2)), "{map}");
    let found = metrics(&node);
    for (name, value) in [
        ("shingle_rebalance_running", 1.0),
        ("shingle_rebalance_stopped", 0.0),
        ("shingle_rebalance_state{state=\"copying\"}", 1.0),
        ("shingle_rebalance_state{state=\"cleaning\"}", 0.0),
        ("shingle_rebalance_moving_slots", now["slots"].as_f64().expect("a number")),
        ("shingle_rebalance_moved_slots", 0.0),
        ("shingle_prune_held_back{by=\"rebalance\"}", 0.0),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    assert!(found["shingle_rebalance_progress_ratio"] > 0.0 && found["shingle_rebalance_progress_ratio"] < 1.0);
    assert!(found["shingle_rebalance_copied_bytes_total"] > 0.0);
    commit(&node.db, 6);

    let given_up = done(&node, "/rebalance/abort", &json!({}));
    assert_eq!(given_up["result"]["aborted"], true, "{given_up}");
    let ended = wait_for(&node, &running);
    assert!(ended["error"].as_str().is_some_and(|error| error.contains("aborted")), "{ended}");
    wait_until("it is cleaned up", || status(&node) == Value::Null);
    assert_eq!((node.db.shards(), node.db.slot_map().epoch()), (3, 1));
    let stats = node.db.stats().rebalance;
    assert_eq!((stats.runs, stats.aborted, stats.failed, stats.slots), (0, 1, 0, 0), "{stats:?}");
    let then = contents(&node);
    assert_eq!((then.0.len(), &then.1), (before.0.len(), &before.1));
    assert_eq!(done(&node, "/rebalance", &json!({ "to_shards": 4 }))["result"]["shards"], 4, "the next one may begin");
    assert_eq!(contents(&node), then);
}

#[test]
fn another_rate_counts_at_once_and_progress_never_falls() {
    let node = Node::start();
    fill(&node);
    let before = contents(&node);
    let running = begin(&node, "/rebalance", &json!({ "to_shards": 4, "rate_bytes_per_sec": 1024 }));
    wait_until("it copies", || status(&node)["bytes_copied"].as_u64() > Some(0));
    assert_eq!(done(&node, "/rebalance/rate", &json!({ "rate_bytes_per_sec": 200_000 }))["state"], "done");
    // Somebody else waits for the same, by another name.
    let resumed = begin(&node, "/rebalance/resume", &json!({ "rate_bytes_per_sec": 200_000 }));
    let mut last = 0.0;
    wait_until("it ends", || {
        let now = status(&node);
        let Some(fraction) = now["fraction"].as_f64() else { return true };
        assert!((last..=1.0).contains(&fraction), "{fraction} after {last}: {now}");
        last = fraction;
        false
    });
    for operation in [&running, &resumed] {
        assert_eq!(wait_for(&node, operation)["result"]["shards"], 4);
    }
    assert_eq!(contents(&node), before);
}

/// A full target disk: it stops, says why, loses nothing, and goes on once there is room.
#[test]
fn one_that_has_stopped_says_why_and_is_resumed() {
    let Some(disk) = Mount::new(&["-t", "tmpfs", "-o", "size=24m", "tmpfs"]) else { return };
    let node = Node::start();
    fill(&node);
    let before = contents(&node);
    let asked = json!({ "to_shards": 4, "shard_dirs": [disk.path()], "rate_bytes_per_sec": 1024 });
    let running = begin(&node, "/rebalance", &asked);
    wait_until("it copies", || status(&node)["bytes_copied"].as_u64() > Some(0));
    let filler = disk.path().join("filler");
    let mut file = std::fs::File::create(&filler).expect("an empty file takes no room");
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    done(&node, "/rebalance/rate", &json!({}));
    let failed = wait_for(&node, &running);
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("no space left")), "{failed}");
    let now = status(&node);
    assert!(now["failure"].as_str().is_some_and(|why| why.contains("no space left")), "{now}");
    let found = metrics(&node);
    for name in ["shingle_rebalance_running", "shingle_rebalance_stopped", "shingle_rebalance_failures_total"] {
        assert_eq!(found[name], 1.0, "{name}");
    }
    assert_eq!(contents(&node), before);
    let still_full = done(&node, "/rebalance/resume", &json!({}));
    assert_eq!(still_full["state"], "failed", "{still_full}");
    drop(file);
    std::fs::remove_file(&filler).expect("it is ours");
    let resumed = done(&node, "/rebalance/resume", &json!({}));
    assert_eq!(resumed["result"]["shards"], 4, "{resumed}");
    assert_eq!((status(&node), metrics(&node)["shingle_rebalance_stopped"]), (Value::Null, 0.0));
    assert_eq!(contents(&node), before);
    let Node { server, db, dir } = node;
    server.shutdown();
    db.close().expect("a sound store");
    drop((dir, disk));
}

/// A node that ends in the midst of it goes on with it when it is started again.
#[test]
fn an_end_in_the_midst_of_it_is_waited_for_by_nobody() {
    let node = Node::start();
    fill(&node);
    let before = contents(&node);
    begin(&node, "/rebalance", &json!({ "to_shards": 4, "rate_bytes_per_sec": 1024 }));
    wait_until("it copies", || status(&node)["bytes_copied"].as_u64() > Some(0));
    let store = node.store_dir();
    let Node { server, db, dir } = node;
    server.shutdown();
    db.close().expect("a sound store");
    let db = loop {
        match shingle::Database::open(&store) {
            Err(error) if error.kind() == shingle::ErrorKind::Locked => std::thread::yield_now(),
            opened => break opened.expect("a sound store"),
        }
    };
    let server = db.serve("127.0.0.1:0".parse().expect("an address")).start().expect("it can listen");
    let node = Node { server, db, dir };
    assert_eq!(status(&node)["bytes_per_sec_max"], 1024, "as it was asked to");
    node.db.set_rebalance_rate(None).expect("room on the disk");
    wait_until("it is gone on with", || status(&node) == Value::Null);
    assert_eq!((node.db.shards(), contents(&node)), (4, before));
}
