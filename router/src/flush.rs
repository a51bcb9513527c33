//! Flushing: when the shards' memtables go to their backends, and how much memory they may take until then.

mod round;
#[cfg(test)]
mod tests;
mod thread;

use crate::commit::Group;
use crate::core::Core;
use crate::{Error, Result};
use parking_lot::{Condvar, Mutex, MutexGuard};
use round::Round;
use shingle_shard::{Memory, Version};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a failed flush rests before it is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// What a flush wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Flushed {
    /// Versions of keys, tombstones among them.
    pub keys: u64,
    /// Bytes handed to the disk.
    pub bytes: u64,
}

/// What all flushes since the store was opened have written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FlushStats {
    /// Flushes that wrote something.
    pub flushes: u64,
    /// Versions of keys written.
    pub keys: u64,
    /// Bytes handed to the disk.
    pub bytes: u64,
    /// Newest block that is flushed on every shard.
    pub last_block: Option<u64>,
    /// Newest version that is flushed on every shard.
    pub last_version: Version,
}

/// Decides what is flushed when. Its thread is the only one that flushes by itself.
#[derive(Debug)]
pub(crate) struct Flusher {
    /// One flush at a time, and none during a rollback.
    flushing: Mutex<()>,
    /// Flushes that somebody waits for.
    pub(crate) awaited: AtomicUsize,
    state: Mutex<State>,
    /// With the lock of `state`: a reason to flush may have come up, or the store closes.
    wake: Condvar,
    /// With the lock of `state`: memory was freed, or a flush has failed.
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    stats: FlushStats,
    /// Whether the clock and the blocks start flushes. Memory that runs full always does.
    automatic: bool,
    last_flush: Instant,
    blocks_since: u64,
    /// Why the last flush failed. Commits that need memory are refused with it.
    failure: Option<Error>,
    /// What the last flush took out of memory; `None` before the first one.
    drained: Option<Drained>,
    /// Since when the flush under way, or due, has made no room, what it waits for included; `None`: none is due.
    busy_since: Option<Instant>,
    /// Somebody has called for the thread since it last looked: it must not go to sleep.
    woken: bool,
    stop: bool,
}

/// What a flush took out of memory, and in how long.
#[derive(Clone, Copy, Debug)]
struct Drained {
    bytes: u64,
    took: Duration,
}

/// How much of the processor a flush takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Somebody waits for it.
    Awaited,
    /// Half of the cores are left to commits, while there is memory.
    Unhurried,
}

impl Flusher {
    pub(crate) fn new() -> Self {
        let state = State {
            stats: FlushStats::default(),
            automatic: true,
            last_flush: Instant::now(),
            blocks_since: 0,
            failure: None,
            drained: None,
            busy_since: None,
            woken: false,
            stop: false,
        };
        Flusher {
            flushing: Mutex::new(()),
            awaited: AtomicUsize::new(0),
            state: Mutex::new(state),
            wake: Condvar::new(),
            freed: Condvar::new(),
        }
    }

