//! `shingle status`.

use crate::args::StatusArgs;
use crate::output::Output;
use crate::units;
use shingle::{CheckpointStats, Condition, PruneStats, RebalancePhase, RebalanceStats, Stats, Status};
use std::time::Duration;

/// The floor, and what keeps it where it is.
fn floor(stats: &Stats) -> String {
    let open = stats.oldest_snapshots.iter().map(|at| {
        let age = units::duration(Duration::from_millis(at.open_ms));
        format!("{} at version {}, for {age}", units::counted(at.count, "snapshot"), at.version)
    });
    let held = stats.prune.held_back.map(super::prune::reason).into_iter().chain(open);
    let block = stats.floor_height.map(|height| format!(", from height {height} on")).unwrap_or_default();
    std::iter::once(format!("{}{block}", stats.floor)).chain(held).collect::<Vec<_>>().join("; held by ")
}

pub(crate) fn run(args: &StatusArgs, out: &mut Output) -> anyhow::Result<()> {
    let status: Status = match args.node.node()? {
        Some(node) => node.get("/status")?,
        None => args.store.open()?.status(),
    };
    if out.json {
        return out.document(&status);
    }
    let Status { dir, head, stats } = status;
    let head = match head {
        Some(block) => {
            format!(
                "height {}, version {}, at {} (timestamp {} ms)",
                block.height,
                block.version,
                units::date(block.timestamp_ms),
                block.timestamp_ms
            )
        }
        None => "no blocks yet".to_owned(),
    };
    let on_disk = stats.shards.iter().map(|shard| shard.file_bytes).sum();
    let rows = stats.shards.iter().map(|shard| shard.rows_estimate).sum();
    let log = stats.log.as_ref().map_or("none".to_owned(), |log| {
        let (used, files) = (units::bytes(log.used_bytes), units::bytes(log.bytes));
        format!("{used} of records in {}; {files} on disk", units::counted(log.segments, "segment"))
    });
    out.properties(&[
        ("store", dir.map_or("in memory".to_owned(), |dir| dir.display().to_string())),
        ("newest block", head),
        ("newest version", stats.version.to_string()),
        ("oldest readable version", floor(&stats)),
        ("rows", format!("{}, estimated, all versions counted", units::count(rows))),
        ("shards on disk", units::bytes(on_disk)),
        ("commit log", log),
        (
            "memory",
            format!(
                "{} of {} for memtables",
                units::bytes(stats.memory_bytes),
                units::bytes(stats.memory_budget_bytes)
            ),
        ),
        ("blocks", blocks(&stats)),
        ("pruning", pruning(&stats.prune)),
        ("checkpoints", checkpoints(&stats.checkpoints)),
        ("rebalancing", rebalancing(&stats.rebalance)),
        ("writes", writes(&stats.condition)),
    ])?;
    out.line("")?;
    let rows = stats.shards.iter().map(|shard| {
        vec![
            shard.number.to_string(),
            units::count(shard.rows_estimate),
            units::bytes(shard.live_bytes),
            units::bytes(shard.file_bytes),
            shard.level0_files.to_string(),
            units::bytes(shard.memory_bytes),
            units::bytes(shard.unflushed_bytes),
            shard.flushed_version.to_string(),
        ]
    });
    let header = [
        "shard",
        "rows, estimated",
        "live data",
        "on disk",
        "level-0 files",
        "in memory",
        "not flushed",
        "flushed version",
    ];
    out.table(&header, rows)
}

/// How many, and which: the first one may have the height 0.
fn blocks(stats: &Stats) -> String {
    match (stats.first_height, stats.height) {
        (Some(first), Some(newest)) => {
            format!("{}, heights {} to {}", units::count(stats.blocks), units::count(first), units::count(newest))
        }
        _ => units::count(stats.blocks),
    }
}

fn pruning(prune: &PruneStats) -> String {
    let mut said = vec![if prune.background { "by itself" } else { "by hand" }.to_owned()];
    if prune.runs > 0 {
        let removed = units::counted(prune.versions, "version");
        said.push(format!("{} removed in {}", removed, units::counted(prune.runs, "pruning")));
    }
    if prune.lag_blocks > 0 {
        said.push(format!("{} behind", units::counted(prune.lag_blocks, "block")));
    }
    if let Some(progress) = prune.progress {
        let left = progress.remaining_ms.map(|ms| format!(", {} left", units::duration(Duration::from_millis(ms))));
        said.push(format!("under way: {:.0} %{}", 100.0 * progress.fraction, left.unwrap_or_default()));
    }
    said.extend(prune.failure.as_ref().map(|why| format!("FAILED: {why}")));
    said.join("; ")
}

fn rebalancing(rebalance: &RebalanceStats) -> String {
    let Some(now) = &rebalance.under_way else { return "none under way".to_owned() };
    if let Some(why) = &now.failure {
        return format!("STOPPED, {}: {why}", super::rebalance::doing(now));
    }
    let copied = match now.phase {
        RebalancePhase::Copying => {
            let left = now.remaining_ms.map(|ms| format!(", {} left", units::duration(Duration::from_millis(ms))));
            format!(": {:.0} %{}", 100.0 * now.fraction, left.unwrap_or_default())
        }
        RebalancePhase::WaitingForReaders => format!(": {}", units::counted(now.older_readers, "reader")),
        RebalancePhase::HandingOver | RebalancePhase::Cleaning | RebalancePhase::Removing => String::new(),
    };
    format!(
        "{} to {}, {}{copied}",
        units::counted(now.slots, "slot"),
        units::counted(now.shards_after as u64, "shard"),
        super::rebalance::doing(now)
    )
}

fn checkpoints(checkpoints: &CheckpointStats) -> String {
    let mut said = vec![match &checkpoints.newest {
        None => "none".to_owned(),
        Some(newest) => {
            let (made, kept) = (units::date(newest.created_ms), units::count(checkpoints.kept));
            format!("{kept}; the newest is {:?}, version {}, made {made}", newest.name, newest.version)
        }
    }];
    if checkpoints.made > 0 {
        let took = units::duration(Duration::from_millis(checkpoints.last_duration_ms));
        let pause = checkpoints.last_longest_commit_micros.map(Duration::from_micros).map(units::duration);
        let pause = pause.map(|pause| format!(", the longest commit meanwhile {pause}"));
        said.push(format!("the last one took {took}{}", pause.unwrap_or_default()));
    }
    said.extend(checkpoints.last_failure.as_ref().map(|why| format!("FAILED: {why}")));
    said.join("; ")
}

fn writes(condition: &Condition) -> String {
    match (condition.writable, &condition.reason) {
        (true, None) => "taken".to_owned(),
        (true, Some(reason)) => format!("taken, but flushes fail: {reason}"),
        (false, reason) => format!("REFUSED: {}", reason.as_deref().unwrap_or("closed")),
    }
}
