//! The prune thread: it completes what was cut short, and prunes by the clock if the store is to.

use super::{PruneOptions, Pruner};
use crate::Result;
use crate::core::Core;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a failed pruning rests before it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Nothing to do by itself: it sleeps until the store closes.
const FOR_EVER: Duration = Duration::from_secs(3600);

impl Pruner {
    /// The prune thread.
    pub(crate) fn run(core: &Arc<Core>) {
        let pruner = &core.pruner;
        let options = &core.options.prune;
        pruner.state.lock().stats.background = options.background;
        // What a crash has cut short. Where nothing was pruned ever, there is nothing to look for.
        let mut resumed = core.snapshots.floor() == 0;
        let mut due = options.prune_on_start;
        loop {
            let outcome = if !resumed {
                core.resume_pruning()
            } else if options.background && due {
                core.prune_by_itself()
            } else {
                Ok(())
            };
            let rest = match &outcome {
                Ok(()) if !resumed => Duration::ZERO,
                Ok(()) if options.background => options.interval,
                Ok(()) => FOR_EVER,
                Err(_) => RETRY,
            };
            resumed |= outcome.is_ok();
            due |= rest == options.interval;
            let mut state = pruner.state.lock();
            state.stats.failure = outcome.err().map(|error| error.to_string());
            pruner.wake.wait_while_for(&mut state, |_| !pruner.stop.load(Ordering::Acquire), rest);
            if pruner.stop.load(Ordering::Acquire) {
                return;
            }
        }
    }
}

impl Core {
    /// Prunes if as many versions came since the last time as make it worthwhile.
    fn prune_by_itself(&self) -> Result<()> {
        let options = &self.options.prune;
        let newest = self.visible();
        let then = self.pruner.state.lock().newest_then.max(self.snapshots.floor());
        if newest.saturating_sub(then) < options.version_threshold {
            return Ok(());
        }
        let compact = PruneOptions { dry_run: false, compact: true };
        self.prune(&options.retention, compact, &|_| {})?;
        self.pruner.state.lock().newest_then = newest;
        Ok(())
    }
}
