//! `shingle rollback`.

use crate::args::RollbackArgs;
use crate::failure::Usage;
use crate::output::Output;
use crate::units;
use serde::Serialize;

#[derive(Serialize)]
struct RolledBack {
    height: u64,
    version: u64,
    blocks_removed: usize,
}

pub(crate) fn run(args: &RollbackArgs, out: &mut Output) -> anyhow::Result<()> {
    let db = args.store.open()?;
    let to_height = args.to_height;
    let head =
        db.head().ok_or_else(|| Usage("the store has no blocks: there is nothing to roll back to".to_owned()))?;
    if db.block(to_height).is_none() {
        let newest = head.height;
        return Err(Usage(format!("the store has no block of height {to_height}; its newest is {newest}")).into());
    }
    let blocks_removed = to_height.checked_add(1).map_or(0, |first| db.blocks(first..).len());
    if !args.yes {
        let blocks = units::count(blocks_removed as u64);
        let what =
            format!("{blocks} blocks above height {to_height} (the newest is {}) would be lost for good", head.height);
        return Err(Usage(format!("{what}; say --yes to do it")).into());
    }
    let version = db.rollback_to(to_height)?;
    db.close()?;
    if out.json {
        out.document(&RolledBack { height: to_height, version, blocks_removed })
    } else {
        out.line(format_args!(
            "height {to_height}, version {version}: {} blocks taken back",
            units::count(blocks_removed as u64)
        ))
    }
}
