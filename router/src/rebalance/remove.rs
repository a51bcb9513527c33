//! Emptied shards are closed, and their directories removed.

use super::status::RebalancePhase;
use super::{Interrupted, Unfinished};
use crate::core::Core;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How often it is looked whether somebody is still about to let go of a shard.
const LOOK: Duration = Duration::from_millis(1);

impl Core {
    /// Takes the shards from `shards_after` on out of the store. The manifest forgets them before their directories go.
    pub(super) fn drop_shards(&self, shards_after: usize) -> Result<(), Interrupted> {
        let _no_checkpoint = self.checkpoints.exclude();
        let _no_pruning = self.pruner.exclude();
        let _no_flush = self.flusher.exclude();
        let topology = self.shards.keep();
        let mut dirs = Vec::new();
        if let Some(disk) = &self.disk {
            dirs = disk.manifest.lock().shards[shards_after..].to_vec();
            let unfinished = Unfinished::Removing { dirs: dirs.clone() };
            disk.change_manifest(|manifest| {
                manifest.shards.truncate(shards_after);
                manifest.rebalance = Some(unfinished);
            })?;
        }
        fail::fail_point!("move::after_forgetting_shards");
        let (stay, go) = topology.all().split_at(shards_after);
        self.replace_topology(stay.to_vec(), topology.map.clone(), None);
        let mut state = self.rebalancer.state.lock();
        state.dropped = go.to_vec();
        state.unfinished = Some(Unfinished::Removing { dirs });
        Ok(())
    }

    /// Removes the directories of shards that the manifest has forgotten, once nobody can read in them any more.
    pub(super) fn remove_dropped(&self, dirs: &[PathBuf]) -> Result<(), Interrupted> {
        self.rebalancer.note(|figures| figures.phase = RebalancePhase::WaitingForReaders);
        self.wait_for_older_readers()?;
        self.rebalancer.note(|figures| figures.phase = RebalancePhase::Removing);
        let mut dropped = std::mem::take(&mut self.rebalancer.state.lock().dropped);
        // They are closed here: a reader that went a moment ago may still be about to.
        self.workers.moving.run(|| {
            while let Some(shard) = dropped.pop() {
                if let Err(shard) = Arc::try_unwrap(shard) {
                    dropped.push(shard);
                    thread::sleep(LOOK);
                }
            }
            fail::fail_point!("move::before_removing");
            self.disk.as_ref().map_or(Ok(()), |disk| disk.remove_shards(dirs))
        })?;
        fail::fail_point!("move::after_removing");
        Ok(())
    }
}