    /// Keeps flushes away until the guard is dropped. One that is under way hurries.
    pub(crate) fn exclude(&self) -> MutexGuard<'_, ()> {
        let _awaited = Awaiting::begin(&self.awaited);
        self.flushing.lock()
    }

    pub(crate) fn stats(&self) -> FlushStats {
        self.state.lock().stats
    }

    /// Why the last flush failed, if it did.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.state.lock().failure.clone()
    }

    /// The bytes of memory that flushes make room for in a second: as the last one did, or fewer if the next one is longer about it. `None` if there
    /// was none, or if they fail: then nothing makes room, and whoever waits shall be told soon.
    pub(crate) fn drained_per_sec(&self) -> Option<f64> {
        let state = self.state.lock();
        let Drained { bytes, took } = state.drained.filter(|_| state.failure.is_none())?;
        let now = state.busy_since.map_or(Duration::ZERO, |since| since.elapsed());
        Some(bytes as f64 / took.max(now).as_secs_f64().max(f64::MIN_POSITIVE))
    }

    pub(crate) fn set_automatic(&self, automatic: bool) {
        let mut state = self.state.lock();
        state.automatic = automatic;
        self.call(&mut state);
    }

    pub(crate) fn is_automatic(&self) -> bool {
        self.state.lock().automatic
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.wake.notify_all();
        self.freed.notify_all();
    }

    /// Has the thread look whether there is something to flush.
    fn call(&self, state: &mut State) {
        state.woken = true;
        self.wake.notify_one();
    }

    /// Sleeps until somebody calls, the store closes, or `time` has passed.
    fn sleep(&self, state: &mut MutexGuard<'_, State>, time: Duration) {
        // A call that came while the thread looked around was not for what it saw.
        self.wake.wait_while_for(state, |state| !state.woken && !state.stop, time);
    }

    /// Sleeps for `time`, whoever calls, unless the store closes.
    fn rest(&self, state: &mut MutexGuard<'_, State>, time: Duration) {
        self.wake.wait_while_for(state, |state| !state.stop, time);
    }

    /// Notes an applied group, and wakes the thread if it has something to do.
    pub(crate) fn applied(&self, core: &Core, group: &Group) {
        let memory = core.memory();
        let mut state = self.state.lock();
        state.blocks_since += group.iter().filter(|commit| commit.block.is_some()).count() as u64;
        let due = core.options.blocks_per_flush.is_some_and(|limit| state.blocks_since >= limit);
        if due
            || memory.active_bytes >= core.options.write_buffer_bytes
            || memory.total_bytes > core.options.memory_budget_bytes
        {
            self.call(&mut state);
        }
    }

    /// Tells commits that wait for memory to look again.
    pub(crate) fn announce_room(&self) {
        let _state = self.state.lock();
        self.freed.notify_all();
    }

    /// Waits until `enter` finds room, and returns what it made of it.
    ///
    /// # Errors
    /// What keeps the flushes from succeeding; the store closes.
    pub(crate) fn wait_for_room<R>(&self, mut enter: impl FnMut() -> Option<R>) -> Result<R> {
        let mut state = self.state.lock();
        loop {
            // Under the lock with which room is announced: an announcement can't be missed.
            if let Some(room) = enter() {
                return Ok(room);
            }
            if let Some(error) = state.failure.clone() {
                return Err(error);
            }
            if state.stop {
                return Err(Error::Closed);
            }
            self.call(&mut state);
            self.freed.wait_for(&mut state, RETRY);
        }
    }
}

/// Counts a flush that somebody waits for, from before it begins.
pub(crate) struct Awaiting<'a>(&'a AtomicUsize);

