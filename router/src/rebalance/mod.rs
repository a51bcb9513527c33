//! Rebalancing: slots move from shard to shard, and shards come and go, while commits and reads go on.
//!
//! ```text
//! manifest: copying ─► barrier: one swap of the topology; from the next version on, writes go to both shards
//!   ─► what lies below is copied, slice by slice ─► manifest: cleaning, with the new slot map ─► hand-over: one more swap
//!   ─► whoever reads by an older topology is waited for ─► the old shards are cleaned ─► emptied ones are removed ─► manifest: nothing
//! ```
//! # Why nothing is lost and nothing is seen twice
//! The topology is swapped under the lock under which commits are numbered; a batch that was split by an older one is split again. So each version was split by
//! the topology of its number, and the barrier and the hand-over lie between two versions. Nothing of a version that is visible is ever on the new shard alone
//! before it answers for it: the manifest comes first, and until the swap that follows writes go to both.
//!
//! The barrier is not kept: after a crash the opening puts the topology of the manifest in place before the first commit, and copies again what lies below.
//! Rows are keyed by key and version, so that what was copied before is copied to where it was.
//!
//! A shard may hold rows that are not its own; readers of everything leave them out, by the topology that they read by (`Shard::strays`).
//! While slots are on their way the floor stays where it is, so that what is named by no change is at or below it on both shards.

mod begin;
mod check;
mod clean;
mod copy;
mod copy_run;
mod count;
mod estimate;
mod fit;
mod goal;
mod pace;
mod plan;
mod planner;
mod remove;
mod request;
mod run;
mod status;
#[cfg(test)]
mod tests;
mod unfinished;
mod work;

pub use goal::{Balance, Goal, Shortfall, THRESHOLD_PERCENT_DEFAULT};
pub use plan::{Move, Plan};
pub use planner::{Occupancy, Planned, ShardShare};
pub use request::{RebalanceRequest, ReshardRequest, Simulation};
pub use status::{RebalanceOptions, RebalancePhase, RebalanceStats, RebalanceStatus, RebalanceWait, Rebalanced};
pub(crate) use unfinished::{Unfinished, differing};

use crate::slot::SlotMap;
use crate::{Error, Result};
use pace::Pace;
use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use shingle_shard::Shard;
use status::Figures;
use std::sync::Arc;
use std::time::Duration;

/// The rebalancing under way, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Rebalancer {
    /// One is begun at a time, and none while the rate is changed. The first lock of all.
    beginning: Mutex<()>,
    /// Shared by slices of copying and cleaning. Taken alone by the hand-over, and, behind the flusher's lock, by who must have no slice beside him.
    slices: RwLock<()>,
    state: Mutex<State>,
    /// With the lock of `state`: anything in it has changed.
    changed: Condvar,
    pace: Pace,
}

#[derive(Debug, Default)]
struct State {
    /// As in the manifest.
    unfinished: Option<Unfinished>,
    figures: Option<Figures>,
    /// What those before it did, since the store was opened.
    totals: RebalanceStats,
    /// How many have begun, been finished, or been given up.
    begun: u64,
    finished: u64,
    given_up: u64,
    /// Emptied shards that are out of the store already, until nobody reads by an older topology.
    dropped: Vec<Arc<Shard>>,
    /// Why the thread does not go on.
    failure: Option<Error>,
    give_up: bool,
    /// It is too late to give up.
    handing_over: bool,
    /// The cleaning need not wait for older readers: nobody reads there.
    unread: bool,
    stop: bool,
}

impl State {
    fn bytes_per_sec(&self) -> Option<u64> {
        self.unfinished.as_ref()?.bytes_per_sec()
    }
}

impl Rebalancer {
    /// As the manifest has it.
    pub(crate) fn new(unfinished: Option<Unfinished>, map: &SlotMap) -> Self {
        let rebalancer = Rebalancer::default();
        if let Some(unfinished) = unfinished {
            let mut state = rebalancer.state.lock();
            state.begun = 1;
            state.figures = Some(Figures::of(&unfinished, map));
            state.unfinished = Some(unfinished);
        }
        rebalancer
    }

    /// Whether slots are on their way, so that the floor must stay.
    pub(crate) fn holds_floor(&self) -> bool {
        self.state.lock().unfinished.as_ref().is_some_and(|unfinished| unfinished.other().is_some())
    }

    /// Keeps slices and the hand-over away until the guard is dropped. Flushes and prunings go on beside them.
    pub(crate) fn exclude(&self) -> RwLockWriteGuard<'_, ()> {
        self.slices.write()
    }

    /// Begins a slice: rollbacks, checkpoints and verifications wait until the guard is dropped, other slices do not.
    fn slice(&self) -> RwLockReadGuard<'_, ()> {
        self.slices.read()
    }

    /// Ends the thread, after its slice.
    pub(crate) fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_all();
    }

    /// Refuses to go on when the store closes, or the rebalancing was given up.
    fn check_going(&self) -> Result<(), Interrupted> {
        let state = self.state.lock();
        match (state.stop, state.give_up) {
            (true, _) => Err(Interrupted::Stopped),
            (_, true) => Err(Interrupted::GivenUp),
            _ => Ok(()),
        }
    }

    /// Rests, unless it is to stop.
    fn rest(&self, time: Duration) -> Result<(), Interrupted> {
        let mut state = self.state.lock();
        self.changed.wait_while_for(&mut state, |state| !state.stop && !state.give_up, time);
        drop(state);
        self.check_going()
    }

    fn note(&self, change: impl FnOnce(&mut Figures)) {
        if let Some(figures) = &mut self.state.lock().figures {
            change(figures);
        }
        self.changed.notify_all();
    }
}

/// Why the thread leaves a step before its end.
#[derive(Debug)]
enum Interrupted {
    Stopped,
    GivenUp,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Interrupted {
    fn from(error: E) -> Self {
        Interrupted::Failed(error.into())
    }
}
