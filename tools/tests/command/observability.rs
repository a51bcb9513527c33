//! The dashboard, the alarms and the documents name only metrics that exist, and Prometheus takes them.

use crate::http::get;
use crate::serving::Serving;
use crate::support::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What users of the shards' engine know it by; each shard's own.
const ENGINE: [&str; 7] = [
    "rocksdb_estimate_num_keys",
    "rocksdb_total_sst_size_bytes",
    "rocksdb_cache_hit_rate",
    "rocksdb_compaction_cpu_micros",
    "rocksdb_write_stall_micros",
    "rocksdb_num_files_level0",
    "rocksdb_num_immutable_mem_table",
];

const SHARDS: usize = 8;

fn repository() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests")).join("..")
}

fn file(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every word that is, or begins like, the name of a metric.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("rocksdb_") || word.starts_with("shingle_")).collect()
}

fn demo(place: &Place) -> Serving {
    place.token("token");
    let node = Serving::start(place, &["--demo", "--blocks-per-second", "50", "--token-file", "token"]);
    // The newest block is exported once there is one, and so is the newest checkpoint and its block.
    while !get(node.url(), "/metrics").expect("it answers").contains("\nshingle_height ") {
        std::thread::sleep(Duration::from_millis(5));
    }
    place.ok(&["checkpoint", "create", "first", "--url", node.url(), "--token-file", "token"]);
    node
}

/// The kind of each family.
fn families(exposition: &str) -> BTreeMap<&str, &str> {
    let kinds = exposition.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    kinds.collect()
}

#[test]
fn what_the_dashboard_the_alarms_and_the_documents_name_is_exported() {
    let place = Place::new();
    let node = demo(&place);
    let exposition = get(node.url(), "/metrics").expect("it answers");
    let exported = families(&exposition);
    let is_exported = |name: &str| {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        exported.contains_key(name) || of_histogram.is_some_and(|base| exported.get(base) == Some(&"histogram"))
    };
    let alarms = file("tools/observability/alerts.yml");
    let texts = [
        ("grafana.json", file("tools/observability/grafana.json")),
        ("alerts.yml", alarms.clone()),
        ("alerts_test.yml", file("tools/observability/alerts_test.yml")),
        ("operations.md", file("docs/operations.md")),
        ("tuning.md", file("docs/tuning.md")),
        ("rebalancing.md", file("docs/rebalancing.md")),
    ];
    for (name, text) in &texts {
        let named = names(text);
        assert!(named.len() > 5 || *name == "rebalancing.md" && !named.is_empty(), "{name} names {named:?}");
        let unknown: Vec<_> = named.iter().filter(|name| !is_exported(name) && !name.ends_with('_')).collect();
        assert!(unknown.is_empty(), "{name} names {unknown:?}, which nobody exports");
    }
    let [dashboard, runbooks] = [names(&texts[0].1), names(&texts[3].1)];
    for name in ENGINE {
        for shard in 0..SHARDS {
            assert!(exposition.contains(&format!("\n{name}{{shard=\"{shard}\"}} ")), "{name} of shard {shard}");
        }
        assert!(dashboard.contains(name), "the dashboard does not show {name}");
        assert!(name.ends_with("num_keys") || names(&alarms).contains(name), "no alarm watches {name}");
        assert!(name.ends_with("num_keys") || runbooks.contains(name), "no runbook names {name}");
    }
    let helped = exposition.lines().filter(|line| line.starts_with("# HELP ")).count();
    assert_eq!(helped, exported.len(), "each has its help");
}

