//! The commit protocol: validate and number → append and sync → apply → publish → acknowledge.
//!
//! ```text
//! committing thread      split and check the batch, wait for memory, validate and number (one lock), queue
//! log thread             take a group, append it, sync it, hand it over; then the next group
//! apply thread           write the group into the shards' memtables, publish its last version, acknowledge
//! ```
//! Groups are pipelined: the next one syncs while this one is applied. Each stage handles groups in the order of their versions, so that
//! versions are published in order, and readers never wait for a writer.

mod handle;
mod in_flight;
mod pipeline;
mod prepare;
mod sequencer;

pub use handle::CommitHandle;
pub(crate) use handle::Completion;
pub(crate) use in_flight::InFlight;
pub(crate) use pipeline::Pipeline;
pub(crate) use prepare::Prepared;
pub(crate) use sequencer::{Lifecycle, ReadSet, Sequencer};

use crate::core::Core;
use crate::log::{CommitRecord, Kind};
use crate::{Durability, Result};
use rayon::prelude::*;
use shingle_shard::{Ops, Version};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A group at least this large is applied to its shards in parallel: below it, waking the workers costs more than it saves.
const PARALLEL_APPLY_BYTES: usize = 64 << 10;

/// Commits that may be numbered and not yet visible. Below the log's `VERSIONS_IN_FLIGHT`, so that it reserves versions before they are used up.
pub(crate) const IN_FLIGHT_MAX: usize = 1 << 15;

/// A commit from its numbering to its acknowledgement.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) version: Version,
    pub(crate) body: Prepared,
    pub(crate) completion: Arc<Completion>,
}

impl std::ops::Deref for Commit {
    type Target = Prepared;

    fn deref(&self) -> &Prepared {
        &self.body
    }
}

impl Commit {
    /// The commit's writes, by shard.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (usize, Ops<'_>)> {
        let record = match self.kind {
            Kind::Commit => CommitRecord::decode(&self.payload),
            Kind::Rollback | Kind::Close => None,
        };
        record.into_iter().flat_map(|record| record.sections()).map(|(shard, ops)| (shard as usize, ops))
    }
}

/// Commits that are appended, synced, applied and published together, in the order of their versions.
pub(crate) type Group = Vec<Arc<Commit>>;

impl Core {
    /// First stage, on the committing thread: everything that may refuse the commit, then its number and its place in the queue.
    pub(crate) fn submit(&self, prepared: Prepared, reads: Option<&ReadSet>) -> Result<CommitHandle> {
        self.health.check()?;
        let room = self.admit(prepared.room_bytes())?;
        let checked = reads.map_or(Ok(0), |reads| self.validate_old(reads))?;
        let mut sequencer = self.sequencer.lock();
        // Behind a rollback that waits for the pipeline to run dry, which it never would.
        while (sequencer.in_flight.len() >= IN_FLIGHT_MAX || sequencer.rollbacks_waiting > 0) && !sequencer.is_closing()
        {
            self.pipeline.published.wait(&mut sequencer);
        }
        if let Some(reads) = reads {
            self.validate(&mut sequencer, reads, checked)?;
        }
        self.reserve(&sequencer)?;
        let handle = sequencer.number(prepared)?;
        room.keep();
        self.pipeline.queued.notify_one();
        Ok(handle)
    }

    /// Waits until every commit that has its number now is visible, or has failed.
    pub(crate) fn wait_for_numbered(&self) {
        let mut sequencer = self.sequencer.lock();
        let Some(newest) = sequencer.in_flight.newest() else { return };
        while sequencer.in_flight.oldest().is_some_and(|oldest| oldest <= newest) {
            self.pipeline.published.wait(&mut sequencer);
        }
    }

    /// Second stage, on the log thread: after it, the group is as durable as its commits ask for.
    pub(crate) fn append_and_sync(&self, group: &Group) -> Result<()> {
        self.health.check()?;
        let Some(log) = &self.log else { return Ok(()) };
        let mut log = log.lock();
        fail::fail_point!("commit::before_append");
        let frames: Vec<_> = group.iter().map(|commit| commit.frame(commit.version)).collect();
        let appended = log.append(&frames);
        self.reserved_through.fetch_max(log.reserved_through(), Ordering::AcqRel);
        appended.map_err(|error| self.health.latch(error))?;
        fail::fail_point!("commit::after_append");
        // A queue that never empties leaves the log thread no pause in which to sync what is due.
        let due = self.buffered_since.lock().is_some_and(|since| since.elapsed() >= self.options.buffered_sync);
        if due || group.iter().any(|commit| commit.durability == Durability::Sync) {
            log.sync().map_err(|error| self.health.poison(&error))?;
            *self.buffered_since.lock() = None;
        } else {
            self.note_buffered();
        }
        fail::fail_point!("commit::after_sync");
        Ok(())
    }

    /// Third stage, on the apply thread: after it, every snapshot sees the group whole.
    pub(crate) fn apply_and_publish(&self, group: &Group) {
        let Some(newest) = group.last() else { return };
        let outcome = match newest.kind {
            // A rollback is a group of its own: the sequencer sees to it.
            Kind::Rollback => self.apply_rollback(newest),
            // Numbered behind a rollback that was cut short: on top of it, the rows that it left would be seen.
            Kind::Commit | Kind::Close if self.rollbacks.is_cut_short() => self.health.check(),
            Kind::Commit | Kind::Close => {
                self.apply(group);
                Ok(())
            }
        };
        fail::fail_point!("commit::after_apply");
        if outcome.is_ok() {
            self.add_blocks(group);
            self.visible.store(newest.version, Ordering::Release);
        }
        fail::fail_point!("commit::after_publish");
        self.sequencer.lock().in_flight.forget_through(newest.version);
        self.pipeline.published.notify_all();
        match &outcome {
            Ok(()) => self.counters.published(group),
            Err(_) => self.counters.failed(group),
        }
        for commit in group {
            commit.completion.finish(outcome.clone().map(|()| commit.version));
        }
        self.leave(group);
        self.flusher.applied(self, group);
    }

    /// Writes a group into the memtables. The boundary is held meanwhile, so that no shard seals half a version.
    fn apply(&self, group: &Group) {
        let mut applied = self.boundary.lock();
        let shards = self.shards.all();
        if group.iter().map(|commit| commit.payload.len()).sum::<usize>() < PARALLEL_APPLY_BYTES {
            for commit in group {
                commit.writes().for_each(|(shard, ops)| shards[shard].apply(commit.version, ops));
            }
        } else {
            let mut by_shard = vec![Vec::new(); shards.len()];
            for commit in group {
                commit.writes().for_each(|(shard, ops)| by_shard[shard].push((commit.version, ops)));
            }
            self.workers.apply.run(|| {
                shards.par_iter().zip(by_shard).for_each(|(shard, writes)| {
                    writes.into_iter().for_each(|(version, ops)| shard.apply(version, ops));
                });
            });
        }
        *applied = group.last().map_or(*applied, |newest| newest.version);
    }

    fn add_blocks(&self, group: &Group) {
        let sealed = |commit: &Arc<Commit>| commit.block.map(|block| block.sealed(commit.version));
        if group.iter().any(|commit| commit.block.is_some()) {
            let mut blocks = self.blocks.write();
            group.iter().filter_map(sealed).for_each(|block| blocks.push(block));
        }
    }
}
