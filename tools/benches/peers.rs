//! Shingle beside other embedded stores, in one table: blocks, reads and transactions on the same keys, in turns.
//!
//! ```text
//! cargo bench --workspace --features peers --bench peers -- [arguments of every `shingle bench`, such as --rounds 3]
//! ```
//! It runs `shingle bench`, so that there is one harness; the settings of each store are printed below the table.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use serde_json::Value;
use std::process::{Command, ExitCode, Stdio};

const HELP: &str = "\
Measures Shingle beside RocksDB (plain, and with versions in its keys), fjall, redb, LMDB and SurrealKV.

Usage: cargo bench --workspace --features peers --bench peers -- [OPTIONS]

OPTIONS are passed to `shingle bench blocks`, `reads` and `transfers`, each of which must know them: --rounds, --keys, --shards,
--cache, --scratch and what else `shingle help bench blocks` has in common with the others. One round takes a quarter of an hour.

Example: cargo bench --workspace --features peers --bench peers -- --rounds 3 --scratch /mnt/disk";

/// Stores without transactions are left out of the last two.
const RUNS: [(&str, &[&str]); 4] = [
    ("blocks", &["blocks", "--against", "rocksdb,rocksdb-versioned,fjall,redb,lmdb,surrealkv"]),
    ("reads", &["reads", "--against", "rocksdb,rocksdb-versioned,fjall,redb,lmdb,surrealkv"]),
    ("transfers", &["transfers", "--threads", "8", "--against", "rocksdb,fjall,redb,lmdb,surrealkv"]),
    ("pipelined", &["transfers", "--threads", "2", "--in-flight", "4096"]),
];

/// The table's columns: the run, its figure, what stands above it, and by what the figure is divided.
const COLUMNS: [(&str, &str, &str, f64); 9] = [
    ("blocks", "burst_updates_per_second", "blocks, burst, k/s", 1e3),
    ("blocks", "settled_updates_per_second", "settled, k/s", 1e3),
    ("blocks", "block_commit_p50_ms", "block p50, ms", 1.0),
    ("blocks", "block_commit_p99_ms", "p99, ms", 1.0),
    ("reads", "present_reads_per_second", "get, present, k/s", 1e3),
    ("reads", "absent_reads_per_second", "absent, k/s", 1e3),
    ("reads", "old_height_reads_per_second", "old height, k/s", 1e3),
    ("transfers", "transactions_per_second", "transactions, 8 threads, k/s", 1e3),
    ("pipelined", "transactions_per_second", "pipelined, 2 threads, k/s", 1e3),
];

fn main() -> ExitCode {
    // Cargo says what is run.
    let passed: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if passed.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let mut reports = Vec::new();
    for (name, args) in RUNS {
        match run(args, &passed) {
            Ok(report) => reports.push((name, report)),
            Err(error) => {
                eprintln!("peers: {name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    print_table(&reports);
    print_settings(&reports);
    ExitCode::SUCCESS
}

fn run(args: &[&str], passed: &[String]) -> Result<Value, String> {
    eprintln!("peers: shingle bench {} {}", args.join(" "), passed.join(" "));
    let mut command = Command::new(env!("CARGO_BIN_EXE_shingle"));
    command.arg("bench").args(args).args(passed).arg("--json").stderr(Stdio::inherit());
    let ended = command.output().map_err(|error| error.to_string())?;
    if !ended.status.success() {
        return Err(ended.status.to_string());
    }
    serde_json::from_slice(&ended.stdout).map_err(|error| error.to_string())
}

/// The stores of a run, by name.
fn stores(report: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let stores = report["stores"].as_array().into_iter().flatten();
    stores.filter_map(|store| Some((store["name"].as_str()?, store)))
}

fn print_table(reports: &[(&str, Value)]) {
    let Some((_, first)) = reports.first() else { return };
    println!("{}\n", first["machine"]);
    println!("| store | {} |", COLUMNS.map(|(_, _, title, _)| title).join(" | "));
    println!("|---|{}", "---|".repeat(COLUMNS.len()));
    for (name, _) in stores(first) {
        let cells = COLUMNS.map(|(run, figure, _, divisor)| {
            let report = reports.iter().find(|(name, _)| *name == run);
            let store = report.and_then(|(_, report)| stores(report).find(|(other, _)| *other == name));
            let value = store.and_then(|(_, store)| store["median"][figure].as_f64());
            value.map_or("–".to_owned(), |value| format!("{:.1}", value / divisor))
        });
        println!("| {name} | {} |", cells.join(" | "));
    }
}

fn print_settings(reports: &[(&str, Value)]) {
    let mut printed = Vec::new();
    for (run, report) in reports {
        println!("\n{run}: {}", report["arguments"]);
        for (name, store) in stores(report) {
            let settings = format!("  {name}: {}", store["configuration"]);
            // Most stores are the same in every run.
            if !printed.contains(&settings) {
                println!("{settings}");
                printed.push(settings);
            }
        }
    }
}
