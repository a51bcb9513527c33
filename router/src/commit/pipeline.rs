//! The two threads that carry groups of commits from the queue to their acknowledgement.

use super::gather::Gathering;
use super::{Group, Lifecycle};
use crate::core::Core;
use crate::log::Kind;
use crate::{Durability, Error, Result};
use parking_lot::{Condvar, Mutex, MutexGuard};
use shingle_shard::Version;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// A group below this is applied by the log thread itself, once it is synced, when nothing waits before it: a hand-over costs more.
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
    appended: Mutex<Appended>,
    /// With the lock of `appended`: its state changed.
    appended_changed: Condvar,
}

/// Groups that are in the log and wait to be applied, and how far the log is durable.
#[derive(Debug, Default)]
struct Appended {
    groups: VecDeque<Group>,
    /// The apply thread has a group: the next one must wait, for groups are published in order.
    applying: bool,
    /// Commits up to this version are as durable as they asked to be.
    durable: Version,
    /// Why those above are not and never will be.
    failure: Option<Error>,
    finished: bool,
    /// A thread has panicked, perhaps half-way through a group: nothing is applied or published on top of it.
    abandoned: bool,
}

impl Pipeline {
    /// The log thread: ends when the store closes and its queue is empty.
    pub(crate) fn run_log(core: &Arc<Core>) {
        let mut gathering = Gathering::default();
        while let Some(group) = core.next_group(&mut gathering) {
            match core.append(&group) {
                Ok(()) => core.pipeline.sync_and_hand_over(core, group, &mut gathering),
                Err(error) => core.fail(group, &error),
            }
        }
        let mut appended = core.pipeline.appended.lock();
        appended.finished = true;
        core.pipeline.announce(appended);
    }

    /// The apply thread: ends when the log thread has and nothing is left to apply.
    pub(crate) fn run_apply(core: &Arc<Core>) {
        let pipeline = &core.pipeline;
        let mut appended = pipeline.appended.lock();
        loop {
            if appended.abandoned {
                return;
            } else if let Some(group) = appended.groups.pop_front() {
                appended.applying = true;
                MutexGuard::unlocked(&mut appended, || core.apply_and_publish(&group));
                appended.applying = false;
                pipeline.appended_changed.notify_all();
            } else if appended.finished {
                return;
            } else {
                pipeline.appended_changed.wait(&mut appended);
            }
        }
    }

    /// A large group is applied while it is synced. For a small one, that would cost more than it saves.
    fn sync_and_hand_over(&self, core: &Core, group: Group, gathering: &mut Gathering) {
        let Some(last) = group.last().map(|commit| commit.version) else { return };
        let sync = needs_sync(&group);
        let bytes: usize = group.iter().map(|commit| commit.payload.len()).sum();
        let small = if bytes < INLINE_APPLY_BYTES {
            Some(group)
        } else {
            self.queue(group);
            None
        };
        let begun = Instant::now();
        let outcome = core.make_durable(sync);
        let took = begun.elapsed();
        self.note_durable(last, outcome);
        if let Some(awaited) = small.and_then(|group| self.hand_over(core, group)) {
            gathering.acknowledged(awaited, took);
        }
    }

    /// Applies a small group that is synced, or leaves it to the apply thread behind what that one has. Returns how many commits somebody waited
    /// for, if it was applied here.
    pub(crate) fn hand_over(&self, core: &Core, small: Group) -> Option<usize> {
        let mut appended = self.appended.lock();
        if appended.abandoned {
            // Its authors were told with all others.
            return None;
        }
        // Only this thread queues groups: none can come in between.
        if appended.groups.is_empty() && !appended.applying {
            drop(appended);
            return Some(core.apply_and_publish(&small));
        }
        appended.groups.push_back(small);
        self.announce(appended);
        None
    }

    /// Wakes who waits for a change, once the lock is free: the woken would wait for it at once, and the lock's waiting is a yield, which
    /// where other threads keep every core busy gives the core away for milliseconds.
    fn announce(&self, appended: MutexGuard<'_, Appended>) {
        drop(appended);
        self.appended_changed.notify_all();
    }

    /// Notes whether commits up to `version` are as durable as they asked to be.
    pub(crate) fn note_durable(&self, version: Version, outcome: Result<()>) {
        let mut appended = self.appended.lock();
        match outcome {
            Ok(()) => appended.durable = version,
            Err(error) => appended.failure = Some(error),
        }
        self.announce(appended);
    }

    fn queue(&self, group: Group) {
        let mut appended = self.appended.lock();
        while appended.groups.len() >= APPLY_QUEUE_GROUPS_MAX && !appended.finished {
            self.appended_changed.wait(&mut appended);
        }
        appended.groups.push_back(group);
        self.announce(appended);
    }

    /// Waits until commits up to `version` are as durable as they asked to be.
    fn wait_until_durable(&self, core: &Core, version: Version) -> Result<()> {
        let mut appended = self.appended.lock();
        while appended.durable < version {
            if let Some(error) = appended.failure.clone() {
                return Err(error);
            }
            if appended.finished {
                return Err(core.health.check().err().unwrap_or(Error::Closed));
            }
            self.appended_changed.wait(&mut appended);
        }
        Ok(())
    }
}

/// Whether somebody in the group asked for more than the system's page cache.
pub(crate) fn needs_sync(group: &Group) -> bool {
    group.iter().any(|commit| commit.durability == Durability::Sync)
}

impl Core {
    /// The next group to write; `None` when the store is closed and nothing is left. Meanwhile it syncs what was only buffered, when it is due.
    fn next_group(&self, gathering: &mut Gathering) -> Option<Group> {
        let mut sequencer = self.sequencer.lock();
        if let Some((wanted, patience)) = gathering.wanted(sequencer.queued()) {
            let until = Instant::now() + patience;
            sequencer.log_wakes_at = wanted;
            while sequencer.queued() < wanted
                && !sequencer.is_closing()
                && !self.pipeline.queued.wait_until(&mut sequencer, until).timed_out()
            {}
            sequencer.log_wakes_at = 1;
            gathering.ended(sequencer.queued() >= wanted);
        }
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
                        MutexGuard::unlocked(&mut sequencer, || self.sync_buffered());
                    }
                }
            }
        }
    }

    /// Applies a group that is in the log, and publishes it when it is durable, too. Returns how many commits somebody waited for.
    pub(crate) fn apply_and_publish(&self, group: &Group) -> usize {
        let Some(newest) = group.last() else { return 0 };
        let durable = || self.pipeline.wait_until_durable(self, newest.version);
        let outcome = match newest.kind {
            // A rollback is a group of its own: the sequencer sees to it. What it removes may still be read, so it must be certain.
            Kind::Rollback => durable().and_then(|()| self.apply_rollback(newest)),
            // Numbered behind a rollback that was cut short: on top of it, the rows that it left would be seen.
            Kind::Commit | Kind::Close if self.rollbacks.is_cut_short() => self.health.check(),
            Kind::Commit | Kind::Close => {
                self.apply(group);
                durable()
            }
        };
        fail::fail_point!("commit::after_apply");
        match outcome {
            Ok(()) => self.publish(group),
            Err(error) => {
                self.fail(group.clone(), &error);
                0
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
            let mut appended = self.pipeline.appended.lock();
            (appended.finished, appended.abandoned) = (true, true);
            appended.groups.clear();
        }
        self.pipeline.queued.notify_all();
        self.pipeline.published.notify_all();
        self.pipeline.appended_changed.notify_all();
        self.flusher.stop();
        self.counters.failed(&under_way);
        for commit in under_way {
            commit.completion.finish(Err(error.clone()));
        }
    }
}