/// What is missing until there is something to tell is named in the runbooks.
#[test]
fn figures_that_may_be_missing_are_listed() {
    let place = Place::new();
    place.ok(&["put", "--create", "k", "v"]);
    let node = Serving::start(&place, &[]);
    let empty = get(node.url(), "/metrics").expect("it answers");
    node.end();
    place.ok(&["demo", "--dir", "chain", "--blocks", "3", "--accounts", "50", "--transfers", "5"]);
    place.ok(&["checkpoint", "create", "one", "--dir", "chain"]);
    let node = Serving::start(&place, &["--dir", "chain"]);
    let full = get(node.url(), "/metrics").expect("it answers");
    node.end();
    let (empty, full) = (families(&empty), families(&full));
    let missing: BTreeSet<_> = full.keys().filter(|name| !empty.contains_key(*name)).copied().collect();
    let runbooks = file("docs/operations.md");
    let listed = runbooks.split("| missing |").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("the table");
    let listed: BTreeSet<_> = listed.lines().filter(|line| line.contains("there is no")).flat_map(names).collect();
    assert_eq!(missing, listed);
}

#[test]
fn the_dashboard_is_one_that_grafana_takes() {
    let dashboard: serde_json::Value = serde_json::from_str(&file("tools/observability/grafana.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has its own number");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().expect("targets");
        assert!(targets.iter().all(|target| target["expr"].is_string()), "{panel}");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().zip(place["w"].as_u64()).is_some_and(|(x, w)| x + w <= 24), "{panel}");
    }
}

/// Each alarm leads to a part of the runbooks that is there, and is raised in a test.
#[test]
fn each_alarm_has_its_runbook() {
    let runbooks = file("docs/operations.md");
    let anchors: BTreeSet<String> = runbooks
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.to_lowercase().replace(' ', "-"))
        .collect();
    let (alarms, tests) = (file("tools/observability/alerts.yml"), file("tools/observability/alerts_test.yml"));
    let led: Vec<_> =
        alarms.lines().filter_map(|line| line.trim().strip_prefix("runbook: docs/operations.md#")).collect();
    let named: Vec<_> = alarms.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(led.len(), named.len());
    for anchor in led {
        assert!(anchors.contains(anchor), "there is no runbook {anchor}");
    }
    for name in named {
        assert!(tests.contains(&format!("\"{name}\"")), "no test raises {name}");
        assert!(runbooks.contains(name) || name.starts_with("Rocksdb"), "no runbook names {name}");
    }
}

/// Whether it is installed; says so if not.
fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("SKIPPED: {program} is not installed; scripts/setup tests installs it");
    }
    there
}

#[test]
fn promtool_takes_the_rules_and_the_exposition() {
    if !is_there("promtool") {
        return;
    }
    for args in [
        &["check", "config", "tools/observability/prometheus.yml"][..],
        &["check", "rules", "tools/observability/alerts.yml"],
        &["test", "rules", "tools/observability/alerts_test.yml"],
    ] {
        let output = Command::new("promtool").args(args).current_dir(repository()).output().expect("it is there");
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
    let place = Place::new();
    let node = demo(&place);
    place.write("metrics", &get(node.url(), "/metrics").expect("it answers"), 0o600);
    let metrics = std::fs::File::open(place.path("metrics")).expect("it was written");
    let checked = Command::new("promtool").args(["check", "metrics"]).stdin(metrics).output().expect("it is there");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    // Two names are older than the conventions that they break. Everything else keeps them.
    let kept = ["rocksdb_compaction_cpu_micros", "rocksdb_write_stall_micros"]
        .map(|name| format!("{name} counter metrics should have"));
    for line in said.lines().filter(|line| !line.trim().is_empty()) {
        assert!(kept.iter().any(|kept| line.starts_with(kept)), "{line}");
    }
}

/// A process that is killed when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// What Prometheus answers a query with: values by their labels.
fn query(prometheus: &str, text: &str) -> Option<Vec<(serde_json::Value, f64)>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let encoded: String =
        text.chars().map(|c| if plain(c) { c.to_string() } else { format!("%{:02X}", c as u32) }).collect();
    let answer: serde_json::Value =
        serde_json::from_str(&get(prometheus, &format!("/api/v1/query?query={encoded}"))?).ok()?;
    let found = answer["data"]["result"].as_array()?.iter();
    found.map(|one| Some((one["metric"].clone(), one["value"][1].as_str()?.parse().ok()?))).collect()
}

