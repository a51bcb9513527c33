//! The thread that flushes by itself: what it flushes when, and when it lets compaction catch up.

use super::{Flusher, Haste, RETRY};
use crate::Error;
use crate::core::Core;
use shingle_shard::{Memory, Shard};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A shard with this many files at level 0 takes no flush until compaction has caught up: ingestion itself is never stalled by RocksDB.
/// The memory then fills, and commits are slowed down. RocksDB's own `level0_stop_writes_trigger`.
const LEVEL0_FILES_MAX: u64 = 36;

/// RocksDB's own `soft_pending_compaction_bytes_limit`.
const PENDING_COMPACTION_BYTES_MAX: u64 = 64 << 30;

/// How long a flush that waits for compaction rests before it looks again.
const LOOK: Duration = Duration::from_millis(20);

/// A shard is flushed ahead of a fuller one that lags if it has this part of its bytes, one in so many: smaller files would soon make it lag, too.
const WORTH_PART: u64 = 2;

/// After a flush, what is known of the slots is kept if it was kept longer ago than this.
const SLOTS_KEPT: Duration = Duration::from_secs(60);

/// What to flush next.
enum Plan {
    Nothing,
    All,
    Largest,
}

/// What the thread did.
enum Step {
    NothingDue,
    Flushed,
    CompactionLags,
    Failed(Error),
}

impl Flusher {
    /// The flush thread.
    pub(crate) fn run(core: &Arc<Core>) {
        let flusher = &core.flusher;
        let mut slots_kept: Option<Instant> = None;
        loop {
            flusher.state.lock().woken = false;
            core.evict();
            let step = core.flush_what_is_due();
            if matches!(step, Step::Flushed) && slots_kept.is_none_or(|kept| kept.elapsed() >= SLOTS_KEPT) {
                core.save_slot_stats();
                slots_kept = Some(Instant::now());
            }
            let mut state = flusher.state.lock();
            if state.stop {
                return;
            }
            match step {
                Step::Flushed => {}
                Step::NothingDue => {
                    let until_due = core.options.flush_interval.map_or(Duration::from_secs(3600), |interval| {
                        interval.saturating_sub(state.last_flush.elapsed()).max(RETRY)
                    });
                    state.busy_since = None;
                    flusher.sleep(&mut state, until_due);
                }
                Step::CompactionLags => {
                    core.counters.waited_for_compaction(LOOK);
                    state.failure = None;
                    flusher.rest(&mut state, LOOK);
                }
                Step::Failed(error) => {
                    core.counters.flush_failed();
                    state.failure = Some(error);
                    flusher.freed.notify_all();
                    flusher.rest(&mut state, RETRY);
                }
            }
        }
    }
}

impl Core {
    fn flush_what_is_due(&self) -> Step {
        let plan = self.plan();
        if matches!(plan, Plan::Nothing) {
            return Step::NothingDue;
        }
        self.flusher.state.lock().busy_since.get_or_insert_with(Instant::now);
        let topology = self.shards.keep();
        let (lagging, ready): (Vec<_>, Vec<_>) = topology.all().iter().partition(|shard| lags(shard));
        let flushed = if matches!(plan, Plan::All) && lagging.is_empty() {
            self.flush_shards(|_| true, Haste::Unhurried)
        } else if matches!(plan, Plan::All) && !self.runs_full(self.memory()) {
            // Due by the clock or by blocks: a few rows at a time would soon make the others lag as well.
            return Step::CompactionLags;
        } else {
            // The run of the fullest is about twice as long as if all shards were flushed together, and longer runs mean less compaction.
            let unflushed = |shard: &Arc<Shard>| shard.memory().unflushed_bytes;
            let most = lagging.iter().map(|shard| unflushed(shard)).max().unwrap_or(0);
            let fullest = ready.into_iter().max_by_key(|shard| unflushed(shard));
            let Some(shard) = fullest.filter(|shard| unflushed(shard) >= most / WORTH_PART) else {
                return Step::CompactionLags;
            };
            self.flush_shards(|number| number == shard.number(), Haste::Unhurried)
        };
        flushed.map_or_else(Step::Failed, |_| Step::Flushed)
    }

    fn plan(&self) -> Plan {
        let memory = self.memory();
        let state = self.flusher.state.lock();
        let unflushed = memory.unflushed_bytes > 0;
        let blocks_due =
            state.automatic && self.options.blocks_per_flush.is_some_and(|limit| state.blocks_since >= limit);
        let time_due = state.automatic
            && self.options.flush_interval.is_some_and(|interval| state.last_flush.elapsed() >= interval);
        if unflushed && (blocks_due || time_due) {
            Plan::All
        } else if self.runs_full(memory) {
            Plan::Largest
        } else {
            Plan::Nothing
        }
    }

    /// Whether memory is a reason to flush.
    fn runs_full(&self, memory: Memory) -> bool {
        memory.active_bytes >= self.options.write_buffer_bytes
            || memory.unflushed_bytes > memory.active_bytes
            // A commit waits for room: what is there may be little, and yet too much for the commit to fit beside it.
            || (memory.unflushed_bytes > 0 && self.admission.anyone_waits())
    }
}

fn lags(shard: &Shard) -> bool {
    let pressure = shard.backend().pressure();
    pressure.level0_files >= LEVEL0_FILES_MAX || pressure.pending_compaction_bytes >= PENDING_COMPACTION_BYTES_MAX
}
