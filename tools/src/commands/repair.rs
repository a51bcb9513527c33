//! `shingle repair`.

use crate::args::RepairArgs;
use crate::failure::Negative;
use crate::output::Output;
use crate::progress;
use serde::Serialize;
use shingle::{Database, RepairReport, ShardRepair};
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct Repaired<'a> {
    sound: bool,
    #[serde(flatten)]
    report: &'a RepairReport,
    /// What to run next, in order.
    commands: &'a [String],
}

pub(crate) fn run(args: &RepairArgs, out: &mut Output) -> anyhow::Result<()> {
    let dir = args.store.as_ref().unwrap_or(&args.dir);
    let spinner = progress::spinner("examining");
    let report = Database::repair(dir, &|what| spinner.set_message(what.to_owned()));
    spinner.finish_and_clear();
    let report = report?;
    let sound = report.is_sound();
    let commands = commands(dir, &report);
    if out.json {
        out.document(&Repaired { sound, report: &report, commands: &commands })?;
    } else {
        print_page(dir, &report, &commands, out)?;
    }
    if sound { Ok(()) } else { Err(Negative.into()) }
}

/// Damaged shards are replaced where all of them could be repaired; else a checkpoint is restored.
fn commands(dir: &Path, report: &RepairReport) -> Vec<String> {
    let damaged: Vec<_> = report.shards.iter().filter(|shard| shard.damage.is_some()).collect();
    let only_shards = report.manifest.is_none() && report.blocks.is_none() && report.log.is_none();
    let copies: Vec<_> = damaged
        .iter()
        .filter_map(|shard| match &shard.repair {
            Some(ShardRepair::Repaired { copy }) => Some((&shard.path, copy)),
            _ => None,
        })
        .collect();
    let repaired = only_shards && copies.len() == damaged.len();
    if repaired {
        let swap = |(shard, copy): &(&PathBuf, &PathBuf)| {
            [
                format!("mv {} {}", quoted(shard), quoted(&unused(shard, "damaged"))),
                format!("mv {} {}", quoted(copy), quoted(shard)),
            ]
        };
        return copies.iter().flat_map(swap).collect();
    }
    let restore = |name: &str| {
        let to = unused(dir, "restored");
        format!("shingle checkpoint restore {name} --dir {} --to {}", quoted(dir), quoted(&to))
    };
    report.checkpoint.iter().map(|checkpoint| restore(&checkpoint.name)).collect()
}

/// A path beside `path` that nothing has: what a command is told to make must not be there.
fn unused(path: &Path, what: &str) -> PathBuf {
    // `.` and `..` have no name, and what is put behind them would lie inside.
    let named = if path.file_name().is_some() { Ok(path.to_owned()) } else { path.canonicalize() };
    let named = named.unwrap_or_else(|_| path.to_owned());
    let beside = |number: u32| {
        let mut beside = named.components().as_path().as_os_str().to_owned();
        beside.push(format!(".{what}"));
        if number > 1 {
            beside.push(format!("-{number}"));
        }
        PathBuf::from(beside)
    };
    (1..).map(beside).find(|beside| beside.symlink_metadata().is_err()).expect("there are more numbers than files")
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c));
    if plain && !text.is_empty() { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn print_page(dir: &Path, report: &RepairReport, commands: &[String], out: &mut Output) -> anyhow::Result<()> {
    let parts = [("manifest", &report.manifest), ("block index", &report.blocks), ("commit log", &report.log)];
    for (part, damage) in parts {
        match damage {
            Some(damage) => out.line(format_args!("{part}: DAMAGED: {damage}"))?,
            None if report.manifest.is_none() => out.line(format_args!("{part}: sound"))?,
            None => out.line(format_args!("{part}: not looked at"))?,
        }
    }
    for shard in &report.shards {
        let number = shard.number;
        match &shard.damage {
            None => out.line(format_args!("shard {number}: sound"))?,
            Some(damage) => out.line(format_args!("shard {number}: DAMAGED: {damage}"))?,
        }
        match &shard.repair {
            Some(ShardRepair::Repaired { copy }) => {
                out.line(format_args!("shard {number}: RocksDB's repair made a sound copy: {}", copy.display()))?;
            }
            Some(ShardRepair::Failed { why }) => out.line(format_args!("shard {number}: not repairable: {why}"))?,
            None => {}
        }
    }
    for (name, why) in &report.damaged_checkpoints {
        out.line(format_args!("checkpoint {name:?}: of no use: {why}"))?;
    }
    out.line("")?;
    if report.is_sound() {
        return out.line("sound: nothing to repair");
    }
    if let Some(version) = report.log_last_good {
        let dir = quoted(dir);
        out.line(format_args!(
            "the log can be cut off at its last good version, {version}, for good: shingle status --recover-to-last-good --dir {dir}"
        ))?;
    }
    match (commands, &report.checkpoint) {
        ([], _) => {
            out.line("DAMAGED, and no sound checkpoint is left: restore a copy of the store, or import a checkpoint")
        }
        (commands, checkpoint) => {
            match checkpoint {
                Some(checkpoint) if commands.len() == 1 => out.line(format_args!(
                    "DAMAGED. The newest sound checkpoint is {:?} of version {}. To restore it:",
                    checkpoint.name, checkpoint.version
                ))?,
                _ => out.line("DAMAGED. To put the repaired copies in place:")?,
            }
            commands.iter().try_for_each(|command| out.line(format_args!("  {command}")))
        }
    }
}
