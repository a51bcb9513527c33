//! How a transaction ends, counted once.

use crate::core::Core;
use crate::snapshot::Snapshot;
use std::sync::Arc;

/// Counts how a transaction ends: aborted, unless it is committed or handed over to the commit protocol, which counts it then.
#[derive(Debug)]
pub(crate) struct Ending {
    /// What the transaction reads from.
    pub(crate) snapshot: Snapshot,
    is_open: bool,
}

impl Ending {
    pub(crate) fn begin(core: &Arc<Core>) -> Self {
        core.counters.begun();
        Ending { snapshot: Snapshot::newest(core), is_open: true }
    }

    pub(crate) fn handed_over(mut self) {
        self.is_open = false;
    }

    pub(crate) fn committed(self) {
        self.snapshot.core().counters.transaction_committed();
        self.handed_over();
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.is_open {
            self.snapshot.core().counters.transaction_aborted();
        }
    }
}
