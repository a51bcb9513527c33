//! What `/metrics` says: true to the store, shards and sums alike, also while it is written to.

use crate::http::get;
use crate::{Node, commit};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Samples by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
            (name.to_owned(), value.parse().unwrap_or_else(|error| panic!("{error}: {line}")))
        })
        .collect()
}

fn scrape(node: &Node) -> BTreeMap<String, f64> {
    samples(&get(node.address(), "/metrics").body)
}

fn of_shards(samples: &BTreeMap<String, f64>, name: &str) -> Vec<f64> {
    (0..3).map(|shard| samples[&format!("{name}{{shard=\"{shard}\"}}")]).collect()
}

#[test]
fn shards_and_sums_agree_with_the_store() {
    let node = Node::start();
    for round in 0..6 {
        commit(&node.db, 6 + round);
        node.db.flush().expect("a sound store");
    }
    for _ in 0..100 {
        node.db.get("key 7").expect("a sound store");
    }
    let (found, stats) = (scrape(&node), node.db.stats());
    for (per_shard, total, factor) in [
        ("rocksdb_estimate_num_keys", "shingle_rocksdb_estimate_num_keys", 1.0),
        ("rocksdb_total_sst_size_bytes", "shingle_rocksdb_total_sst_size_bytes", 1.0),
        ("rocksdb_num_files_level0", "shingle_rocksdb_num_files_level0", 1.0),
        ("rocksdb_num_immutable_mem_table", "shingle_rocksdb_num_immutable_mem_table", 1.0),
        ("rocksdb_compaction_cpu_micros", "shingle_rocksdb_compaction_cpu_seconds_total", 1e6),
        ("rocksdb_write_stall_micros", "shingle_rocksdb_write_stall_seconds_total", 1e6),
        ("shingle_shard_slots", "shingle_slots", 1.0),
        ("shingle_shard_live_bytes", "shingle_live_bytes", 1.0),
        ("shingle_shard_memtable_bytes", "shingle_memtable_bytes", 1.0),
        ("shingle_shard_unflushed_bytes", "shingle_unflushed_bytes", 1.0),
        ("shingle_shard_writes_total", "shingle_writes_total", 1.0),
    ] {
        let sum: f64 = of_shards(&found, per_shard).iter().sum();
        assert!((sum - found[total] * factor).abs() < 0.5, "{per_shard}: {sum}, {total}: {}", found[total]);
    }
    assert_eq!(found["shingle_rocksdb_estimate_num_keys"], 550.0, "eleven versions of fifty keys");
    assert_eq!(found["shingle_writes_total"], 550.0);
    assert_eq!(found["shingle_slots"], 4096.0);
    assert!(found["shingle_reads_total{source=\"memory\"}"] >= 100.0);
    assert!(of_shards(&found, "rocksdb_total_sst_size_bytes").iter().all(|bytes| *bytes > 0.0));
    for (shard, (hit_rate, cpu)) in stats.shards.iter().zip(
        of_shards(&found, "rocksdb_cache_hit_rate").into_iter().zip(of_shards(&found, "rocksdb_compaction_cpu_micros")),
    ) {
        let engine = shard.engine.expect("statistics are on");
        assert!((0.0..=100.0).contains(&hit_rate), "{hit_rate}");
        assert!(cpu <= engine.compaction_cpu_micros as f64);
    }
    assert_eq!(found["shingle_commits_total"], 11.0);
    assert_eq!(found["shingle_commit_duration_seconds_count"], 11.0);
    assert_eq!(found["shingle_commit_duration_seconds_bucket{le=\"+Inf\"}"], 11.0);
    assert_eq!((found["shingle_visible_version"], found["shingle_height"]), (11.0, 11.0));
    assert_eq!(found["shingle_flushes_total"], 6.0);
    assert_eq!(found["shingle_flush_duration_seconds_count"], 6.0);
    assert_eq!(found["shingle_log_syncs_total"], found["shingle_log_sync_duration_seconds_count"]);
}

/// How transactions end, each once.
#[test]
fn transactions_are_committed_or_aborted() {
    let node = Node::start();
    node.db.transact(|txn| txn.put("a", "1")).expect("nobody is in the way");
    node.db.begin().abort();
    node.db.begin().commit().expect("it has read nothing");
    let (mut first, mut second) = (node.db.begin(), node.db.begin());
    first.put("b", "1").and_then(|()| second.put("b", "2")).expect("short keys");
    first.commit().expect("nobody is in the way");
    second.commit().expect_err("the first was faster");
    let held = node.db.snapshot();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let found = scrape(&node);
    let of = |name: &str| found[&format!("shingle_transactions_{name}_total")];
    assert_eq!((of("started"), of("committed"), of("aborted")), (5.0, 3.0, 2.0));
    assert_eq!(found["shingle_conflicts_total"], 1.0);
    assert_eq!(found["shingle_open_snapshots"], 1.0);
    assert!(found["shingle_oldest_snapshot_age_seconds"] >= 0.02, "{found:?}");
    assert_eq!(found["shingle_oldest_snapshot_version"], held.version() as f64);
    drop(held);
    assert_eq!(scrape(&node)["shingle_open_snapshots"], 0.0);
}

/// Counters never fall and histograms add up, whatever happens meanwhile.
#[test]
fn a_scrape_during_heavy_commits_is_sound() {
    let node = Node::start();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let (node, done) = (&node, &done);
            scope.spawn(move || {
                for round in 0_u64.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    node.db.transact(|txn| txn.put(format!("{writer} {}", round % 100), "v")).expect("a sound store");
                }
            });
        }
        let sealing = scope.spawn(|| {
            for height in 6.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                commit(&node.db, height);
                assert!(node.db.stats().blocks >= 5);
            }
        });
        let mut before = BTreeMap::new();
        for round in 0..60 {
            if round % 20 == 10 {
                node.db.flush().expect("a sound store");
            }
            let now = scrape(&node);
            for (name, value) in &now {
                let counts = name.contains("_total") && !name.contains("sst_size")
                    || name.contains("_bucket")
                    || name.contains("_count");
                let then = before.get(name).copied().unwrap_or(0.0);
                assert!(!counts || *value >= then, "{name} fell from {then} to {value}");
            }
            let buckets = now.iter().filter(|(name, _)| name.starts_with("shingle_commit_duration_seconds_bucket"));
            let largest = buckets.map(|(_, value)| *value).fold(0.0, f64::max);
            assert_eq!(now["shingle_commit_duration_seconds_count"], largest);
            assert!(now["shingle_visible_version"] >= before.get("shingle_visible_version").copied().unwrap_or(0.0));
            before = now;
        }
        done.store(true, Ordering::Relaxed);
        sealing.join().expect("no panic");
    });
}

/// Without statistics RocksDB counts nothing, and nothing is said rather than zero: an alarm on a hit rate of 0 would be false.
#[test]
fn what_is_not_counted_is_not_exported() {
    let db = shingle::Database::in_memory().expect("memory is there");
    let server = db.serve("127.0.0.1:0".parse().expect("an address")).start().expect("it can listen");
    let body = get(server.address(), "/metrics").body;
    assert!(!body.contains("cache_hit_rate") && !body.contains("stall") && !body.contains("shingle_log"), "{body}");
    assert!(body.contains("\nrocksdb_estimate_num_keys{shard=\"3\"} 0\n"), "{body}");
}
