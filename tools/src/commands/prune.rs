//! `shingle prune`.

use crate::args::{KeepArgs, PruneArgs};
use crate::output::Output;
use crate::{progress, units};
use shingle::admin::PruneRequest;
use shingle::{PruneHold, Pruned};
use std::time::Duration;

/// The bar's steps.
const STEPS: u64 = 1000;

pub(crate) fn run(args: &PruneArgs, out: &mut Output) -> anyhow::Result<()> {
    let pruned = match args.node.node()? {
        Some(node) => node.act("prune", &args.request(), &args.token)?,
        None => prune(args)?,
    };
    if out.json { out.document(&pruned) } else { print_page(&pruned, out) }
}

fn prune(args: &PruneArgs) -> anyhow::Result<Pruned> {
    let mut builder = args.store.builder()?.create_if_missing(false).with_background_pruning(false);
    if let Some(blocks) = args.reorg_window {
        builder = builder.with_reorg_window_blocks(blocks);
    }
    let db = builder.open()?;
    let bar = progress::bar(if args.dry_run { "counting" } else { "pruning" }, STEPS);
    let asked = args.request();
    let pruned = db.prune_with(&asked.retention(), asked.options(), &|progress| {
        bar.set_position((progress.fraction * STEPS as f64) as u64);
        bar.set_message(format!("{} versions", units::count(progress.versions)));
    })?;
    bar.finish_and_clear();
    db.close()?;
    Ok(pruned)
}

impl PruneArgs {
    fn request(&self) -> PruneRequest {
        let KeepArgs { keep_blocks, keep_secs, keep_versions, below_height } = self.keep;
        let (dry_run, compact) = (self.dry_run, self.compact);
        PruneRequest { keep_blocks, keep_secs, keep_versions, below_height, dry_run, compact }
    }
}

fn print_page(pruned: &Pruned, out: &mut Output) -> anyhow::Result<()> {
    let removed = format!(
        "{} of {}, {} of keys and values, uncompressed",
        units::counted(pruned.versions, "version"),
        units::counted(pruned.keys, "key"),
        units::bytes(pruned.bytes)
    );
    let block = pruned.floor_height.map(|height| format!(", from height {height} on")).unwrap_or_default();
    let floor = match pruned.floor_before {
        before if before == pruned.floor => format!("{before}{block}, as before"),
        before => format!("{}{block} (before: {before})", pruned.floor),
    };
    let bytes = |before: u64, after: u64| format!("{} (before: {})", units::bytes(after), units::bytes(before));
    let mut properties = vec![
        (if pruned.dry_run { "would be removed" } else { "removed" }, removed),
        (if pruned.dry_run { "oldest readable version would be" } else { "oldest readable version" }, floor),
    ];
    if !pruned.dry_run {
        properties.push(("live data", bytes(pruned.before.logical_bytes, pruned.after.logical_bytes)));
        properties.push(("on disk", bytes(pruned.before.physical_bytes, pruned.after.physical_bytes)));
    }
    properties.push(("took", units::duration(Duration::from_micros(pruned.micros))));
    out.properties(&properties)?;
    if let Some(hold) = pruned.held_back {
        let (floor, wanted) = (pruned.floor, pruned.wanted);
        out.line(format_args!("held back: to version {floor} instead of {wanted}: {}", reason(hold)))?;
    }
    Ok(())
}

/// Why no more goes.
pub(super) fn reason(hold: PruneHold) -> String {
    match hold {
        PruneHold::Snapshot { version, .. } => format!("a snapshot is open at version {version}"),
        PruneHold::ReorgWindow { blocks } => {
            format!("the newest {} stay for rollbacks (reorg_window_blocks)", units::counted(blocks, "block"))
        }
        PruneHold::Rebalance => "a rebalancing is under way".to_owned(),
        PruneHold::Newest => "the newest state always stays".to_owned(),
        PruneHold::Rollback { to } => format!("a rollback to version {to} is on its way"),
    }
}
