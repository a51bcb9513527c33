//! The thread that does it, and those who wait for it.

use super::copy::Copying;
use super::status::RebalancePhase;
use super::{
    Interrupted, Plan, RebalanceOptions, RebalanceStats, RebalanceStatus, RebalanceWait, Rebalanced, Rebalancer,
    Unfinished,
};
use crate::core::Core;
use crate::slot::SlotMap;
use crate::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

/// How often who waits is told how far it is.
const TELL: Duration = Duration::from_millis(100);

impl Rebalancer {
    /// The rebalance thread: goes on with whatever is unfinished, until the store closes.
    pub(crate) fn run(core: &Arc<Core>) {
        let mut copying = None;
        while let Some(unfinished) = core.rebalancer.next() {
            match core.rebalance_step(&unfinished, &mut copying) {
                Ok(()) => {}
                Err(Interrupted::Stopped) => return,
                Err(Interrupted::GivenUp) => {
                    copying = None;
                    if let Err(error) = core.give_up_rebalance(&unfinished) {
                        core.rebalancer.fail(error);
                    }
                }
                Err(Interrupted::Failed(error)) => core.rebalancer.fail(error),
            }
        }
    }

    fn fail(&self, error: Error) {
        let mut state = self.state.lock();
        state.failure = Some(error);
        state.totals.failed += 1;
        (state.give_up, state.handing_over) = (false, false);
        self.changed.notify_all();
    }

    /// Waits for something to do; `None` when the store closes.
    fn next(&self) -> Option<Unfinished> {
        let mut state = self.state.lock();
        loop {
            if state.stop {
                return None;
            }
            if let Some(unfinished) = state.unfinished.clone().filter(|_| state.failure.is_none() || state.give_up) {
                return Some(unfinished);
            }
            self.changed.wait(&mut state);
        }
    }
}

impl Core {
    fn rebalance_step(&self, unfinished: &Unfinished, copying: &mut Option<Copying>) -> Result<(), Interrupted> {
        self.health.check()?;
        match unfinished {
            Unfinished::Copying { next, shards_after, .. } => {
                self.rebalancer.check_going()?;
                if copying.is_none() {
                    *copying = Some(self.begin_copying()?);
                }
                let under_way = copying.as_mut().expect("begun above");
                self.copy(under_way)?;
                // It holds the topology that is about to be an older one.
                *copying = None;
                self.hand_over(next, *shards_after)
            }
            Unfinished::Cleaning { other, shards_after } => {
                self.clean(other, *shards_after)?;
                if self.shards.now().all().len() > *shards_after {
                    self.drop_shards(*shards_after)
                } else {
                    self.finish_rebalance()
                }
            }
            Unfinished::Removing { dirs } => {
                self.remove_dropped(dirs)?;
                self.finish_rebalance()
            }
        }
    }

    /// The new shards answer for the slots from here on.
    ///
    /// 1. Who reads all of the old shards learns that some of their rows are not their own any more.
    /// 2. The manifest has the new slot map. Until 3 what is written still goes to both shards, so that either map is right after a crash.
    /// 3. The swap: what is numbered from here on goes to the new shards alone.
    fn hand_over(&self, next: &SlotMap, shards_after: usize) -> Result<(), Interrupted> {
        {
            let mut state = self.rebalancer.state.lock();
            if state.give_up {
                return Err(Interrupted::GivenUp);
            }
            state.handing_over = true;
        }
        self.rebalancer.note(|figures| (figures.phase, figures.fraction) = (RebalancePhase::HandingOver, 1.0));
        fail::fail_point!("move::before_hand_over");
        let topology = self.shards.keep();
        let unfinished = Unfinished::Cleaning { other: topology.map.clone(), shards_after };
        {
            // A checkpoint has the slot map that its shards are by.
            let _no_checkpoint = self.rebalancer.exclude();
            if let Some(disk) = &self.disk {
                disk.change_manifest(|manifest| {
                    manifest.slot_map = next.clone();
                    manifest.rebalance = Some(unfinished.clone());
                })?;
            }
            fail::fail_point!("move::after_hand_over");
            self.replace_topology(topology.all().to_vec(), next.clone(), None);
        }
        drop(topology);
        let mut state = self.rebalancer.state.lock();
        state.unfinished = Some(unfinished);
        state.unread = false;
        if let Some(figures) = &mut state.figures {
            figures.phase = RebalancePhase::WaitingForReaders;
        }
        self.rebalancer.changed.notify_all();
        Ok(())
    }

    /// What was copied is of no use any more; slots stay where they are.
    fn give_up_rebalance(&self, unfinished: &Unfinished) -> Result<()> {
        let Unfinished::Copying { next, shards_before, .. } = unfinished else {
            self.rebalancer.state.lock().give_up = false;
            return Ok(());
        };
        let cleaning = Unfinished::Cleaning { other: next.clone(), shards_after: *shards_before };
        let topology = self.shards.keep();
        if let Some(disk) = &self.disk {
            disk.change_manifest(|manifest| manifest.rebalance = Some(cleaning.clone()))?;
        }
        fail::fail_point!("move::after_giving_up");
        self.replace_topology(topology.all().to_vec(), topology.map.clone(), None);
        let mut state = self.rebalancer.state.lock();
        state.unfinished = Some(cleaning);
        state.given_up += 1;
        (state.give_up, state.failure, state.unread) = (false, None, true);
        if let Some(figures) = &mut state.figures {
            (figures.phase, figures.slots, figures.shards_after) = (RebalancePhase::Cleaning, 0, *shards_before);
            figures.aborted = true;
        }
        self.rebalancer.changed.notify_all();
        Ok(())
    }

