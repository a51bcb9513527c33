//! Numbering: the one place where commits are put in order.

use super::{Commit, CommitHandle, Completion, Group, InFlight, Prepared};
use crate::blocks::{Block, RolledBack, SealedBlock};
use crate::core::Core;
use crate::log::Kind;
use crate::{Error, Result};
use shingle_shard::Version;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A group's payloads stay below this, so that a sync is short and the first commit of a group does not wait for many others.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// What the lock of the sequencer protects.
#[derive(Debug)]
pub(crate) struct Sequencer {
    pub(crate) lifecycle: Lifecycle,
    next_version: Version,
    /// The newest block that is numbered, visible or not.
    head: Option<Block>,
    /// The newest rollback that is numbered, applied or not.
    rollback: Option<RolledBack>,
    /// The block to which it goes back.
    rollback_head: Option<Block>,
    /// Rollbacks that wait until nothing is in flight. Commits are not numbered meanwhile.
    pub(crate) rollbacks_waiting: usize,
    queue: VecDeque<Arc<Commit>>,
    /// How long the queue must be for the log thread to be woken.
    pub(crate) log_wakes_at: usize,
    pub(crate) in_flight: InFlight,
}

/// Whether the store takes commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Open,
    /// What is queued is still written; nothing new is taken.
    Closing,
}

impl Sequencer {
    pub(crate) fn new(next_version: Version, head: Option<Block>) -> Self {
        Sequencer {
            lifecycle: Lifecycle::Open,
            next_version,
            head,
            rollback: None,
            rollback_head: None,
            rollbacks_waiting: 0,
            queue: VecDeque::new(),
            log_wakes_at: 1,
            in_flight: InFlight::default(),
        }
    }

    /// Gives the commit its version, which must be [reserved](Core::reserve), and its place in the queue.
    pub(crate) fn number(&mut self, mut prepared: Prepared) -> Result<CommitHandle> {
        self.check_open()?;
        if let Some(block) = prepared.block {
            self.check_block(block)?;
            self.head = Some(block);
        }
        prepared.numbered();
        let version = self.next_version;
        self.next_version += 1;
        let completion = Arc::<Completion>::default();
        let commit = Arc::new(Commit { version, body: prepared, completion: Arc::clone(&completion) });
        self.in_flight.push(Arc::clone(&commit));
        self.queue.push_back(commit);
        Ok(CommitHandle::new(version, completion))
    }

    fn check_open(&self) -> Result<()> {
        if self.lifecycle == Lifecycle::Open { Ok(()) } else { Err(Error::Closed) }
    }

    fn check_block(&self, block: Block) -> Result<()> {
        match self.head {
            Some(head) if block.height <= head.height => {
                Err(Error::HeightNotRising { given: block.height, newest: head.height })
            }
            Some(head) if block.timestamp_ms < head.timestamp_ms => {
                Err(Error::TimestampFalls { given: block.timestamp_ms, newest: head.timestamp_ms })
            }
            _ => Ok(()),
        }
    }

    /// The next commits to write together; a rollback always goes alone.
    pub(crate) fn take_group(&mut self) -> Group {
        let mut group = Group::new();
        let mut bytes = 0;
        while let Some(next) = self.queue.front() {
            bytes += next.payload.len();
            let fits = bytes <= GROUP_BYTES_MAX && next.kind == Kind::Commit;
            if !group.is_empty() && !fits {
                break;
            }
            let alone = next.kind != Kind::Commit;
            group.extend(self.queue.pop_front());
            if alone {
                break;
            }
        }
        group
    }

    /// Takes back a group that could not be written, and all that was numbered behind it, for they were validated on top of it.
    /// Their versions are not used again.
    pub(crate) fn take_back(&mut self, group: Group, published_head: Option<Block>) -> Group {
        let mut failed = group;
        failed.extend(self.queue.drain(..));
        if let Some(first) = failed.first() {
            self.in_flight.forget_from(first.version);
        }
        self.rollback = self.rollback.filter(|rollback| failed.iter().all(|commit| commit.version != rollback.at));
        // A rollback on its way takes what is published back with it.
        let rolling_back = self.rollback.is_some_and(|rollback| self.in_flight.contains(rollback.at));
        let below = if rolling_back { self.rollback_head } else { published_head };
        self.head = self.in_flight.newest_block().or(below);
        failed
    }

