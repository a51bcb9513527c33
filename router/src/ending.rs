//! How a transaction ends, counted once.

use crate::core::Core;
use std::sync::Arc;

/// Counts how a transaction ends: aborted, unless it is committed or handed over to the commit protocol, which counts it then.
#[derive(Debug)]
pub(crate) struct Ending {
    core: Arc<Core>,
    is_open: bool,
}

impl Ending {
    pub(crate) fn begin(core: &Arc<Core>) -> Self {
        core.counters.begun();
        Ending { core: Arc::clone(core), is_open: true }
    }

    pub(crate) fn handed_over(mut self) {
        self.is_open = false;
    }

    pub(crate) fn committed(self) {
        self.core.counters.transaction_committed();
        self.handed_over();
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.is_open {
            self.core.counters.transaction_aborted();
        }
    }
}
