//! What a rebalancing tells of itself.

use super::{Unfinished, differing};
use crate::slot::SlotMap;
use std::time::Duration;

/// How a rebalancing goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RebalanceOptions {
    /// The most bytes a second that are copied, also after a crash; `None`: as fast as the disks and the compaction
    /// allow, or, for one that is resumed, at the rate that it had.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RebalanceStatus {
    /// What it is doing.
    pub phase: RebalancePhase,
    /// Whether it was given up: slots stay where they are, and what was copied is removed.
    pub aborted: bool,
    /// Slots that move; none if it was given up.
    pub slots: u64,
    /// Slots whose new shard answers for them.
    pub slots_done: u64,
    /// How many shards there will be.
    pub shards_after: usize,
    /// Rows copied since the store was opened or the rebalancing began.
    pub rows_copied: u64,
    /// Bytes written to copy them.
    pub bytes_copied: u64,
    /// Which part of the shards has been gone through to copy, by bytes, from 0 to 1. It never falls, until the store is opened anew: then what is not handed
    /// over is copied again.
    pub fraction: f64,
    /// Bytes copied a second, so far.
    pub bytes_per_sec: u64,
    /// The most that are to be.
    pub bytes_per_sec_max: Option<u64>,
    /// How long copying will still take, in milliseconds, estimated.
    pub remaining_ms: Option<u64>,
    /// How long it has been under way, since the store was opened, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether copying rests because compaction lags on a shard that slots go to.
    pub waits_for_compaction: bool,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

/// Figures of all rebalancings since the store was opened, the one under way included.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RebalanceStats {
    /// Rebalancings that were finished.
    pub runs: u64,
    /// How often one has stopped because something failed.
    pub failed: u64,
    /// Rebalancings that were given up.
    pub aborted: u64,
    /// Slots that were handed over.
    pub slots: u64,
    /// Rows copied.
    pub rows: u64,
    /// Bytes written to copy them.
    pub bytes: u64,
    /// Rows removed from where they were.
    pub rows_removed: u64,
    /// The longest time for which no commit could be numbered, in microseconds.
    pub barrier_micros_max: u64,
    /// What the last one did that was finished.
    pub last: Option<Rebalanced>,
    /// How far the one under way is; `None`: there is none.
    pub under_way: Option<RebalanceStatus>,
}

impl RebalanceStats {
    /// Adds what one does, or did.
    pub(super) fn add(&mut self, figures: &Figures) {
        self.slots += figures.slots_done();
        self.rows += figures.rows_copied;
        self.bytes += figures.bytes_copied;
        self.rows_removed += figures.rows_removed;
        self.barrier_micros_max = self.barrier_micros_max.max(figures.barrier_micros_max);
    }
}

/// Figures of the one under way.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) phase: RebalancePhase,
    pub(super) aborted: bool,
    pub(super) slots: u64,
    pub(super) shards_after: usize,
    pub(super) rows_copied: u64,
    pub(super) bytes_copied: u64,
    pub(super) fraction: f64,
    pub(super) copying: Duration,
    pub(super) waits_for_compaction: bool,
    pub(super) barrier_micros_max: u64,
    pub(super) rows_removed: u64,
    pub(super) began: std::time::Instant,
}

impl Figures {
    pub(super) fn new(phase: RebalancePhase, slots: u64, shards_after: usize) -> Self {
        Figures {
            phase,
            aborted: false,
            slots,
            shards_after,
            rows_copied: 0,
            bytes_copied: 0,
            // What there is to copy is copied before anything else.
            fraction: if phase == RebalancePhase::Copying { 0.0 } else { 1.0 },
            copying: Duration::ZERO,
            waits_for_compaction: false,
            barrier_micros_max: 0,
            rows_removed: 0,
            began: std::time::Instant::now(),
        }
    }

    /// Of one that was cut short, over a store with this slot map.
    pub(super) fn of(unfinished: &Unfinished, map: &SlotMap) -> Self {
        // Of two maps the newer one is where slots were to go: if it is not in force, they never went.
        let aborted = matches!(unfinished, Unfinished::Cleaning { other, .. } if other.epoch() > map.epoch());
        let other = unfinished.other().filter(|_| !aborted);
        let slots = other.map_or(0, |other| differing(map, other).count()) as u64;
        let phase = match unfinished {
            Unfinished::Copying { .. } => RebalancePhase::Copying,
            Unfinished::Cleaning { .. } => RebalancePhase::Cleaning,
            Unfinished::Removing { .. } => RebalancePhase::Removing,
        };
        Figures { aborted, ..Figures::new(phase, slots, unfinished.counts()[1]) }
    }

    /// Notes what a slice has copied, and how much is done with it.
    pub(super) fn copied(&mut self, rows: u64, bytes: u64, fraction: f64) {
        self.rows_copied += rows;
        self.bytes_copied += bytes;
        self.fraction = self.fraction.max(fraction);
    }

    fn is_handed_over(&self) -> bool {
        !matches!(self.phase, RebalancePhase::Copying | RebalancePhase::HandingOver)
    }

    fn slots_done(&self) -> u64 {
        if self.is_handed_over() { self.slots } else { 0 }
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
        RebalanceStatus {
            phase: self.phase,
            aborted: self.aborted,
            slots: self.slots,
            slots_done: self.slots_done(),
            shards_after: self.shards_after,
            rows_copied: self.rows_copied,
            bytes_copied: self.bytes_copied,
            fraction: self.fraction,
            bytes_per_sec: (self.bytes_copied as f64 / self.copying.as_secs_f64().max(0.001)) as u64,
            bytes_per_sec_max: rate,
            remaining_ms: (self.fraction > 0.0 && !self.is_handed_over()).then_some(rest.as_millis() as u64),
            elapsed_ms: self.began.elapsed().as_millis() as u64,
            waits_for_compaction: self.waits_for_compaction,
            older_readers,
            barrier_micros_max: self.barrier_micros_max,
            rows_removed: self.rows_removed,
            failure,
        }
    }
}
