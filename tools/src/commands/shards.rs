//! `shingle shards`.

use crate::args::ShardsArgs;
use crate::output::Output;
use crate::{progress, units};
use serde::Serialize;
use shingle::{Database, ShardLoad, SlotStatistics};
use std::path::PathBuf;

#[derive(Serialize)]
struct Shards {
    measured_at: Option<u64>,
    half_life_secs: u64,
    shards: Vec<Shard>,
}

#[derive(Serialize)]
struct Shard {
    #[serde(flatten)]
    load: ShardLoad,
    path: Option<PathBuf>,
    /// Of its files.
    file_bytes: u64,
}

pub(crate) fn run(args: &ShardsArgs, out: &mut Output) -> anyhow::Result<()> {
    let db = args.store.open()?;
    let statistics = statistics(&db, args.measure)?;
    let figures = db.stats().shards;
    db.close()?;
    let shard = |(&load, figures): (&ShardLoad, &shingle::ShardStats)| Shard {
        load,
        path: figures.path.clone(),
        file_bytes: figures.file_bytes,
    };
    let shards = Shards {
        measured_at: statistics.measured_at,
        half_life_secs: statistics.half_life_secs,
        shards: statistics.shards.iter().zip(&figures).map(shard).collect(),
    };
    if out.json { out.document(&shards) } else { shards.print(out) }
}

/// What is known of the slots, after reading every key if `measure` says so.
pub(super) fn statistics(db: &Database, measure: bool) -> anyhow::Result<SlotStatistics> {
    if !measure {
        return Ok(db.slot_stats());
    }
    let bar = progress::bar("measuring", 0);
    let measured = db.measure_slots(&|progress| {
        bar.set_length(progress.rows_estimate.max(progress.keys));
        bar.set_position(progress.keys);
        bar.set_message(format!("{} keys", units::count(progress.keys)));
    });
    bar.finish_and_clear();
    Ok(measured?)
}

/// How far the figures can be trusted, in a line under them.
pub(super) fn provenance(measured_at: Option<u64>, half_life_secs: u64) -> String {
    let keys = match measured_at {
        Some(version) => format!("keys were counted at version {version}, bytes are shared out by what was written"),
        None => "keys and bytes are estimated (--measure counts them)".to_owned(),
    };
    format!("reads and writes halve in weight every {} min; {keys}", half_life_secs / 60)
}

impl Shards {
    fn print(&self, out: &mut Output) -> anyhow::Result<()> {
        let all = self.shards.iter().map(|shard| shard.load.heat()).sum::<u64>();
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
        for Shard { load, .. } in &self.shards {
            total.slots += load.slots;
            total.keys += load.keys;
            total.bytes += load.bytes;
            total.reads += load.reads;
            total.writes += load.writes;
        }
        let files = self.shards.iter().map(|shard| shard.file_bytes).sum();
        let rows = self.shards.iter().map(|shard| row(shard.load.number.to_string(), &shard.load, shard.file_bytes));
        let header = ["shard", "slots", "keys", "bytes", "files", "reads", "writes", "heat"];
        out.table(&header, rows.chain([row("all".to_owned(), &total, files)]))?;
        out.line(format_args!("\n{}", provenance(self.measured_at, self.half_life_secs)))
    }
}
