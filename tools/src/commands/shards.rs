//! `shingle shards`.

use crate::args::ShardsArgs;
use crate::args::TokenArgs;
use crate::output::Output;
use crate::remote::Node;
use crate::{progress, units};
use serde_json::{Value, json};
use shingle::{Database, ShardLoad, ShardOccupancy, ShardStatistics};

pub(crate) fn run(args: &ShardsArgs, out: &mut Output) -> anyhow::Result<()> {
    let shards = match args.node.node()? {
        Some(node) => {
            measure_on(&node, args.measure, &args.token)?;
            node.get("/shards")?
        }
        None => {
            let db = args.store.open()?;
            measure(&db, args.measure)?;
            let shards = db.shard_stats();
            db.close()?;
            shards
        }
    };
    if out.json { out.document(&shards) } else { print(&shards, out) }
}

/// Reads every key, if it was asked for, so that keys and bytes of each slot are known.
pub(super) fn measure(db: &Database, asked: bool) -> anyhow::Result<()> {
    if !asked {
        return Ok(());
    }
    let bar = progress::bar("measuring", 0);
    let measured = db.measure_slots(&|progress| {
        bar.set_length(progress.rows_estimate.max(progress.keys));
        bar.set_position(progress.keys);
        bar.set_message(format!("{} keys", units::count(progress.keys)));
    });
    bar.finish_and_clear();
    measured?;
    Ok(())
}

/// Has a running node do it.
pub(super) fn measure_on(node: &Node, asked: bool, token: &TokenArgs) -> anyhow::Result<()> {
    if asked {
        node.act::<Value>("slots/measure", &json!({}), token)?;
    }
    Ok(())
}

/// What stands in the figure of keys: before they are measured, the rows that hold them.
pub(super) fn keys_or_rows(measured_at: Option<u64>) -> &'static str {
    if measured_at.is_some() { "keys" } else { "rows, estimated" }
}

/// How far the figures can be trusted, in a line under them.
pub(super) fn provenance(measured_at: Option<u64>, half_life_secs: u64) -> String {
    let keys = match measured_at {
        Some(version) => format!("keys were counted at version {version}, bytes are shared out by what was written"),
        None => {
            "rows, of which a key has one for each version, and bytes are estimated (--measure counts keys)".to_owned()
        }
    };
    format!("reads and writes halve in weight every {} min; {keys}", half_life_secs / 60)
}

fn print(statistics: &ShardStatistics, out: &mut Output) -> anyhow::Result<()> {
    let all = statistics.shards.iter().map(|shard| shard.load.heat()).sum::<u64>();
    let share =
        |heat: u64| if all == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * heat as f64 / all as f64) };
    let row = |name: String, load: &ShardLoad, file_bytes: u64| {
        vec![
            name,
            units::count(load.slots),
            units::count(load.keys),
            units::bytes(load.bytes),
            units::bytes(file_bytes),
            units::count(load.reads),
            units::count(load.writes),
            share(load.heat()),
        ]
    };
    let mut total = ShardLoad::default();
    for ShardOccupancy { load, .. } in &statistics.shards {
        total.slots += load.slots;
        total.keys += load.keys;
        total.bytes += load.bytes;
        total.reads += load.reads;
        total.writes += load.writes;
    }
    let files = statistics.shards.iter().map(|shard| shard.file_bytes).sum();
    let rows = statistics.shards.iter().map(|shard| row(shard.load.number.to_string(), &shard.load, shard.file_bytes));
    let header =
        ["shard", "slots", keys_or_rows(statistics.measured_at), "bytes", "on disk", "reads", "writes", "heat"];
    out.table(&header, rows.chain([row("all".to_owned(), &total, files)]))?;
    out.line(format_args!("\n{}", provenance(statistics.measured_at, statistics.half_life_secs)))
}
