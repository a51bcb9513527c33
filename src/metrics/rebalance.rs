//! Rebalancings: what they did, and how far the one under way is.

use super::family::{Families, Sample};
use super::store::seconds;
use super::upkeep::now_ms;
use crate::Status;
use shingle_router::{RebalancePhase, RebalanceStatus};

pub(super) fn describe(status: &Status, families: &mut Families) {
    let stats = &status.stats.rebalance;
    let mut counter = |name: &str, help: &str, value: u64| families.counter(name, help, value as f64);
    counter("shingle_rebalances_total", "Rebalancings that were finished.", stats.runs);
    counter("shingle_rebalance_failures_total", "How often a rebalancing has stopped at a failure.", stats.failed);
    counter("shingle_rebalances_aborted_total", "Rebalancings that were given up.", stats.aborted);
    counter("shingle_rebalance_slots_total", "Slots that were handed over to their new shards.", stats.slots);
    counter("shingle_rebalance_copied_rows_total", "Rows copied to new shards.", stats.rows);
    counter("shingle_rebalance_copied_bytes_total", "Bytes written to copy them.", stats.bytes);
    counter("shingle_rebalance_removed_rows_total", "Rows removed from old shards.", stats.rows_removed);
    families.gauge(
        "shingle_rebalance_longest_pause_seconds",
        "The longest time for which a rebalancing let no commit be numbered.",
        seconds(stats.barrier_micros_max),
    );
    under_way(stats.under_way.as_ref(), families);
}

fn under_way(now: Option<&RebalanceStatus>, families: &mut Families) {
    let flag = |is: bool| f64::from(u8::from(is));
    families.gauge("shingle_rebalance_running", "1 while a rebalancing is under way.", flag(now.is_some()));
    let stopped = now.is_some_and(|now| now.failure.is_some());
    families.gauge("shingle_rebalance_stopped", "1 while it stands still because of a failure.", flag(stopped));
    let lags = now.is_some_and(|now| now.waits_for_compaction);
    families.gauge("shingle_rebalance_waits_for_compaction", "1 while copying waits for compaction.", flag(lags));
    let phase = now.map(|now| now.phase);
    let states = STATES.map(|(name, of)| Sample::plain(flag(phase == Some(of))).with("state", name));
    families.gauges("shingle_rebalance_state", "1 for what the rebalancing under way does.", states);
    let mut gauge = |name: &str, help: &str, value: f64| families.gauge(name, help, value);
    let of = |figure: fn(&RebalanceStatus) -> u64| now.map_or(0.0, |now| figure(now) as f64);
    gauge(
        "shingle_rebalance_moving_slots",
        "Slots of the rebalancing under way that are not handed over yet.",
        of(|now| now.slots - now.slots_done),
    );
    gauge(
        "shingle_rebalance_moved_slots",
        "Slots of the rebalancing under way that are handed over.",
        of(|now| now.slots_done),
    );
    gauge(
        "shingle_rebalance_older_readers",
        "Snapshots, scans and the like that still read where slots were.",
        of(|now| now.older_readers),
    );
    gauge(
        "shingle_rebalance_progress_ratio",
        "How much of what the rebalancing under way copies is copied, from 0 to 1.",
        now.map_or(0.0, |now| now.fraction),
    );
    let remaining_ms = now.and_then(|now| now.remaining_ms);
    gauge(
        "shingle_rebalance_remaining_seconds",
        "How long copying will still take, estimated; 0 without any.",
        remaining_ms.unwrap_or(0) as f64 / 1e3,
    );
    gauge(
        "shingle_rebalance_estimated_end_timestamp_seconds",
        "When copying will have ended, estimated; 0 without any.",
        remaining_ms.map_or(0.0, |remaining_ms| now_ms().saturating_add(remaining_ms) as f64 / 1e3),
    );
}

const STATES: [(&str, RebalancePhase); 5] = [
    ("copying", RebalancePhase::Copying),
    ("handing_over", RebalancePhase::HandingOver),
    ("waiting_for_readers", RebalancePhase::WaitingForReaders),
    ("cleaning", RebalancePhase::Cleaning),
    ("removing", RebalancePhase::Removing),
];
