//! What is counted while a store is open: by threads that must not wait for one another.

use crate::commit::Group;
use crate::histogram::{COMMITS, Histogram, LATENCY_MICROS, WORK_MICROS, micros};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Counters {
    transactions_begun: AtomicU64,
    transactions_committed: AtomicU64,
    transactions_aborted: AtomicU64,
    commits: AtomicU64,
    conflicts: AtomicU64,
    groups: AtomicU64,
    memory_wait_micros: AtomicU64,
    compaction_wait_micros: AtomicU64,
    flush_failures: AtomicU64,
    pub(crate) commit_micros: Histogram,
    pub(crate) group_commits: Histogram,
    pub(crate) flush_micros: Histogram,
    pub(crate) prune_micros: Histogram,
    pub(crate) checkpoint_micros: Histogram,
    pub(crate) longest_commit: Longest,
}

/// The longest commit of those that end while somebody watches: commits pay for it only then.
#[derive(Debug, Default)]
pub(crate) struct Longest {
    watched: AtomicBool,
    micros: AtomicU64,
}

impl Longest {
    pub(crate) fn watch(&self) {
        self.micros.store(0, Relaxed);
        self.watched.store(true, Relaxed);
    }

    fn add(&self, micros: impl Iterator<Item = u64>) {
        if self.watched.load(Relaxed) {
            self.micros.fetch_max(micros.max().unwrap_or(0), Relaxed);
        }
    }

    /// Ends watching; what the longest one took, in microseconds, 0 if none has ended.
    pub(crate) fn end(&self) -> u64 {
        self.watched.store(false, Relaxed);
        self.micros.load(Relaxed)
    }
}

/// The plain counts among them, since the store was opened: cheap enough to be asked for every second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Transactions begun.
    pub transactions_begun: u64,
    /// Transactions committed.
    pub transactions_committed: u64,
    /// Transactions that ended otherwise.
    pub transactions_aborted: u64,
    /// Commits: batches, blocks, transactions and rollbacks.
    pub commits: u64,
    /// Transactions refused because of a conflict.
    pub conflicts: u64,
    /// Groups in which the commits went to the log.
    pub groups: u64,
    /// How long commits have waited for memory.
    pub memory_wait_micros: u64,
    /// How long flushes have waited for compaction.
    pub compaction_wait_micros: u64,
    /// Flushes that failed.
    pub flush_failures: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            transactions_begun: AtomicU64::default(),
            transactions_committed: AtomicU64::default(),
            transactions_aborted: AtomicU64::default(),
            commits: AtomicU64::default(),
            conflicts: AtomicU64::default(),
            groups: AtomicU64::default(),
            memory_wait_micros: AtomicU64::default(),
            compaction_wait_micros: AtomicU64::default(),
            flush_failures: AtomicU64::default(),
            commit_micros: Histogram::new(LATENCY_MICROS),
            group_commits: Histogram::new(COMMITS),
            flush_micros: Histogram::new(WORK_MICROS),
            prune_micros: Histogram::new(WORK_MICROS),
            checkpoint_micros: Histogram::new(WORK_MICROS),
            longest_commit: Longest::default(),
        }
    }
}

impl Counters {
    pub(crate) fn begun(&self) {
        self.transactions_begun.fetch_add(1, Relaxed);
    }

    pub(crate) fn transaction_committed(&self) {
        self.transactions_committed.fetch_add(1, Relaxed);
    }

    pub(crate) fn transaction_aborted(&self) {
        self.transactions_aborted.fetch_add(1, Relaxed);
    }

    pub(crate) fn conflict(&self) {
        self.conflicts.fetch_add(1, Relaxed);
    }

    pub(crate) fn published(&self, group: &Group) {
        let now = Instant::now();
        let took = group.iter().map(|commit| micros(now.saturating_duration_since(commit.begun)));
        self.longest_commit.add(took.clone());
        self.commit_micros.add_all(took);
        self.group_commits.add(group.len() as u64);
        self.groups.fetch_add(1, Relaxed);
        self.commits.fetch_add(group.len() as u64, Relaxed);
        self.transactions_committed.fetch_add(transactions(group), Relaxed);
    }

    /// What was numbered and could not be written.
    pub(crate) fn failed(&self, group: &Group) {
        self.transactions_aborted.fetch_add(transactions(group), Relaxed);
    }

    pub(crate) fn waited_for_memory(&self, time: Duration) {
        self.memory_wait_micros.fetch_add(time.as_micros() as u64, Relaxed);
    }

    pub(crate) fn waited_for_compaction(&self, time: Duration) {
        self.compaction_wait_micros.fetch_add(time.as_micros() as u64, Relaxed);
    }

    pub(crate) fn flush_failed(&self) {
        self.flush_failures.fetch_add(1, Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            transactions_begun: self.transactions_begun.load(Relaxed),
            transactions_committed: self.transactions_committed.load(Relaxed),
            transactions_aborted: self.transactions_aborted.load(Relaxed),
            commits: self.commits.load(Relaxed),
            conflicts: self.conflicts.load(Relaxed),
            groups: self.groups.load(Relaxed),
            memory_wait_micros: self.memory_wait_micros.load(Relaxed),
            compaction_wait_micros: self.compaction_wait_micros.load(Relaxed),
            flush_failures: self.flush_failures.load(Relaxed),
        }
    }
}

fn transactions(group: &Group) -> u64 {
    group.iter().filter(|commit| commit.is_transaction).count() as u64
}
