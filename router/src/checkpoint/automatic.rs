//! Checkpoints by the number of blocks, and the figures of all.

use super::create::Named;
use super::list::{Checkpoint, checkpoints, names};
use crate::commit::Group;
use crate::core::Core;
use crate::{Error, Result};
use parking_lot::{Condvar, Mutex, MutexGuard};
use shingle_shard::Version;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How long a checkpoint that failed rests before it is tried again: its cause, a full disk mostly, needs somebody's hand.
const RETRY: Duration = Duration::from_secs(30);

/// Figures of the checkpoints made since the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CheckpointStats {
    /// Checkpoints made.
    pub made: u64,
    /// Checkpoints that failed, and times that one which was too many could not be deleted.
    pub failed: u64,
    /// How long the last one took, in milliseconds.
    pub last_duration_ms: u64,
    /// The version of the last one.
    pub last_version: Option<Version>,
    /// When it was made, in milliseconds since 1970.
    pub last_created_ms: Option<u64>,
    /// The longest that a commit took while it was made, in microseconds; `None`: nobody committed meanwhile.
    pub last_longest_commit_micros: Option<u64>,
    /// The same of all checkpoints.
    pub longest_commit_micros: Option<u64>,
    /// Why the last one that was tried failed, or why those that were too many then could not be deleted; `None`: neither.
    pub last_failure: Option<String>,
    /// After how many blocks the store makes one by itself; `None`: never.
    pub interval_blocks: Option<u64>,
    /// Checkpoints that there are, those with a manifest that cannot be read left out.
    pub kept: u64,
    /// The newest of them.
    pub newest: Option<Checkpoint>,
}

/// The checkpoints as they were when their manifests were last read.
#[derive(Debug, Default)]
struct Listed {
    /// Their names; `None`: one was made or deleted since.
    names: Option<Vec<String>>,
    found: Vec<Checkpoint>,
}

/// What the making of checkpoints shares.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    /// One at a time is made or deleted. Taken before the flusher's lock.
    pub(super) making: Mutex<()>,
    stats: Mutex<CheckpointStats>,
    listed: Mutex<Listed>,
    /// Blocks sealed since the last automatic checkpoint.
    blocks_since: AtomicU64,
    /// A block was sealed since the store was opened: who opens it to read makes no checkpoint.
    sealed: AtomicBool,
    stop: AtomicBool,
    sleeping: Mutex<()>,
    /// With the lock of `sleeping`: enough blocks are sealed, or the store closes.
    wake: Condvar,
}

impl Checkpoints {
    /// What is there has changed: its manifests are read anew.
    pub(super) fn changed(&self) {
        self.listed.lock().names = None;
    }

    pub(super) fn note(&self, took: Duration, longest_commit_micros: u64, made: &Result<Checkpoint>) {
        // A name that is taken is the caller's mistake: nothing was tried.
        if matches!(made, Err(Error::CheckpointExists { .. })) {
            return;
        }
        self.changed();
        let mut stats = self.stats.lock();
        stats.last_failure = made.as_ref().err().map(Error::to_string);
        match made {
            Ok(checkpoint) => {
                stats.made += 1;
                stats.last_longest_commit_micros = Some(longest_commit_micros).filter(|&micros| micros > 0);
                stats.longest_commit_micros = stats.longest_commit_micros.max(stats.last_longest_commit_micros);
                stats.last_duration_ms = took.as_millis() as u64;
                (stats.last_version, stats.last_created_ms) = (Some(checkpoint.version), Some(checkpoint.created_ms));
            }
            // What the end of the store cuts short has not failed.
            Err(Error::Closed) => stats.last_failure = None,
            Err(_) => stats.failed += 1,
        }
    }

    /// Counts the blocks of an applied group.
    pub(crate) fn applied(&self, core: &Core, group: &Group) {
        let Some(interval) = core.options.checkpoint_interval else { return };
        let blocks = group.iter().filter(|commit| commit.block.is_some()).count() as u64;
        if blocks == 0 {
            return;
        }
        let before = self.blocks_since.fetch_add(blocks, Ordering::Relaxed);
        self.sealed.store(true, Ordering::Relaxed);
        if before + blocks >= interval {
            let _not_between_look_and_sleep = self.sleeping.lock();
            self.wake.notify_one();
        }
    }