/// A Prometheus watches a node under load for a minute.
#[test]
fn prometheus_has_every_metric_of_every_shard_and_sums_agree() {
    if !is_there("prometheus") {
        return;
    }
    let place = Place::new();
    let node = demo(&place);
    let target = node.url().trim_start_matches("http://");
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: shingle\n    static_configs: [{{ targets: [\"{target}\"] }}]\n"
    );
    place.write("prometheus.yml", &config, 0o600);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let prometheus = format!("http://{free}");
    let process = Command::new("prometheus")
        .arg(format!("--config.file={}", place.path("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", place.path("tsdb").display()))
        .arg(format!("--web.listen-address={free}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is there");
    let _running = Running(process);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_secs(5));
        for verb in [&["flush"][..], &["prune", "--keep-blocks", "100"]] {
            place.ok(&[verb, &["--url", node.url(), "--token-file", "token"]].concat());
        }
    }
    let ask = |text: &str| query(&prometheus, text).unwrap_or_else(|| panic!("no answer to {text}"));
    let scrapes = ask("count_over_time(up[1m])")[0].1;
    // A machine that is busy with something else makes one or the other late.
    let answered = ask("avg_over_time(up[1m])")[0].1;
    assert!(scrapes >= 30.0 && answered > 0.8, "{scrapes} scrapes, of which {answered} were answered in time");
    for name in ENGINE {
        let shards: BTreeSet<_> = ask(name).iter().map(|(labels, _)| labels["shard"].to_string()).collect();
        assert_eq!(shards.len(), SHARDS, "{name}");
    }
    for (per_shard, total) in [
        ("rocksdb_estimate_num_keys", "shingle_rocksdb_estimate_num_keys"),
        ("rocksdb_total_sst_size_bytes", "shingle_rocksdb_total_sst_size_bytes"),
        ("rocksdb_compaction_cpu_micros", "shingle_rocksdb_compaction_cpu_seconds_total * 1e6"),
        ("rocksdb_write_stall_micros", "shingle_rocksdb_write_stall_seconds_total * 1e6"),
        ("rocksdb_num_files_level0", "shingle_rocksdb_num_files_level0"),
        ("rocksdb_num_immutable_mem_table", "shingle_rocksdb_num_immutable_mem_table"),
        ("shingle_shard_writes_total", "shingle_writes_total"),
        ("shingle_shard_memtable_bytes", "shingle_memtable_bytes"),
        ("shingle_shard_slots", "shingle_slots"),
    ] {
        let apart = ask(&format!("abs(sum({per_shard}) - sum({total}))"));
        assert!(apart[0].1 < 1.0, "{per_shard} and {total} are {} apart", apart[0].1);
    }
    assert!(ask("rate(shingle_commits_total[30s])")[0].1 > 1.0, "the node is under load");
    assert!(ask("sum(rocksdb_total_sst_size_bytes)")[0].1 > 0.0);
    for name in
        ["shingle_prunes_total", "shingle_pruned_versions_total", "shingle_floor_version", "shingle_checkpoints"]
    {
        let value = ask(name)[0].1;
        assert!(value >= 1.0, "{name} is {value}");
    }
    assert!(ask("shingle_prune_duration_seconds_count - shingle_prunes_total")[0].1.abs() < 1.0);
    assert!(ask("shingle_checkpoint_age_seconds")[0].1 > 0.0);
    assert!(ask("shingle_checkpoint_last_longest_commit_seconds")[0].1 > 0.0, "commits went on beside it");
    let hits = ask(
        "rocksdb_cache_hit_rate - 100 * shingle_shard_block_cache_hits_total / (shingle_shard_block_cache_hits_total + shingle_shard_block_cache_misses_total)",
    );
    assert!(hits.len() == SHARDS && hits.iter().all(|(_, apart)| apart.abs() < 1e-6 || apart.is_nan()), "{hits:?}");
}
