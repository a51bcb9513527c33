//! The benchmarks, so small that they measure nothing: every workload runs on both stores and reports every figure.

use crate::support::Place;
use serde_json::Value;

const SMALL: [&str; 9] = ["--against", "rocksdb", "--rounds", "2", "--keys", "2000", "--shards", "3", "--json"];

fn run(place: &Place, workload: &[&str]) -> Value {
    let report = place.json(&[&["bench"], workload, &SMALL].concat());
    let left: Vec<_> = std::fs::read_dir(place.path("."))
        .expect("it is there")
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    assert!(left.is_empty(), "{left:?} were left behind");
    assert_eq!(report["stores"][0]["name"], "shingle");
    assert_eq!(report["stores"][1]["name"], "rocksdb");
    for store in report["stores"].as_array().expect("two stores") {
        assert_eq!(store["rounds"].as_array().map(Vec::len), Some(2));
        assert!(store["configuration"].as_object().is_some_and(|pairs| pairs.len() > 3));
    }
    assert_eq!(report["arguments"]["key_bytes"], 32);
    assert_eq!(report["arguments"]["cache_bytes"], 1 << 30);
    report
}

/// One round is no median, and what was too short to be measured is not shown as nothing.
#[test]
fn one_round_is_told_as_it_is() {
    let place = Place::new();
    let page = place.ok(&["bench", "blocks", "--rounds", "1", "--keys", "100", "--blocks", "1", "--updates", "1"]);
    assert!(page.starts_with("bench blocks, one round on ") && !page.contains(" 0.00"), "{page}");
}

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number > 0.0)
}

#[test]
fn blocks() {
    let report = run(&Place::new(), &["blocks", "--blocks", "3", "--updates", "100"]);
    for figure in
        ["burst_updates_per_second", "settled_updates_per_second", "block_commit_p50_ms", "block_commit_p99_ms"]
    {
        assert!(
            is_positive(&report["stores"][0]["median"][figure]) && is_positive(&report["ratio_to"]["rocksdb"][figure]),
            "{report}"
        );
    }
}

#[test]
fn transfers() {
    for in_flight in ["1", "50"] {
        let report = run(&Place::new(), &["transfers", "--threads", "3", "--in-flight", in_flight, "--seconds", "1"]);
        assert!(is_positive(&report["ratio_to"]["rocksdb"]["transactions_per_second"]), "{report}");
    }
}

#[test]
fn reads() {
    let report = run(&Place::new(), &["reads", "--overwrites", "2", "--seconds", "1"]);
    for figure in ["present_reads_per_second", "absent_reads_per_second"] {
        assert!(is_positive(&report["ratio_to"]["rocksdb"][figure]), "{report}");
    }
    assert!(is_positive(&report["stores"][0]["median"]["old_height_reads_per_second"]));
    assert!(report["stores"][1]["median"]["old_height_reads_per_second"].is_null(), "RocksDB keeps no old versions");
}

#[test]
fn checkpoint() {
    let place = Place::new();
    let report = place.json(&[
        "bench",
        "checkpoint",
        "--rounds",
        "1",
        "--keys",
        "2000",
        "--shards",
        "3",
        "--seconds",
        "1",
        "--updates",
        "10",
        "--json",
    ]);
    assert!(is_positive(&report["with"]["checkpoints"]) && report["without"]["checkpoints"] == 0, "{report}");
    for phase in ["with", "without"] {
        assert!(is_positive(&report[phase]["longest_ms"]) && is_positive(&report[phase]["commits"]), "{report}");
    }
}

#[test]
fn prune() {
    let place = Place::new();
    let small = ["bench", "prune", "--rounds", "2", "--keys", "2000", "--versions", "20", "--shards", "3"];
    let report = place.json(&[&small[..], &["--json"]].concat());
    for figure in ["prune_to_full_read", "prune_s", "full_read_s"] {
        assert!(is_positive(&report["stores"][0]["median"][figure]), "{report}");
    }
    let refused = place.fails(2, &[&small[..], &["--against", "rocksdb"]].concat());
    assert!(refused.contains("--against"), "{refused}");
    let refused = place.fails(2, &["bench", "prune", "--rounds", "1000", "--keys", "2000"]);
    assert!(refused.contains("superseded"), "{refused}");
}