    /// Keeps checkpoints away until the guard is dropped.
    pub(crate) fn exclude(&self) -> MutexGuard<'_, ()> {
        self.making.lock()
    }

    /// Set when the store closes.
    pub(super) fn stopping(&self) -> &AtomicBool {
        &self.stop
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Ends the thread, and a checkpoint that is being made, by it or by anybody.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let _not_between_look_and_sleep = self.sleeping.lock();
        self.wake.notify_all();
    }

    /// The thread of automatic checkpoints.
    pub(crate) fn run(core: &Arc<Core>) {
        let this = &core.checkpoints;
        let Some(interval) = core.options.checkpoint_interval else { return };
        this.blocks_since.fetch_add(core.blocks_since_automatic(), Ordering::Relaxed);
        let stops = || this.stop.load(Ordering::Relaxed);
        while !stops() {
            let due = || this.sealed.load(Ordering::Relaxed) && this.blocks_since.load(Ordering::Relaxed) >= interval;
            let mut sleeping = this.sleeping.lock();
            this.wake.wait_while(&mut sleeping, |()| !stops() && !due());
            drop(sleeping);
            if !stops() && core.make_automatic().is_err() {
                let mut sleeping = this.sleeping.lock();
                this.wake.wait_while_for(&mut sleeping, |()| !stops(), RETRY);
            }
        }
    }
}

impl Core {
    /// The figures of checkpoints. They are asked for every second: manifests are read only when there are others than before.
    pub(crate) fn checkpoint_stats(&self) -> CheckpointStats {
        let mut stats = self.checkpoints.stats.lock().clone();
        stats.interval_blocks = self.options.checkpoint_interval.filter(|_| self.disk.is_some());
        if let Some(disk) = &self.disk {
            let mut listed = self.checkpoints.listed.lock();
            // Where the directory cannot be read now, what was found before is told.
            if let Ok(names) = names(&disk.dir)
                && listed.names.as_ref() != Some(&names)
                && let Ok(found) = checkpoints(&disk.dir)
            {
                *listed = Listed { names: Some(names), found };
            }
            let mut sound = listed.found.iter().filter(|checkpoint| checkpoint.damage.is_none());
            stats.kept = sound.clone().count() as u64;
            stats.newest = sound.next_back().cloned();
        }
        stats
    }

    /// Blocks above the newest automatic checkpoint, when the store is opened.
    fn blocks_since_automatic(&self) -> u64 {
        let made = self.list_checkpoints().unwrap_or_default();
        let newest = made.iter().rfind(|checkpoint| checkpoint.automatic).and_then(|checkpoint| checkpoint.block);
        let first = newest.map_or(0, |block| block.height.saturating_add(1));
        self.blocks.read().range(first..).len() as u64
    }

    /// Makes a checkpoint, then deletes those that are too many. A failure is in the figures.
    fn make_automatic(self: &Arc<Self>) -> Result<()> {
        let this = &self.checkpoints;
        let counted = this.blocks_since.load(Ordering::Relaxed);
        self.make_checkpoint(Named::Automatic, &|_| {})?;
        this.blocks_since.fetch_sub(counted, Ordering::Relaxed);
        if let Err(error) = self.delete_too_many() {
            let mut stats = this.stats.lock();
            stats.failed += 1;
            stats.last_failure = Some(error.to_string());
        }
        Ok(())
    }

    /// Deletes the oldest automatic checkpoints. One that cannot be deleted keeps none of the others, and is tried again with the next one that is made;
    /// the first failure is returned.
    fn delete_too_many(&self) -> Result<()> {
        // What somebody has moved to another place is theirs.
        let is_ours = |checkpoint: &Checkpoint| checkpoint.automatic && !checkpoint.path.is_symlink();
        let automatic: Vec<_> = self.list_checkpoints()?.into_iter().filter(is_ours).collect();
        let too_many = automatic.len().saturating_sub(self.options.checkpoints_kept);
        let delete = |checkpoint: &Checkpoint| match self.delete_checkpoint(&checkpoint.name) {
            // It is being read, or somebody was faster.
            Err(Error::CheckpointInUse { .. } | Error::NoSuchCheckpoint { .. }) => Ok(()),
            deleted => deleted,
        };
        let outcomes: Vec<_> = automatic.iter().take(too_many).map(delete).collect();
        outcomes.into_iter().collect()
    }
}
