//! What a rebalancing tells of itself.

use super::{Unfinished, differing};
use crate::slot::SlotMap;
use std::time::Duration;

/// How a rebalancing goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RebalanceOptions {
    /// The most bytes a second that are copied; `None`: as fast as the disks and the compaction allow.
    pub bytes_per_sec: Option<u64>,
    /// What the call waits for. Whatever it is, the store does the work by itself.
    pub wait: RebalanceWait,
}

/// What a call that begins or resumes a rebalancing waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RebalanceWait {
    /// Nothing: it has begun, and will be gone on with, after a crash too.
    Begun,
    /// The slots are handed over: their new shards answer for them. What is left is to clean the old ones, which waits for snapshots that still read there.
    #[default]
    HandedOver,
    /// All is done: what was moved is gone from where it was, and so are emptied shards. Never wait for it with an older snapshot in hand.
    Finished,
}

/// What a rebalancing is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RebalancePhase {
    /// History is copied to where the slots go; what is written goes to both shards.
    Copying,
    /// The new shards are about to answer for the slots.
    HandingOver,
    /// Snapshots from before the hand-over still read where the slots were.
    WaitingForReaders,
    /// What was moved is removed from where it was.
    Cleaning,
    /// Emptied shards are closed, and their directories removed.
    Removing,
}

/// How far a rebalancing is.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RebalanceStatus {
    /// What it is doing.
    pub phase: RebalancePhase,
    /// Slots that move.
    pub slots: u64,
    /// Slots whose new shard answers for them.
    pub slots_done: u64,
    /// How many shards there will be.
    pub shards_after: usize,
    /// Rows copied since the store was opened or the rebalancing began.
    pub rows_copied: u64,
    /// Bytes written to copy them.
    pub bytes_copied: u64,
    /// Which part of the shards has been gone through to copy, from 0 to 1.
    pub fraction: f64,
    /// Bytes copied a second, so far.
    pub bytes_per_sec: u64,
    /// The most that are to be.
    pub bytes_per_sec_max: Option<u64>,
    /// How long copying will still take, in milliseconds, estimated.
    pub remaining_ms: Option<u64>,
    /// How long it has been under way, since the store was opened, in milliseconds.
    pub elapsed_ms: u64,
    /// How many snapshots, scans and the like read by an older slot map.
    pub older_readers: u64,
    /// The longest time for which no commit could be numbered, in microseconds.
    pub barrier_micros_max: u64,
    /// Rows removed from where they were.
    pub rows_removed: u64,
    /// Why it does not go on; resume it, or give it up.
    pub failure: Option<String>,
}

/// What a rebalancing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rebalanced {
    /// Slots that were moved.
    pub slots: u64,
    /// How many shards there are.
    pub shards: usize,
    /// Rows copied.
    pub rows: u64,
    /// Bytes written to copy them.
    pub bytes: u64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// The longest time for which no commit could be numbered, in microseconds.
    pub barrier_micros_max: u64,
}

/// Figures of the one under way, or of the last one.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) phase: RebalancePhase,
    pub(super) slots: u64,
    pub(super) shards_after: usize,
    pub(super) rows_copied: u64,
    pub(super) bytes_copied: u64,
    pub(super) fraction: f64,
    pub(super) copying: Duration,
    pub(super) barrier_micros_max: u64,
    pub(super) rows_removed: u64,
    pub(super) began: std::time::Instant,
}

impl Figures {
    pub(super) fn new(phase: RebalancePhase, slots: u64, shards_after: usize) -> Self {
        Figures {
            phase,
            slots,
            shards_after,
            rows_copied: 0,
            bytes_copied: 0,
            fraction: 0.0,
            copying: Duration::ZERO,
            barrier_micros_max: 0,
            rows_removed: 0,
            began: std::time::Instant::now(),
        }
    }

    /// Of one that was cut short, over a store with this slot map.
    pub(super) fn of(unfinished: &Unfinished, map: &SlotMap) -> Self {
        let slots = unfinished.other().map_or(0, |other| differing(map, other).count()) as u64;
        let phase = match unfinished {
            Unfinished::Copying { .. } => RebalancePhase::Copying,
            Unfinished::Cleaning { .. } => RebalancePhase::Cleaning,
            Unfinished::Removing { .. } => RebalancePhase::Removing,
        };
        Figures::new(phase, slots, unfinished.counts()[1])
    }

    pub(super) fn done(&self, shards: usize) -> Rebalanced {
        Rebalanced {
            slots: self.slots,
            shards,
            rows: self.rows_copied,
            bytes: self.bytes_copied,
            micros: self.began.elapsed().as_micros() as u64,
            barrier_micros_max: self.barrier_micros_max,
        }
    }

    pub(super) fn status(&self, rate: Option<u64>, older_readers: u64, failure: Option<String>) -> RebalanceStatus {
        let rest = self.copying.mul_f64((1.0 - self.fraction).max(0.0) / self.fraction.max(0.001));
        let handed_over = !matches!(self.phase, RebalancePhase::Copying | RebalancePhase::HandingOver);
        RebalanceStatus {
            phase: self.phase,
            slots: self.slots,
            slots_done: if handed_over { self.slots } else { 0 },
            shards_after: self.shards_after,
            rows_copied: self.rows_copied,
            bytes_copied: self.bytes_copied,
            fraction: self.fraction,
            bytes_per_sec: (self.bytes_copied as f64 / self.copying.as_secs_f64().max(0.001)) as u64,
            bytes_per_sec_max: rate,
            remaining_ms: (self.fraction > 0.0 && !handed_over).then_some(rest.as_millis() as u64),
            elapsed_ms: self.began.elapsed().as_millis() as u64,
            older_readers,
            barrier_micros_max: self.barrier_micros_max,
            rows_removed: self.rows_removed,
            failure,
        }
    }
}
