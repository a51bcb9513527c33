//! The commit protocol: validate and number → append → sync, apply → publish → acknowledge.
//!
//! ```text
//! committing thread      split and check the batch, wait for memory, validate and number (one lock), queue
//! log thread             take a group, append it, hand it over, sync it; then the next group
//! apply thread           write the group into the shards' memtables; when it is synced, publish its last version, acknowledge
//! ```
//! Groups are pipelined, and a group is applied while it is synced: what is above the visible version no snapshot sees, and a sync that
//! fails is the end of publishing. Each stage handles groups in the order of their versions, so that versions are published in order,
//! and readers never wait for a writer.

mod apply;
mod gather;
mod handle;
mod in_flight;
mod pipeline;
mod prepare;
mod sequencer;
mod validate;

pub use handle::CommitHandle;
pub(crate) use handle::Completion;
pub(crate) use in_flight::InFlight;
pub(crate) use pipeline::Pipeline;
#[cfg(test)]
pub(crate) use pipeline::needs_sync;
pub(crate) use prepare::Prepared;
pub(crate) use sequencer::{Lifecycle, Sequencer};
pub(crate) use validate::{ReadKey, ReadSet};

use crate::core::Core;
use crate::{Error, Result};
use parking_lot::MutexGuard;
use shingle_shard::{Hashed, Version, key_hash};
use std::sync::Arc;
use std::sync::atomic::Ordering;

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
    pub(crate) fn writes(&self) -> impl Iterator<Item = (usize, Hashed<'_>)> {
        self.body.writes(self.version)
    }
}

/// Commits that are appended, synced, applied and published together, in the order of their versions.
pub(crate) type Group = Vec<Arc<Commit>>;

impl Core {
    /// First stage, on the committing thread: everything that may refuse the commit, then its number and its place in the queue.
    pub(crate) fn submit(&self, mut prepared: Prepared, reads: Option<&ReadSet>) -> Result<CommitHandle> {
        self.health.check()?;
        let room = self.admit(prepared.room_bytes())?;
        let checked = reads.map_or(Ok(0), |reads| self.validate_visible(reads))?;
        let mut sequencer = self.sequencer.lock();
        loop {
            // Behind a rollback that waits for the pipeline to run dry, which it never would.
            while (sequencer.in_flight.len() >= IN_FLIGHT_MAX || sequencer.rollbacks_waiting > 0)
                && !sequencer.is_closing()
            {
                self.pipeline.published.wait(&mut sequencer);
            }
            // Slots may have moved since the batch was split. They do not under this lock.
            let now = self.shards.now();
            if prepared.split_by().is_none_or(|number| number == now.number) {
                break;
            }
            let now = Arc::clone(&now);
            MutexGuard::unlocked(&mut sequencer, || prepared.split_again(now));
        }
        if let Some(reads) = reads {
            self.validate(&mut sequencer, reads, checked)?;
        }
        self.reserve(&sequencer)?;
        let handle = sequencer.number(prepared)?;
        room.keep();
        if sequencer.queued() >= sequencer.log_wakes_at {
            self.pipeline.queued.notify_one();
        }
        Ok(handle)
    }

    /// Waits until every commit that has its number now is visible, or has failed.
    pub(crate) fn wait_for_numbered(&self) {
        let sequencer = self.sequencer.lock();
        if let Some(newest) = sequencer.in_flight.newest() {
            self.wait_through(sequencer, newest);
        }
    }

    /// Waits until a new snapshot sees what a transaction lost against; until then it would lose again.
    pub(crate) fn wait_for_winner(&self, lost: &Error) {
        let mut sequencer = self.sequencer.lock();
        let Some(winner) = self.winner(&mut sequencer, lost) else { return };
        self.wait_through(sequencer, winner);
    }

    fn wait_through(&self, mut sequencer: MutexGuard<'_, Sequencer>, version: Version) {
        while sequencer.in_flight.oldest().is_some_and(|oldest| oldest <= version) {
            self.pipeline.published.wait(&mut sequencer);
        }
    }

    /// The newest commit in flight that a transaction may have lost against; `None` if what it lost against is visible.
    pub(crate) fn winner(&self, sequencer: &mut Sequencer, lost: &Error) -> Option<Version> {
        if let Error::Conflict { key } = lost {
            sequencer.in_flight.newest_writer(key_hash(key))
        } else {
            sequencer.in_flight.newest()
        }
    }

    /// Second stage, on the log thread: after it, the group is in the log, or nothing of it is.
    pub(crate) fn append(&self, group: &Group) -> Result<()> {
        self.health.check()?;
        let Some(log) = &self.log else { return Ok(()) };
        fail::fail_point!("commit::before_append");
        let frames: Vec<_> = group.iter().map(|commit| commit.frame(commit.version)).collect();
        let appended = {
            let mut log = log.lock();
            let appended = log.append(&frames);
            self.reserved_through.fetch_max(log.reserved_through(), Ordering::AcqRel);
            appended
        };
        appended.map_err(|error| self.health.latch(error))?;
        fail::fail_point!("commit::after_append");
        Ok(())
    }

    /// Third stage, on the log thread: after it, what was appended is as durable as was asked for.
    pub(crate) fn make_durable(&self, sync: bool) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        // A queue that never empties leaves the log thread no pause in which to sync what is due.
        let due = self.buffered_since.lock().is_some_and(|since| since.elapsed() >= self.options.buffered_sync);
        if due || sync {
            log.lock().sync().map_err(|error| self.health.poison(&error))?;
            *self.buffered_since.lock() = None;
        } else {
            self.note_buffered();
        }
        fail::fail_point!("commit::after_sync");
        Ok(())
    }

    /// Last stage: after it, every snapshot sees the group whole. It is durable and applied. Returns how many commits somebody waited for.
    pub(crate) fn publish(&self, group: &Group) -> usize {
        let Some(newest) = group.last() else { return 0 };
        self.show(group, newest.version);
        fail::fail_point!("commit::after_publish");
        self.counters.published(group);
        // Authors wake while the rest is done: it is bookkeeping that is right a moment later, too.
        let awaited = group.iter().filter(|commit| commit.completion.finish(Ok(commit.version))).count();
        self.sequencer.lock().in_flight.forget_through(newest.version);
        self.pipeline.published.notify_all();
        self.leave(group);
        self.flusher.applied(self, group);
        self.checkpoints.applied(self, group);
        awaited
    }

    /// Whoever finds a block in the index can read at its version.
    fn show(&self, group: &Group, newest: Version) {
        let sealed = |commit: &Arc<Commit>| commit.block.map(|block| block.sealed(commit.version));
        let mut blocks = group.iter().any(|commit| commit.block.is_some()).then(|| self.blocks.write());
        if let Some(blocks) = &mut blocks {
            group.iter().filter_map(sealed).for_each(|block| blocks.push(block));
        }
        self.visible.store(newest, Ordering::Release);
    }
}
