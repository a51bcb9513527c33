//! Admission: commits enter as memory has room for them, so that those under way and the memtables together keep the budget.

use crate::Result;
use crate::commit::Group;
use crate::core::Core;
use crate::log::Kind;
use crate::throttle::{Fill, Throttle};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// What was let in and is not yet in the memtables.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    under_way_bytes: AtomicU64,
    /// Commits that wait for room.
    waiting: AtomicUsize,
    /// Who waits takes turns: else small commits would pass a large one for ever.
    turn: Mutex<()>,
    throttle: Throttle,
}

impl Admission {
    /// Whether a commit waits for room.
    pub(crate) fn anyone_waits(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }
}

/// Room for one commit, from its admission until it is applied. Given back when dropped, unless it is kept.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    admission: &'a Admission,
    bytes: u64,
}

impl Room<'_> {
    /// The commit is numbered: [`Core::leave`] gives the room back.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.admission.under_way_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Core {
    /// Lets a commit that takes `bytes` in when the memory has room for it. It waits for a flush where that helps, and is slowed down before
    /// that is needed.
    ///
    /// # Errors
    /// What keeps the flushes from succeeding, a full disk for instance.
    pub(crate) fn admit(&self, bytes: u64) -> Result<Room<'_>> {
        let admission = &self.admission;
        let enter = || {
            let before = admission.under_way_bytes.fetch_add(bytes, Ordering::Relaxed);
            let room = Room { admission, bytes };
            let (taken, budget) = (before + self.memory().unflushed_bytes, self.options.memory_budget_bytes);
            // A batch larger than the budget has to go alone.
            (taken == 0 || taken + bytes <= budget).then_some((room, Fill { taken: taken + bytes, budget }))
        };
        if !admission.anyone_waits()
            && let Some((room, fill)) = enter()
        {
            if fill.slows() {
                self.slow_down(bytes, fill);
            }
            return Ok(room);
        }
        let begun = Instant::now();
        admission.waiting.fetch_add(1, Ordering::AcqRel);
        let turn = admission.turn.lock();
        let room = self.flusher.wait_for_room(enter);
        drop(turn);
        admission.waiting.fetch_sub(1, Ordering::AcqRel);
        self.counters.waited_for_memory(begun.elapsed());
        room.map(|(room, _)| room)
    }

    /// Holds a commit up so long that commits come as flushes make room for them.
    fn slow_down(&self, bytes: u64, fill: Fill) {
        let Some(drained) = self.flusher.drained_per_sec() else { return };
        let delay = self.admission.throttle.delay(bytes, fill, drained, Instant::now());
        if !delay.is_zero() {
            thread::sleep(delay);
            self.counters.waited_for_memory(delay);
        }
    }

    /// Gives back the room of commits that are applied, or that failed.
    pub(crate) fn leave(&self, group: &Group) {
        let commits = group.iter().filter(|commit| commit.kind == Kind::Commit);
        let bytes = commits.map(|commit| commit.room_bytes()).sum();
        self.admission.under_way_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if self.admission.anyone_waits() {
            self.flusher.announce_room();
        }
    }
}