    /// Numbers the rollback to `head`: later blocks go on top of it, and transactions that saw what it removes are refused from now on.
    pub(crate) fn number_rollback(&mut self, head: SealedBlock) -> Result<CommitHandle> {
        let handle = self.number(Prepared::rollback(head.version, head.height))?;
        self.rollback = Some(RolledBack { keep: head.version, at: handle.version() });
        self.rollback_head = Some(head.block());
        self.head = self.rollback_head;
        Ok(handle)
    }

    pub(super) fn check_rollback(&self, at: Version) -> Result<()> {
        match self.rollback {
            Some(rollback) if rollback.keep < at && at < rollback.at => {
                Err(Error::RolledBack { version: at, to: rollback.keep })
            }
            _ => Ok(()),
        }
    }

    /// The version to which a rollback on its way goes back.
    pub(crate) fn rolling_back_to(&self) -> Option<Version> {
        self.rollback.filter(|rollback| self.in_flight.contains(rollback.at)).map(|rollback| rollback.keep)
    }

    /// Takes back every commit that is not acknowledged.
    pub(crate) fn abandon(&mut self) -> Vec<Arc<Commit>> {
        self.queue.clear();
        std::mem::take(&mut self.in_flight).into_commits()
    }

    /// The version that the next commit gets.
    pub(crate) fn next_version(&self) -> Version {
        self.next_version
    }

    /// How many commits wait for the log thread.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.lifecycle == Lifecycle::Closing
    }

    /// Whether every numbered commit is visible or has failed.
    pub(crate) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }
}

impl Core {
    /// Makes sure that the version which is given next is reserved: it is told to others before it is in the log. Costs something after an opening, and
    /// when the disk has been full for long; otherwise the log has reserved more long before.
    pub(crate) fn reserve(&self, sequencer: &Sequencer) -> Result<()> {
        // Not behind the record that closes the log.
        sequencer.check_open()?;
        let next = sequencer.next_version;
        if next > self.reserved_through.load(Ordering::Acquire)
            && let Some(log) = &self.log
        {
            let reserved = log.lock().reserve(next).map_err(|error| self.health.latch(error))?;
            self.reserved_through.fetch_max(reserved, Ordering::AcqRel);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(height: u64) -> Block {
        Block { height, timestamp_ms: height }
    }

    fn commit(block: Block) -> Prepared {
        let mut prepared = Prepared::rollback(0, 0);
        (prepared.kind, prepared.block) = (Kind::Commit, Some(block));
        prepared
    }

    /// What fails behind a rollback that is in the log and not yet applied: the blocks that are still published go with it.
    #[test]
    fn blocks_go_on_above_a_rollback_when_what_was_behind_it_has_failed() -> Result<()> {
        let mut sequencer = Sequencer::new(21, Some(block(10)));
        let under_way = sequencer.number_rollback(block(5).sealed(9))?;
        assert_eq!(sequencer.take_group().len(), 1);
        for _ in 0..2 {
            let failed = sequencer.number(commit(block(6)))?;
            let group = sequencer.take_group();
            assert_eq!(sequencer.take_back(group, Some(block(10))).len(), 1);
            drop(failed);
        }
        sequencer.in_flight.forget_through(under_way.version());
        // It is applied: what was published below it is what it kept.
        let failed = sequencer.number(commit(block(7)))?;
        let group = sequencer.take_group();
        sequencer.take_back(group, Some(block(5)));
        drop((failed, sequencer.number(commit(block(6)))?));
        Ok(())
    }

    #[test]
    fn a_rollback_that_failed_leaves_the_blocks_as_they_were() -> Result<()> {
        let mut sequencer = Sequencer::new(21, Some(block(10)));
        let failed = sequencer.number_rollback(block(5).sealed(9))?;
        let group = sequencer.take_group();
        sequencer.take_back(group, Some(block(10)));
        assert!(sequencer.number(commit(block(6))).is_err());
        drop((failed, sequencer.number(commit(block(11)))?));
        Ok(())
    }
}
