//! An open store, and its threads.

use crate::batch::Batch;
use crate::blocks::{Block, SealedBlock};
use crate::checkpoint::{Checkpoint, CheckpointProgress, Checkpoints};
use crate::commit::{CommitHandle, Lifecycle, Pipeline, Prepared};
use crate::core::Core;
use crate::counters::Counts;
use crate::feed::{ChangeFeed, Diff};
use crate::flush::{Awaiting, Flushed, Flusher};
use crate::health::Condition;
use crate::histogram::Distribution;
use crate::prune::{PruneOptions, PruneProgress, Pruned, Pruner, Retention};
use crate::rebalance::{
    Plan, RebalanceOptions, RebalanceRequest, RebalanceStatus, Rebalanced, Rebalancer, ReshardRequest, Simulation,
};
use crate::slot::SlotMap;
use crate::slot_stats::{MeasureProgress, SlotStatistics};
use crate::snapshot::{At, Snapshot};
use crate::stats::Stats;
use crate::transaction::{Isolation, Transaction};
use crate::verify::{VerifyProgress, VerifyReport};
use crate::{Error, Result};
use parking_lot::Mutex;
use shingle_shard::{Memory, Version};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

const FLUSH_THREAD: &str = "shingle-flush";
const CHECKPOINT_THREAD: &str = "shingle-checkpoint";
const REBALANCE_THREAD: &str = "shingle-rebalance";
const PRUNE_THREAD: &str = "shingle-prune";

type ThreadBody = fn(&Arc<Core>);

