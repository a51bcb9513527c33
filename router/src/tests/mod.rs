//! Tests that stop the store between two steps: nothing moves but what a test itself does.

mod abandoned;
mod bounds;
mod failed_sync;
mod haste;
mod reserve;
mod rollback;
mod sync;
mod winner;

use crate::commit::{CommitHandle, Group, Prepared, needs_sync};
use crate::core::Core;
use crate::layout::Layout;
use crate::lock::StoreLock;
use crate::open::{OpenOptions, recover};
use crate::store::Store;
use crate::{Batch, Block, Durability, Result};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// A store of two shards whose threads do not run. Dropping it is as good as killing its process.
struct Still {
    core: Core,
    dir: Arc<TempDir>,
}

impl Still {
    /// A new store.
    fn new(options: OpenOptions) -> Result<Still> {
        let dir = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let options = OpenOptions { shards: Some(2), ..options };
        Store::open(&path(&dir), options.clone())?.close()?;
        Still::open(dir, options)
    }

    fn open(dir: Arc<TempDir>, options: OpenOptions) -> Result<Still> {
        let path = path(&dir);
        let lock = StoreLock::acquire(&path)?;
        Ok(Still { core: recover(&Layout { dir: &path }, lock, options)?, dir })
    }

    /// Kills the store and opens it again.
    fn kill(self) -> Result<Still> {
        let Still { core, dir } = self;
        drop(core);
        Still::open(dir, OpenOptions::default())
    }

    fn prepare(&self, writes: &[(&str, &str)], block: Option<Block>, durability: Durability) -> Result<Prepared> {
        let mut batch = Batch::new();
        writes.iter().for_each(|(key, value)| {
            batch.put(key, value);
        });
        Prepared::commit(self.core.shards.keep(), &batch, block, durability, 1 << 20)
    }

    fn submit(&self, writes: &[(&str, &str)]) -> Result<CommitHandle> {
        self.core.submit(self.prepare(writes, None, Durability::Sync)?, None)
    }

    fn submit_block(&self, height: u64, writes: &[(&str, &str)]) -> Result<CommitHandle> {
        let block = Block { height, timestamp_ms: height };
        self.core.submit(self.prepare(writes, Some(block), Durability::Sync)?, None)
    }

    /// What the log thread would write next.
    fn group(&self) -> Group {
        self.core.sequencer.lock().take_group()
    }

    /// Does what the log thread does with a group.
    fn append_and_sync(&self, group: &Group) -> Result<()> {
        self.core.append(group)?;
        let outcome = self.core.make_durable(needs_sync(group));
        let newest = group.last().map_or(0, |commit| commit.version);
        self.core.pipeline.note_durable(newest, outcome.clone());
        outcome
    }

    /// Does what the threads would do, until nothing is left to do.
    fn settle(&self) -> Result<()> {
        loop {
            let group = self.group();
            if group.is_empty() {
                return Ok(());
            }
            self.append_and_sync(&group)?;
            self.core.apply_and_publish(&group);
        }
    }
}

fn path(dir: &TempDir) -> std::path::PathBuf {
    Path::join(dir.path(), "store")
}