    fn finish_rebalance(&self) -> Result<(), Interrupted> {
        if let Some(disk) = &self.disk {
            disk.change_manifest(|manifest| manifest.rebalance = None)?;
        }
        let topology = self.shards.keep();
        let shards = topology.all().len();
        // A share that is too small costs time alone.
        let _only_slower = self.share_among(topology.all(), shards);
        let mut state = self.rebalancer.state.lock();
        state.unfinished = None;
        state.finished = state.begun;
        if let Some(figures) = state.figures.take() {
            state.totals.add(&figures);
            if figures.aborted {
                state.totals.aborted += 1;
            } else {
                state.totals.runs += 1;
                state.totals.last = Some(figures.done(shards));
            }
        }
        self.rebalancer.changed.notify_all();
        Ok(())
    }

    /// Moves slots, makes shards and removes them, as the plan says.
    pub(crate) fn rebalance(
        &self,
        plan: &Plan,
        options: RebalanceOptions,
        tell: &dyn Fn(&RebalanceStatus),
    ) -> Result<Rebalanced> {
        self.begin_rebalance(plan, options.bytes_per_sec)?;
        self.await_rebalance(options.wait, tell)
    }

    /// Goes on after a failure, at the rate that it had if no other is given, and waits.
    pub(crate) fn resume_rebalance(
        &self,
        options: RebalanceOptions,
        tell: &dyn Fn(&RebalanceStatus),
    ) -> Result<Rebalanced> {
        self.health.check()?;
        if options.bytes_per_sec.is_some() {
            self.set_rebalance_rate(options.bytes_per_sec)?;
        }
        {
            let mut state = self.rebalancer.state.lock();
            if state.unfinished.is_none() {
                return Err(Error::NoRebalance);
            }
            state.failure = None;
            self.rebalancer.changed.notify_all();
        }
        self.await_rebalance(options.wait, tell)
    }

    /// Gives the rebalancing up: every slot stays where it is. Returns once that is certain; what was copied is removed in the background.
    pub(crate) fn abort_rebalance(&self) -> Result<()> {
        let mut state = self.rebalancer.state.lock();
        match &state.unfinished {
            None => return Err(Error::NoRebalance),
            Some(Unfinished::Copying { .. }) if !state.handing_over => {}
            Some(_) => return Err(Error::RebalanceHandedOver),
        }
        let before = state.given_up;
        state.give_up = true;
        state.failure = None;
        self.rebalancer.changed.notify_all();
        loop {
            if state.given_up > before {
                return Ok(());
            }
            if let Some(error) = state.failure.clone() {
                return Err(error);
            }
            if state.stop {
                return Err(Error::Closed);
            }
            self.rebalancer.changed.wait_for(&mut state, TELL);
            self.health.check()?;
        }
    }

    /// How far the rebalancing under way is.
    pub(crate) fn rebalance_status(&self) -> Option<RebalanceStatus> {
        let older = self.shards.held_before() as u64;
        let state = self.rebalancer.state.lock();
        state.unfinished.as_ref()?;
        let failure = state.failure.as_ref().map(ToString::to_string);
        let mut status = state.figures.as_ref()?.status(state.bytes_per_sec(), older, failure);
        if matches!(state.unfinished, Some(Unfinished::Removing { .. })) {
            // The manifest has forgotten those that go, and the topology with it.
            status.shards_after = self.shards.now().all().len();
        }
        Some(status)
    }

    /// What rebalancings have done since the store was opened.
    pub(crate) fn rebalance_stats(&self) -> RebalanceStats {
        let under_way = self.rebalance_status();
        let state = self.rebalancer.state.lock();
        let mut stats = state.totals.clone();
        if let Some(figures) = &state.figures {
            stats.add(figures);
        }
        RebalanceStats { under_way, ..stats }
    }

    fn await_rebalance(&self, wait: RebalanceWait, tell: &dyn Fn(&RebalanceStatus)) -> Result<Rebalanced> {
        let (mine, given_up) = {
            let state = self.rebalancer.state.lock();
            (state.begun, state.given_up)
        };
        loop {
            {
                let mut state = self.rebalancer.state.lock();
                if state.given_up > given_up {
                    return Err(Error::RebalanceGivenUp);
                }
                let shards = self.shards.now().all().len();
                let so_far = state.figures.as_ref().map(|figures| figures.done(shards));
                if state.finished >= mine {
                    return Ok(state.totals.last.unwrap_or_default());
                }
                let reached = match wait {
                    RebalanceWait::Begun => true,
                    RebalanceWait::HandedOver => !matches!(state.unfinished, Some(Unfinished::Copying { .. })),
                    RebalanceWait::Finished => false,
                };
                if reached {
                    return Ok(so_far.unwrap_or_default());
                }
                if let Some(error) = state.failure.clone() {
                    return Err(error);
                }
                if state.stop {
                    return Err(Error::Closed);
                }
                self.rebalancer.changed.wait_for(&mut state, TELL);
            }
            self.health.check()?;
            if let Some(status) = self.rebalance_status() {
                tell(&status);
            }
        }
    }
}
