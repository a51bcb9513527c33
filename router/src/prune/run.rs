//! One pruning, from its floor to its last slice.

use super::floor::Decision;
use super::{PruneOptions, PruneProgress, Pruned, Retention, Space};
use crate::core::Core;
use crate::histogram::micros;
use crate::{Error, Result};
use parking_lot::Mutex;
use rayon::prelude::*;
use shingle_shard::backend::{PruneCursor, PruneSlice};
use shingle_shard::{Shard, Version};
use std::thread;
use std::time::{Duration, Instant};

/// Changes that one slice goes through: some tenths of a second. A flush or a rollback of the shard waits for the removal of one slice at most.
const SLICE_CHANGES: usize = 1 << 18;

/// A shard with this many files at level 0 takes no further slice until compaction has caught up: what room is left is for flushes. RocksDB's own
/// `level0_slowdown_writes_trigger`.
const LEVEL0_FILES_MAX: u64 = 20;

/// How long a shard that waits for compaction rests before it looks again.
const RETRY: Duration = Duration::from_millis(20);

/// What all shards have done so far.
struct Running<'a> {
    floor: Version,
    started: Instant,
    /// Each shard's part, and the fraction of it that is done.
    shards: Mutex<Vec<(PruneProgress, f64)>>,
    tell: &'a (dyn Fn(PruneProgress) + Sync),
}

impl Running<'_> {
    fn sum(&self) -> PruneProgress {
        let shards = self.shards.lock();
        let mut sum = PruneProgress { floor: self.floor, ..PruneProgress::default() };
        for (part, fraction) in shards.iter() {
            sum.versions += part.versions;
            sum.keys += part.keys;
            sum.bytes += part.bytes;
            sum.changes += part.changes;
            sum.fraction += fraction / shards.len() as f64;
        }
        drop(shards);
        sum.estimate(self.started.elapsed());
        sum
    }

    fn add(&self, shard: usize, slice: &PruneSlice, cursor: &PruneCursor) {
        let fraction = match cursor.versions() {
            _ if cursor.finished => 1.0,
            Some((first, seen)) => (seen - first) as f64 / (self.floor.saturating_sub(first)).max(1) as f64,
            None => 0.0,
        };
        let mut shards = self.shards.lock();
        let (part, done) = &mut shards[shard];
        part.versions += slice.rows.len() as u64;
        part.keys += slice.keys;
        part.bytes += slice.bytes;
        part.changes += slice.change_count;
        *done = fraction;
    }
}

impl Core {
    /// Prunes by a retention, or counts what would go.
    ///
    /// 1. The floor is raised for all who come from now on.
    /// 2. The shards flush through it: what is flushed later lies above, and cannot bring back what goes.
    /// 3. The floor is made durable: after a crash nobody reads below it, and the next opening goes on.
    /// 4. The shards remove slice by slice. Nothing that can be read changes.
    pub(crate) fn prune(
        &self,
        retention: &Retention,
        options: PruneOptions,
        tell: &(dyn Fn(PruneProgress) + Sync),
    ) -> Result<Pruned> {
        retention.check()?;
        let _one_at_a_time = self.pruner.exclude();
        self.pruner.check_open()?;
        self.health.check()?;
        // A height that is not reached yet is a slip of the hand, for which nothing goes.
        let newest = self.newest_block().map(|block| block.height);
        if let Some(height) = retention.below_height.filter(|&height| newest.is_none_or(|newest| newest < height)) {
            return Err(Error::NoSuchHeight { height, newest });
        }
        let pruned = self.prune_alone(retention, options, tell);
        self.note_failure(&pruned);
        pruned
    }

    fn prune_alone(
        &self,
        retention: &Retention,
        options: PruneOptions,
        tell: &(dyn Fn(PruneProgress) + Sync),
    ) -> Result<Pruned> {
        let started = Instant::now();
        let by_versions = match retention.versions_per_key {
            Some(most) => {
                self.flush_all()?;
                self.floor_by_versions(most)?
            }
            None => 0,
        };
        let before = self.space();
        let decision = self.decide_floor(retention, by_versions, !options.dry_run);
        {
            let mut state = self.pruner.state.lock();
            (state.stats.wanted, state.stats.held_back) = (decision.wanted, decision.held_back);
        }
        let sum = self.prune_to(decision.floor, options, started, tell)?;
        if !options.dry_run {
            self.note_run(started);
        }
        let Decision { before: floor_before, floor, wanted, held_back } = decision;
        Ok(Pruned {
            dry_run: options.dry_run,
            floor_before,
            floor,
            floor_height: self.oldest_height(floor),
            wanted,
            held_back,
            versions: sum.versions,
            keys: sum.keys,
            bytes: sum.bytes,
            changes: sum.changes,
            micros: started.elapsed().as_micros() as u64,
            before,
            after: self.space(),
        })
    }

