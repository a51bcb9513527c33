//! The benchmarks, so small that they measure nothing: every workload runs on both stores and reports every figure.

use crate::support::Place;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

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

fn is_empty(dir: &std::path::Path) -> bool {
    std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}

/// Ctrl-C, and what a service manager sends: nothing is left of the stores, though they are being written.
#[cfg(unix)]
#[test]
fn a_benchmark_that_is_ended_leaves_nothing_behind() {
    for (signal, workload) in [
        ("TERM", &["blocks", "--keys", "3000000"][..]),
        ("INT", &["transfers", "--keys", "20000", "--seconds", "600"]),
        ("TERM", &["checkpoint", "--keys", "20000", "--seconds", "600"]),
        ("INT", &["curve", "shards", "--keys", "3000000"]),
        ("TERM", &["recovery", "--keys", "3000000"]),
    ] {
        let place = Place::new();
        let scratch = place.path("scratch");
        let args = [&["bench"], workload, &["--scratch", "scratch"]].concat();
        let mut bench =
            place.command(&args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("it can be run");
        // Until there is a store in its directory of its own.
        let is_at_work = || {
            let own = std::fs::read_dir(&scratch).ok().and_then(|mut entries| entries.next()?.ok());
            own.is_some_and(|own| !is_empty(&own.path()))
        };
        while !is_at_work() {
            assert!(bench.try_wait().expect("it is ours").is_none(), "{workload:?} ended before anything was asked");
            std::thread::sleep(Duration::from_millis(10));
        }
        let pid = bench.id().to_string();
        let asked = Command::new("kill").args([format!("-{signal}"), pid]).status().expect("there is a shell's kill");
        assert!(asked.success());
        let status = bench.wait().expect("it is waited for once");
        assert_eq!(status.code(), Some(130), "{workload:?}: {status}");
        assert!(is_empty(&scratch), "{workload:?} and {signal} left something in {}", scratch.display());
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

/// Minutes of measuring are not lost to a path that nothing can be written to.
#[test]
fn where_results_cannot_go_is_said_before_anything_is_measured() {
    let place = Place::new();
    for option in ["--csv", "--html"] {
        let said = place.fails(1, &["bench", "blocks", "--keys", "100000000", option, "none/results"]);
        assert!(said.contains("cannot write none/results"), "{said}");
    }
    place.fails(1, &["bench", "curve", "keys", "--html", "none/results"]);
}
