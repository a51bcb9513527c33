//! `shingle rollback`.

use crate::args::RollbackArgs;
use crate::failure::Usage;
use crate::output::Output;
use crate::units;
use serde::Serialize;
use shingle::{Database, Version};

#[derive(Serialize)]
struct RolledBack {
    height: u64,
    version: u64,
    blocks_removed: usize,
    /// Versions that were committed after the newest block, and belong to none.
    later_versions_removed: u64,
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
    let later_versions_removed = later_versions(&db, head.version)?;
    let removed = Removed { blocks: blocks_removed as u64, later_versions: later_versions_removed };
    let version = if blocks_removed == 0 && later_versions_removed == 0 {
        db.version()
    } else if args.yes {
        db.rollback_to(to_height)?
    } else {
        let newest = head.height;
        let what = format!("{removed} above height {to_height} (the newest is {newest}) would be lost for good");
        return Err(Usage(format!("{what}; say --yes to do it")).into());
    };
    db.close()?;
    if out.json {
        out.document(&RolledBack { height: to_height, version, blocks_removed, later_versions_removed })
    } else {
        out.line(format_args!("height {to_height}, version {version}: {removed} taken back"))
    }
}

/// How many versions wrote something after the newest block.
fn later_versions(db: &Database, newest_block: Version) -> anyhow::Result<u64> {
    let (mut count, mut last) = (0, newest_block);
    for change in db.changes_since(newest_block)? {
        let version = change?.version;
        count += u64::from(version > last);
        last = version;
    }
    Ok(count)
}

struct Removed {
    blocks: u64,
    later_versions: u64,
}

impl std::fmt::Display for Removed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} blocks", units::count(self.blocks))?;
        match self.later_versions {
            0 => Ok(()),
            versions => write!(f, " and {} versions after the newest block", units::count(versions)),
        }
    }
}