    /// Goes on with what a crash or a failure has left of an earlier pruning.
    pub(super) fn resume_pruning(&self) -> Result<()> {
        let _one_at_a_time = self.pruner.exclude();
        self.pruner.check_open()?;
        self.health.check()?;
        self.complete_pruning()
    }

    /// Removes what the floor lets go and is still there. Prunings are kept away.
    pub(crate) fn complete_pruning(&self) -> Result<()> {
        let floor = self.snapshots.floor();
        if floor == 0 {
            return Ok(());
        }
        let started = Instant::now();
        let pruned = self.prune_to(floor, PruneOptions::default(), started, &|_| {});
        self.note_failure(&pruned);
        // Looking whether there is anything is no pruning.
        if pruned?.changes > 0 {
            self.note_run(started);
        }
        Ok(())
    }

    fn note_run(&self, started: Instant) {
        self.pruner.state.lock().stats.runs += 1;
        self.counters.prune_micros.add_time(started.elapsed());
    }

    fn note_failure<T>(&self, pruned: &Result<T>) {
        let mut state = self.pruner.state.lock();
        // What the end of the store cuts short has not failed.
        state.stats.failed += u64::from(pruned.as_ref().is_err_and(|error| !matches!(error, Error::Closed)));
    }

    fn prune_to(
        &self,
        floor: Version,
        options: PruneOptions,
        started: Instant,
        tell: &(dyn Fn(PruneProgress) + Sync),
    ) -> Result<PruneProgress> {
        let topology = self.shards.keep();
        if topology.all().iter().any(|shard| shard.flushed_through() < floor) {
            self.flush_all()?;
        }
        if !options.dry_run {
            self.persist_floor(floor)?;
        }
        let shards = Mutex::new(vec![Default::default(); topology.all().len()]);
        let running = Running { floor, started, shards, tell };
        let prune = || topology.all().par_iter().try_for_each(|shard| self.prune_shard(shard, &running, options));
        let outcome = self.workers.prune.run(prune);
        let sum = running.sum();
        let mut state = self.pruner.state.lock();
        state.stats.progress = None;
        if !options.dry_run {
            state.stats.versions += sum.versions;
            state.stats.keys += sum.keys;
            state.stats.bytes += sum.bytes;
            state.stats.micros += micros(started.elapsed());
            state.stats.failure = outcome.as_ref().err().map(ToString::to_string);
            if outcome.is_ok() {
                state.stats.pruned_through = floor;
            }
        }
        outcome.map(|()| sum)
    }

    fn prune_shard(&self, shard: &Shard, running: &Running<'_>, options: PruneOptions) -> Result<()> {
        let (mut cursor, mut slice) = (PruneCursor::default(), PruneSlice::default());
        while !cursor.finished {
            self.pruner.check_open()?;
            if !options.dry_run {
                self.wait_for_compaction(shard)?;
            }
            shard.backend().prunable(running.floor, &mut cursor, SLICE_CHANGES, &mut slice)?;
            if !options.dry_run && slice.changes.is_some() {
                shard.prune(&slice, self.epoch())?;
            }
            running.add(shard.number(), &slice, &cursor);
            let sum = running.sum();
            self.pruner.state.lock().stats.progress = Some(sum);
            (running.tell)(sum);
        }
        if options.compact && !options.dry_run {
            shard.backend().reclaim()?;
        }
        Ok(())
    }

    fn wait_for_compaction(&self, shard: &Shard) -> Result<()> {
        while shard.backend().pressure().level0_files >= LEVEL0_FILES_MAX {
            self.pruner.check_open()?;
            self.health.check()?;
            thread::sleep(RETRY);
        }
        Ok(())
    }

    fn space(&self) -> Space {
        let topology = self.shards.now();
        let stats = topology.all().iter().map(|shard| shard.backend().stats());
        stats.fold(Space::default(), |sum, shard| Space {
            logical_bytes: sum.logical_bytes + shard.live_bytes,
            physical_bytes: sum.physical_bytes + shard.file_bytes,
        })
    }
}
