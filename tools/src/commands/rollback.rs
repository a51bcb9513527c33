//! `shingle rollback`.

use crate::args::RollbackArgs;
use crate::output::Output;
use crate::{progress, units};
use anyhow::bail;
use serde::Serialize;
use shingle::{At, Database, Version};

#[derive(Serialize)]
struct RolledBack {
    /// Whether it was done. If not, this is what would go, and the store is as it was.
    done: bool,
    to_height: u64,
    blocks: u64,
    /// Versions that were committed after the newest block, and belong to none.
    later_versions: u64,
    /// The store's newest version now.
    version: Version,
}

pub(crate) fn run(args: &RollbackArgs, out: &mut Output) -> anyhow::Result<()> {
    let spinner = progress::spinner("rolling back");
    let result = roll_back(args);
    spinner.finish_and_clear();
    let (result, newest) = result?;
    if out.json {
        return out.document(&result);
    }
    let RolledBack { done, to_height, version, .. } = result;
    let removed = result.removed();
    match (done, result.is_nothing()) {
        (_, true) => out.line(format_args!("nothing lies above height {to_height}: nothing to do")),
        (true, false) => out.line(format_args!("height {to_height}, version {version}: {removed} taken back")),
        (false, false) => out.line(format_args!(
            "going back to height {to_height} from {newest} would lose {removed}, for good; nothing was changed: say --yes to do it"
        )),
    }
}

/// What is done or would be, and the height of the newest block before.
fn roll_back(args: &RollbackArgs) -> anyhow::Result<(RolledBack, u64)> {
    let db = args.store.open()?;
    let to_height = args.to_height;
    let Some(head) = db.head() else { bail!("the store has no blocks: there is nothing to roll back to") };
    let newest = head.height;
    if db.block(to_height).is_none() {
        bail!("there is no block of height {to_height}; the newest block's height is {newest}");
    }
    // What the rollback would refuse, its preview refuses with the same words.
    drop(db.snapshot_at(At::Height(to_height))?);
    let blocks = to_height.checked_add(1).map_or(0, |first| db.blocks(first..).len()) as u64;
    let later_versions = later_versions(&db, head.version)?;
    let mut result = RolledBack { done: false, to_height, blocks, later_versions, version: db.version() };
    result.done = args.yes || result.is_nothing();
    if result.done && !result.is_nothing() {
        result.version = db.rollback_to(to_height)?;
    }
    db.close()?;
    Ok((result, newest))
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

impl RolledBack {
    fn is_nothing(&self) -> bool {
        self.blocks == 0 && self.later_versions == 0
    }

    /// What goes, or would go.
    fn removed(&self) -> String {
        let blocks = units::counted(self.blocks, "block");
        match self.later_versions {
            0 => blocks,
            versions => format!("{blocks} and {} after the newest block", units::counted(versions, "version")),
        }
    }
}
