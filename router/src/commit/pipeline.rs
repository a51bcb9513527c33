//! The two threads that carry groups of commits from the queue to their acknowledgement.

use super::{Group, Lifecycle};
use crate::Error;
use crate::core::Core;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// A synced group below this is applied by the log thread itself when nothing waits before it: a hand-over costs more.
const INLINE_APPLY_BYTES: usize = 16 << 10;

/// Groups that may wait for the apply thread; the log thread does not run further ahead.
const APPLY_QUEUE_GROUPS_MAX: usize = 16;

/// How the stages wait for one another.
#[derive(Debug, Default)]
pub(crate) struct Pipeline {
    /// With the sequencer's lock: something was queued, or the store closes.
    pub(crate) queued: Condvar,
    /// With the sequencer's lock: a group was published, or failed, or a rollback waits no more.
    pub(crate) published: Condvar,
    synced: Mutex<Synced>,
    /// With the lock of `synced`: its state changed.
    synced_changed: Condvar,
}

/// Groups that are synced and wait to be applied.
#[derive(Debug, Default)]
struct Synced {
    groups: VecDeque<Group>,
    /// A group is being applied: the next one must wait, for groups are applied in order.
    applying: bool,
    finished: bool,
}

impl Pipeline {
    /// The log thread: ends when the store closes and its queue is empty.
    pub(crate) fn run_log(core: &Arc<Core>) {
        while let Some(group) = core.next_group() {
            match core.append_and_sync(&group) {
                Ok(()) => core.pipeline.hand_over(core, group),
                Err(error) => core.fail(group, &error),
            }
        }
        let mut synced = core.pipeline.synced.lock();
        synced.finished = true;
        core.pipeline.synced_changed.notify_all();
    }

    /// The apply thread: ends when the log thread has and nothing is left to apply.
    pub(crate) fn run_apply(core: &Arc<Core>) {
        let pipeline = &core.pipeline;
        let mut synced = pipeline.synced.lock();
        loop {
            if synced.applying || (synced.groups.is_empty() && !synced.finished) {
                pipeline.synced_changed.wait(&mut synced);
            } else if let Some(group) = synced.groups.pop_front() {
                synced.applying = true;
                parking_lot::MutexGuard::unlocked(&mut synced, || core.apply_and_publish(&group));
                synced.applying = false;
                pipeline.synced_changed.notify_all();
            } else {
                return;
            }
        }
    }

    fn hand_over(&self, core: &Core, group: Group) {
        let bytes: usize = group.iter().map(|commit| commit.payload.len()).sum();
        let mut synced = self.synced.lock();
        if bytes < INLINE_APPLY_BYTES && synced.groups.is_empty() && !synced.applying {
            synced.applying = true;
            parking_lot::MutexGuard::unlocked(&mut synced, || core.apply_and_publish(&group));
            synced.applying = false;
        } else {
            while synced.groups.len() >= APPLY_QUEUE_GROUPS_MAX && !synced.finished {
                self.synced_changed.wait(&mut synced);
            }
            synced.groups.push_back(group);
        }
        self.synced_changed.notify_all();
    }
}

impl Core {
    /// The next group to write; `None` when the store is closed and nothing is left. Meanwhile it syncs what was only buffered, when it is due.
    fn next_group(&self) -> Option<Group> {
        let mut sequencer = self.sequencer.lock();
        loop {
            let group = sequencer.take_group();
            if !group.is_empty() {
                return Some(group);
            }
            if sequencer.is_closing() {
                return None;
            }
            let buffered_since = *self.buffered_since.lock();
            match buffered_since {
                None => self.pipeline.queued.wait(&mut sequencer),
                Some(since) => {
                    let due = since + self.options.buffered_sync;
                    if self.pipeline.queued.wait_until(&mut sequencer, due).timed_out() {
                        parking_lot::MutexGuard::unlocked(&mut sequencer, || self.sync_buffered());
                    }
                }
            }
        }
    }

    /// Syncs what buffered commits have left. A failure poisons the store, which the next commit reports.
    fn sync_buffered(&self) {
        *self.buffered_since.lock() = None;
        if let Some(log) = &self.log {
            let _reported_by_health = log.lock().sync().map_err(|error| self.health.poison(&error));
        }
    }

    /// Notes that something is written but not synced.
    pub(crate) fn note_buffered(&self) {
        self.buffered_since.lock().get_or_insert_with(Instant::now);
    }

    /// Ends the commits of a group that could not be written, and all behind it.
    fn fail(&self, group: Group, error: &Error) {
        let failed = {
            let mut sequencer = self.sequencer.lock();
            // Read under the lock: a block that is published meanwhile leaves the commits in flight under it.
            let published_head = self.blocks.read().newest().map(|sealed| sealed.block());
            sequencer.take_back(group, published_head)
        };
        self.pipeline.published.notify_all();
        self.leave(&failed);
        self.counters.failed(&failed);
        for commit in failed {
            commit.completion.finish(Err(error.clone()));
        }
    }

    /// Ends everything because a thread of the store has panicked: nobody may wait for it for ever.
    pub(crate) fn abandon(&self, thread: &str) {
        let error = self.health.poison(&Error::Panicked { what: thread.to_owned() });
        let under_way = {
            let mut sequencer = self.sequencer.lock();
            sequencer.lifecycle = Lifecycle::Closing;
            sequencer.abandon()
        };
        {
            let mut synced = self.pipeline.synced.lock();
            (synced.finished, synced.applying) = (true, false);
            synced.groups.clear();
        }
        self.pipeline.queued.notify_all();
        self.pipeline.published.notify_all();
        self.pipeline.synced_changed.notify_all();
        self.flusher.stop();
        self.counters.failed(&under_way);
        for commit in under_way {
            commit.completion.finish(Err(error.clone()));
        }
    }
}