/// An open store. The `shingle` crate's `Database` is this behind a handle that can be cloned.
#[derive(Debug)]
pub struct Store {
    core: Arc<Core>,
    /// In the order in which they end.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Store {
    pub(crate) fn start(core: Core) -> Result<Store> {
        let store = Store { core: Arc::new(core), threads: Mutex::default() };
        let threads: [(&str, ThreadBody); 6] = [
            // First: they may wait for any of the others.
            (REBALANCE_THREAD, Rebalancer::run),
            (CHECKPOINT_THREAD, Checkpoints::run),
            (PRUNE_THREAD, Pruner::run),
            ("shingle-log", Pipeline::run_log),
            ("shingle-apply", Pipeline::run_apply),
            (FLUSH_THREAD, Flusher::run),
        ];
        for (name, body) in threads {
            if name == CHECKPOINT_THREAD
                && (store.core.disk.is_none() || store.core.options.checkpoint_interval.is_none())
            {
                continue;
            }
            let core = Arc::clone(&store.core);
            let thread = std::thread::Builder::new()
                .name(name.into())
                .spawn(move || {
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(&core))).is_err() {
                        core.abandon(name);
                    }
                })
                .map_err(|error| Error::Thread { name, cause: Arc::new(error) })?;
            store.threads.lock().push(thread);
        }
        Ok(store)
    }

    /// Queues a batch.
    ///
    /// # Errors
    /// A batch out of bounds; a store that is closed, poisoned, or out of memory because its flushes fail; a disk too full to reserve versions.
    pub fn submit(&self, block: Option<Block>, batch: &Batch) -> Result<CommitHandle> {
        let options = &self.core.options;
        let topology = self.core.shards.keep();
        let prepared = Prepared::commit(topology, batch, block, options.durability, options.batch_bytes_max)?;
        self.core.submit(prepared, None)
    }

    /// The newest value of `key`.
    ///
    /// # Errors
    /// A key out of bounds, damage, I/O.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.core.get_newest(key)
    }

    /// Opens a snapshot.
    ///
    /// # Errors
    /// A version or a height that does not exist, is pruned or rolled back.
    pub fn snapshot(&self, at: At) -> Result<Snapshot> {
        Snapshot::open(&self.core, at)
    }

    /// Opens a snapshot of the newest version.
    #[must_use]
    pub fn snapshot_newest(&self) -> Snapshot {
        Snapshot::newest(&self.core)
    }

    /// Begins a transaction.
    #[must_use]
    pub fn begin(&self, isolation: Isolation) -> Transaction {
        Transaction::begin(&self.core, isolation)
    }

    /// Runs `body` in transactions until one commits, a bounded number of times.
    ///
    /// # Errors
    /// What `body` returns, or what keeps the commit from being written; [`Error::TooManyConflicts`] if each try met one.
    pub fn transact<T>(&self, isolation: Isolation, body: impl FnMut(&mut Transaction) -> Result<T>) -> Result<T> {
        Transaction::transact(&self.core, isolation, body)
    }

    /// Removes everything above the block of this height.
    ///
    /// # Errors
    /// No block of this height; one below the floor; a store that is closed or poisoned; a full disk; I/O.
    pub fn roll_back_to(&self, height: u64) -> Result<Version> {
        self.core.roll_back_to(height)
    }

    /// What versions above `after` wrote.
    ///
    /// # Errors
    /// A version that does not exist, is pruned or rolled back.
    pub fn changes_since(&self, after: Version) -> Result<ChangeFeed> {
        ChangeFeed::new(self.snapshot_newest(), after)
    }

    /// The keys whose values differ between two heights.
    ///
    /// # Errors
    /// A height that does not exist or is pruned; damage; I/O.
    pub fn diff(&self, from_height: u64, to_height: u64) -> Result<Diff> {
        Diff::new(self.snapshot(At::Height(from_height))?, self.snapshot(At::Height(to_height))?)
    }

    /// Writes all memtables to the shards' backends.
    ///
    /// # Errors
    /// A full disk, I/O: nothing is lost, the memtables stay.
    pub fn flush(&self) -> Result<Flushed> {
        self.core.flush_all()
    }

    /// Removes what a retention lets go, or counts it.
    ///
    /// # Errors
    /// A retention that keeps nothing; a store that is closed, poisoned or cannot be flushed; damage; I/O.
    pub fn prune(
        &self,
        retention: &Retention,
        options: PruneOptions,
        progress: &(dyn Fn(PruneProgress) + Sync),
    ) -> Result<Pruned> {
        self.core.prune(retention, options, progress)
    }

    /// Moves slots, makes shards and removes them, as a plan says.
    ///
    /// # Errors
    /// A plan that does not fit the store; another one that is unfinished; directories that are in use; a store that is closed or poisoned; a full disk; I/O.
    pub fn rebalance(
        &self,
        plan: &Plan,
        options: RebalanceOptions,
        progress: &dyn Fn(&RebalanceStatus),
    ) -> Result<Rebalanced> {
        self.core.rebalance(plan, options, progress)
    }

    /// How far the rebalancing under way is; `None`: there is none.
    #[must_use]
    pub fn rebalance_status(&self) -> Option<RebalanceStatus> {
        self.core.rebalance_status()
    }

    /// Goes on with a rebalancing that has failed, and waits for it.
    ///
    /// # Errors
    /// There is none; as [`Store::rebalance`].
    pub fn resume_rebalance(
        &self,
        options: RebalanceOptions,
        progress: &dyn Fn(&RebalanceStatus),
    ) -> Result<Rebalanced> {
        self.core.resume_rebalance(options, progress)
    }

    /// Gives up a rebalancing that has not handed over.
    ///
    /// # Errors
    /// There is none; it has handed over; as [`Store::rebalance`].
    pub fn abort_rebalance(&self) -> Result<()> {
        self.core.abort_rebalance()
    }

    /// Copies no faster than this from now on; `None`: as fast as it goes.
    ///
    /// # Errors
    /// `NoSpace`, `Io`: it goes on at the rate that it had.
    pub fn set_rebalance_rate(&self, bytes_per_sec: Option<u64>) -> Result<()> {
        self.core.set_rebalance_rate(bytes_per_sec)
    }

    /// The shard on which each slot lives.
    #[must_use]
    pub fn slot_owners(&self) -> Vec<usize> {
        self.core.shards.now().map.iter().collect()
    }

    /// Lets the clock and the number of blocks start flushes, or not. Memory that runs full is flushed in any case.
    pub fn set_automatic_flush(&self, automatic: bool) {
        self.core.flusher.set_automatic(automatic);
    }

    /// Whether the clock and the number of blocks start flushes.
    #[must_use]
    pub fn is_automatic_flush(&self) -> bool {
        self.core.flusher.is_automatic()
    }

    /// Makes every buffered commit durable.
    ///
    /// # Errors
    /// A failed sync, which poisons the store.
    pub fn sync(&self) -> Result<()> {
        self.core.sync()
    }

    /// Reads everything on disk and checks it.
    ///
    /// # Errors
    /// A store that is poisoned or cannot be flushed. Damage is in the report.
    pub fn verify(&self, progress: &(dyn Fn(VerifyProgress) + Sync)) -> Result<VerifyReport> {
        self.core.verify(progress)
    }

    /// Makes a checkpoint of the newest version, under a name of its own. Commits go on meanwhile; flushes and rollbacks wait for a part of it.
    ///
    /// # Errors
    /// A name that no checkpoint can have, or that one has; a store in memory; a full disk; I/O.
    pub fn checkpoint(&self, name: &str, progress: &(dyn Fn(CheckpointProgress) + Sync)) -> Result<Checkpoint> {
        self.core.create_checkpoint(name, progress)
    }

    /// The checkpoints, oldest first.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        self.core.list_checkpoints()
    }

    /// Deletes a checkpoint.
    ///
    /// # Errors
    /// No such checkpoint, or one that is being read; I/O.
    pub fn delete_checkpoint(&self, name: &str) -> Result<()> {
        self.core.delete_checkpoint(name)
    }

    /// The newest block.
    #[must_use]
    pub fn head(&self) -> Option<SealedBlock> {
        self.core.newest_block()
    }

    /// The block of this height.
    #[must_use]
    pub fn block(&self, height: u64) -> Option<SealedBlock> {
        self.core.blocks.read().at_height(height)
    }

    /// The blocks whose heights lie in a range, lowest first.
    #[must_use]
    pub fn blocks(&self, heights: impl std::ops::RangeBounds<u64>) -> Vec<SealedBlock> {
        self.core.blocks.read().range(heights).to_vec()
    }

    /// The newest visible version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.core.visible()
    }

    /// The oldest version that can be read.
    #[must_use]
    pub fn floor(&self) -> Version {
        self.core.snapshots.floor()
    }

    /// How many shards the store has.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.core.shards.now().all().len()
    }

    /// The number of the shard that `key` lives on.
    #[must_use]
    pub fn shard_of(&self, key: &[u8]) -> usize {
        self.core.shards.now().number_of(key).0
    }

    /// The store's directory; `None` for a store in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.core.disk.as_ref().map(|disk| disk.dir.as_path())
    }

    /// Whether the store takes commits.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.core.condition()
    }

    /// Which shard each slot lives on.
    #[must_use]
    pub fn slot_map(&self) -> SlotMap {
        self.core.shards.now().map.clone()
    }

    /// Where slots are going to, while they are copied; `None`: none are on their way.
    #[must_use]
    pub fn next_slot_map(&self) -> Option<SlotMap> {
        self.core.shards.now().next.clone()
    }

    /// Tells those who find the store locked at which address this process serves it; `None`: at none any more.
    pub fn announce(&self, address: Option<&str>) {
        if let Some(disk) = &self.core.disk {
            disk.lock.announce(address);
        }
    }

    /// What was counted since the store was opened, and how long commits took, in microseconds: cheap enough to be asked for every second.
    #[must_use]
    pub fn counts(&self) -> (Counts, Distribution) {
        (self.core.counters.counts(), self.core.counters.commit_micros.distribution())
    }

    /// What the memtables take.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.core.memory()
    }

    /// The store's figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// What a rebalancing would do. Changes nothing.
    ///
    /// # Errors
    /// A request out of bounds.
    pub fn plan_rebalance(&self, request: &RebalanceRequest) -> Result<Simulation> {
        self.core.plan_rebalance(request)
    }

    /// What moving these slots would come to. Changes nothing.
    ///
    /// # Errors
    /// Shards or slots that there are not; slots that are not on the shard named.
    pub fn plan_reshard(&self, request: &ReshardRequest) -> Result<Simulation> {
        self.core.plan_reshard(request)
    }

    /// What is known of each slot.
    #[must_use]
    pub fn slot_stats(&self) -> SlotStatistics {
        self.core.slot_stats()
    }

    /// Reads every key, and counts keys and bytes of each slot. Returns what is then known.
    ///
    /// # Errors
    /// A rollback meanwhile, damage, I/O.
    pub fn measure_slots(&self, progress: &(dyn Fn(MeasureProgress) + Sync)) -> Result<SlotStatistics> {
        self.core.measure_slots(progress)?;
        Ok(self.core.slot_stats())
    }

    /// Writes what is queued, syncs the log and ends the threads. Snapshots stay readable until they are dropped; the store's files, and its
    /// lock, stay open as long as one is. Closing a closed store does nothing.
    ///
    /// # Errors
    /// A failed sync.
    pub fn close(&self) -> Result<()> {
        let mut threads = self.threads.lock();
        if threads.is_empty() {
            return Ok(());
        }
        let _no_flush_rests = Awaiting::begin(&self.core.flusher.awaited);
        self.core.rebalancer.stop();
        self.core.checkpoints.stop();
        // First: it may wait for a flush, and that for the pipeline.
        self.core.pruner.stop();
        self.core.sequencer.lock().lifecycle = Lifecycle::Closing;
        self.core.pipeline.queued.notify_all();
        // A checkpoint that somebody makes is given up and removed, while there still is a pipeline that it may wait for.
        drop(self.core.checkpoints.exclude());
        for thread in threads.drain(..) {
            // The pipeline's threads end first: they may wait for a flush.
            if thread.thread().name() == Some(FLUSH_THREAD) {
                self.core.flusher.stop();
            }
            // A panic was caught and poisoned the store, which is reported below.
            thread.join().ok();
        }
        self.core.health.check()?;
        // The log first: what it has not synced, the block index must not have.
        if let Some(log) = &self.core.log {
            let next_version = self.core.sequencer.lock().next_version();
            log.lock().close(next_version)?;
        }
        self.core.save_slot_stats();
        self.core.persist_blocks(self.core.visible())
    }
}

impl Drop for Store {
    /// Closes the store; a failure here is found by the recovery of the next opening.
    fn drop(&mut self) {
        let _found_at_next_open = self.close();
    }
}