impl<'a> Awaiting<'a> {
    pub(crate) fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Awaiting(count)
    }
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Core {
    /// What the memtables of all shards take.
    pub(crate) fn memory(&self) -> Memory {
        let mut sum = Memory::default();
        for memory in self.shards.now().all().iter().map(|shard| shard.memory()) {
            sum.active_bytes += memory.active_bytes;
            sum.unflushed_bytes += memory.unflushed_bytes;
            sum.total_bytes += memory.total_bytes;
        }
        sum
    }

    /// Flushes every shard, whatever it holds.
    pub(crate) fn flush_all(&self) -> Result<Flushed> {
        self.flush_shards(|_| true, Haste::Awaited)
    }

    /// Flushes these shards, with some of the threads while there is memory.
    pub(crate) fn flush_unhurried(&self, shards: &BTreeSet<usize>) -> Result<Flushed> {
        self.flush_shards(|shard| shards.contains(&shard), Haste::Unhurried)
    }

    /// 1. The memtables are sealed between two versions, so that each file holds whole versions.
    /// 2. The log is synced through them: no shard may be ahead of the log after a power cut.
    /// 3. The block index is written that far and no further. After 4, recovery no longer reads the log that could rebuild it; and what the log
    ///    has not synced, the index must not have.
    /// 4. The shards write their files and their marks.
    /// 5. Log segments that no shard needs any more are released.
    fn flush_shards(&self, chosen: impl Fn(usize) -> bool + Sync, haste: Haste) -> Result<Flushed> {
        // Before it waits for one that is under way.
        let _awaited = (haste == Haste::Awaited).then(|| Awaiting::begin(&self.flusher.awaited));
        let _one_at_a_time = self.flusher.flushing.lock();
        self.health.check()?;
        let begun = Instant::now();
        let topology = self.shards.keep();
        let everything = topology.all().iter().all(|shard| chosen(shard.number()));
        if everything {
            let mut state = self.flusher.state.lock();
            (state.blocks_since, state.last_flush) = (0, Instant::now());
        }
        let shards: Vec<_> = topology.all().iter().filter(|shard| chosen(shard.number())).collect();
        let (through, sealed_bytes) = {
            let applied = self.boundary.lock();
            shards.iter().for_each(|shard| shard.seal());
            (*applied, shards.iter().map(|shard| shard.memory().unflushed_bytes).sum::<u64>())
        };
        self.wait_until_published(through)?;
        fail::fail_point!("flush::after_seal");
        self.sync()?;
        self.persist_blocks(through)?;
        fail::fail_point!("flush::after_blocks");
        let flushed: Vec<_> = match shards.as_slice() {
            // A commit waits for it: no work for threads that let others go first.
            [shard] if self.admission.anyone_waits() => vec![shard.flush(through, self.epoch(), &|_| {})],
            shards => Round::new(self, shards, through, haste).run(),
        };
        self.evict();
        self.flusher.announce_room();
        let mut sum = Flushed::default();
        for part in flushed {
            let part = part?;
            sum.keys += part.keys;
            sum.bytes += part.bytes;
        }
        fail::fail_point!("flush::after_shards");
        let everywhere = topology.all().iter().map(|shard| shard.flushed_through()).min().unwrap_or(0);
        let last_block = self.blocks.read().at_or_below_version(everywhere).map(|block| block.height);
        if let Some(log) = &self.log {
            log.lock().release(everywhere)?;
        }
        if sum.keys > 0 {
            self.counters.flush_micros.add_time(begun.elapsed());
        }
        let mut state = self.flusher.state.lock();
        state.failure = None;
        if sealed_bytes > 0 {
            let took = state.busy_since.replace(Instant::now()).unwrap_or(begun).elapsed();
            state.drained = Some(Drained { bytes: sealed_bytes, took });
        }
        state.stats = FlushStats {
            flushes: state.stats.flushes + u64::from(sum.keys > 0),
            keys: state.stats.keys + sum.keys,
            bytes: state.stats.bytes + sum.bytes,
            last_block,
            last_version: everywhere,
        };
        Ok(sum)
    }

    /// A version is applied a moment before it is published, and its block is in the index only then.
    pub(crate) fn wait_until_published(&self, version: Version) -> Result<()> {
        let mut sequencer = self.sequencer.lock();
        while self.visible() < version {
            self.health.check()?;
            self.pipeline.published.wait(&mut sequencer);
        }
        Ok(())
    }

    /// Writes what the block index has learnt since it was written last, up to a version that the log has synced.
    pub(crate) fn persist_blocks(&self, through: Version) -> Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let mut file = disk.blocks.lock();
        let news = self.blocks.read().news_through(through).to_vec();
        file.append(&news)?;
        self.blocks.write().persisted(news.len());
        Ok(())
    }

    /// Frees flushed memory, oldest first, until the budget is kept; the newest versions stay as long as that can be.
    fn evict(&self) {
        let over = |memory: Memory| memory.total_bytes.saturating_sub(self.options.memory_budget_bytes);
        for keep_after in [self.visible().saturating_sub(self.options.keep_recent_versions), Version::MAX] {
            let excess = over(self.memory());
            if excess == 0 {
                break;
            }
            let topology = self.shards.now();
            let share = excess.div_ceil(topology.all().len() as u64);
            for shard in topology.all() {
                shard.evict(keep_after, share);
            }
        }
    }
}
