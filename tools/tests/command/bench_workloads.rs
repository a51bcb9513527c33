//! The workloads that clients drive, so small that they measure nothing: each runs, checks its answers, and reports every figure.

use crate::support::Place;
use serde_json::Value;

const SMALL: [&str; 7] = ["--rounds", "1", "--keys", "2000", "--shards", "3", "--json"];

fn run(place: &Place, workload: &[&str], against: &[&str]) -> Value {
    let report = place.json(&[&["bench"], workload, against, &SMALL].concat());
    assert_eq!(report["bench"], workload[0]);
    assert_eq!(report["stores"][0]["name"], "shingle");
    report
}

const ROCKSDB: &[&str] = &["--against", "rocksdb"];
const VERSIONED: &[&str] = &["--against", "rocksdb-versioned"];
const BOTH: &[&str] = &["--against", "rocksdb,rocksdb-versioned"];

fn assert_positive(report: &Value, figures: &[&str]) {
    for store in report["stores"].as_array().expect("there are stores") {
        for figure in figures {
            let value = &store["median"][figure];
            assert!(value.as_f64().is_some_and(|value| value > 0.0), "{figure} of {} is {value}", store["name"]);
        }
    }
}

#[test]
fn history() {
    let report = run(&Place::new(), &["history", "--versions", "3", "--seconds", "1"], VERSIONED);
    assert_positive(&report, &["operations_per_second", "operation_p50_us", "operation_p999_us", "operation_max_us"]);
}

#[test]
fn a_history_needs_a_store_that_keeps_it() {
    let refused = Place::new().fails(2, &["bench", "history", "--keys", "100", "--against", "rocksdb"]);
    assert!(refused.contains("rocksdb") && refused.contains("keeps no older versions"), "{refused}");
}

#[test]
fn scan() {
    let report = run(&Place::new(), &["scan", "--length", "50", "--seconds", "1"], BOTH);
    assert_positive(
        &report,
        &["ranges_per_second", "range_keys_per_second", "full_scan_keys_per_second", "range_p99_us"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn cold() {
    let report = run(&Place::new(), &["cold", "--seconds", "1"], BOTH);
    assert_positive(&report, &["disk_reads_per_second", "page_cache_reads_per_second", "open_s", "file_bytes"]);
}

#[cfg(unix)]
#[test]
fn recovery() {
    let place = Place::new();
    let report = run(&place, &["recovery", "--log", "1MiB", "--updates", "500"], BOTH);
    assert_positive(&report, &["open_s_per_gib", "open_s", "committed_bytes"]);
    let left = std::fs::read_dir(place.path(".")).expect("it is there").count();
    assert_eq!(left, 0, "the child that was killed leaves nothing behind");
}

#[test]
fn ycsb() {
    for workload in ["ycsb-a", "ycsb-b", "ycsb-c", "ycsb-d", "ycsb-e"] {
        let report = run(&Place::new(), &[workload, "--seconds", "1"], BOTH);
        assert_positive(&report, &["operations_per_second", "operation_p50_us", "operation_p99_us"]);
        let written = &report["stores"][0]["median"]["bytes_written_per_operation"];
        assert_eq!(written.is_null(), workload == "ycsb-c", "{workload} wrote {written}");
    }
    let report = run(&Place::new(), &["ycsb-f", "--seconds", "1", "--threads", "3"], ROCKSDB);
    assert_positive(&report, &["operations_per_second"]);
}

#[test]
fn mixgraph() {
    for keys in ["power", "uniform"] {
        let report = run(&Place::new(), &["mixgraph", "--key-distribution", keys, "--seconds", "1"], BOTH);
        assert_positive(&report, &["operations_per_second", "bytes_written_per_byte_committed"]);
    }
}

#[test]
fn hot_keys_conflict() {
    let report = run(&Place::new(), &["hot", "--threads", "6", "--seconds", "1"], ROCKSDB);
    assert_positive(&report, &["transactions_per_second", "conflicts_per_transaction"]);
}

/// Every request is due at a time of its own, and none is left out.
#[test]
fn a_fixed_rate_asks_as_often_as_it_says() {
    for workload in ["transfers", "ycsb-a", "ycsb-d"] {
        let args = [workload, "--rate", "500/s", "--in-flight", "8", "--threads", "2", "--seconds", "2"];
        let place = Place::new();
        let csv = place.path("results.csv");
        let report = run(&place, &[&args, &["--csv", csv.to_str().expect("it is text")][..]].concat(), &[]);
        assert_eq!(report["arguments"]["rate"], 500.0);
        let rows = std::fs::read_to_string(&csv).expect("the rows were written");
        let per_second = rows.lines().filter(|row| row.contains(",per_second of "));
        let done: f64 = per_second.filter_map(|row| row.rsplit(',').next()?.parse::<f64>().ok()).sum();
        // Each point stands for a fiftieth of a second or more; with 2 s, a point is the shortest there is, 50 ms.
        assert_eq!((done * 0.05).round(), 1000.0, "{workload}");
    }
}

#[test]
fn results_go_to_files() {
    let place = Place::new();
    let blocks = ["bench", "blocks", "--blocks", "2", "--updates", "50", "--keys", "200", "--rounds", "2"];
    place.ok(&[&blocks[..], &["--shards", "1,2", "--csv", "out.csv", "--html", "out.html"]].concat());
    let rows = std::fs::read_to_string(place.path("out.csv")).expect("the rows were written");
    assert!(rows.starts_with("workload,store,round,series,x,value\n"), "{rows}");
    for part in
        ["\"shingle, 1 shard\",1,figure,burst_updates_per_second,", "\"shingle, 2 shards\",2,latency_us of block,0.99,"]
    {
        assert!(rows.contains(part), "{part} is not in {rows}");
    }
    let page = std::fs::read_to_string(place.path("out.html")).expect("the page was written");
    assert!(page.contains("Scaling over shards") && page.contains("<svg") && page.contains("prefers-color-scheme"));
    assert!(
        !page.contains("http:") && !page.contains("https:") && !page.contains("src="),
        "the page needs nothing else"
    );
    assert!(page.contains("too short for a line: shingle, 1 shard, shingle, 2 shards"), "what is not drawn is named");
}

#[test]
fn arguments_are_checked() {
    let place = Place::new();
    for args in [
        &["bench", "ycsb-a", "--rate", "0"][..],
        &["bench", "ycsb-a", "--theta", "1"],
        &["bench", "history", "--versions", "0"],
        &["bench", "recovery", "--log", "1KiB"],
        &["bench", "blocks", "--shards", "1,0"],
        &["bench", "blocks", "--durability", "hopeful"],
    ] {
        place.fails(2, args);
    }
}
