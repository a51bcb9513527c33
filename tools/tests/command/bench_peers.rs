//! Other stores in the benchmarks, so small that they measure nothing: each runs what it can, and answers rightly.

use crate::support::Place;

const SMALL: [&str; 7] = ["--rounds", "1", "--keys", "2000", "--shards", "3", "--json"];

fn run(workload: &[&str], peers: &str, figure: &str) {
    let report = Place::new().json(&[&["bench"], workload, &["--against", peers], &SMALL].concat());
    let stores = report["stores"].as_array().expect("there are stores");
    assert_eq!(stores.len(), 1 + peers.split(',').count());
    for store in stores {
        let value = &store["median"][figure];
        assert!(value.as_f64().is_some_and(|value| value > 0.0), "{figure} of {} is {value}", store["name"]);
        assert!(store["configuration"].as_object().is_some_and(|pairs| pairs.len() > 3), "{store}");
    }
}

const ALL: &str = "fjall,redb,lmdb,surrealkv";

#[test]
fn blocks() {
    run(&["blocks", "--blocks", "3", "--updates", "100"], ALL, "settled_updates_per_second");
}

#[test]
fn reads() {
    run(&["reads", "--seconds", "1"], ALL, "absent_reads_per_second");
    run(&["reads", "--seconds", "1"], "surrealkv", "old_height_reads_per_second");
}

#[test]
fn transfers() {
    run(&["transfers", "--seconds", "1"], ALL, "transactions_per_second");
    run(&["hot", "--seconds", "1"], ALL, "transactions_per_second");
}

#[test]
fn history() {
    run(&["history", "--versions", "3", "--seconds", "1"], "surrealkv", "operations_per_second");
}

#[test]
fn scan() {
    run(&["scan", "--seconds", "1"], ALL, "full_scan_keys_per_second");
}

#[test]
fn ycsb() {
    for workload in ["ycsb-a", "ycsb-d", "ycsb-e", "ycsb-f"] {
        run(&[workload, "--seconds", "1", "--threads", "3"], ALL, "operations_per_second");
    }
}

#[test]
fn buffered() {
    run(&["ycsb-a", "--seconds", "1", "--durability", "buffered"], "fjall,lmdb,surrealkv", "operations_per_second");
}

#[cfg(unix)]
#[test]
fn recovery() {
    run(&["recovery", "--log", "1MiB", "--updates", "500"], ALL, "open_s");
}
