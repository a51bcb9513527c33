//! The one place that knows whether the store may still be written to.

use crate::core::Core;
use crate::{Error, ErrorKind, Result};
use std::sync::OnceLock;

/// Latches the first failure after which the log can no longer be trusted. A failed sync may have dropped pages that a later sync would
/// report as written (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020): only reopening, which reads what
/// is really there, makes the store writable again. Reads go on.
#[derive(Debug, Default)]
pub(crate) struct Health {
    poisoned: OnceLock<Error>,
}

/// Whether a store takes commits.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Condition {
    /// It does.
    pub writable: bool,
    /// Why not, or why soon not: what poisoned it, that it is closed, or what keeps its flushes from succeeding.
    pub reason: Option<String>,
}

impl Health {
    /// Refuses if the store is poisoned.
    pub(crate) fn check(&self) -> Result<()> {
        self.poisoned.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Latches `error` if the log itself says that it can no longer be trusted; other errors, such as a full disk, pass.
    pub(crate) fn latch(&self, error: Error) -> Error {
        if error.kind() == ErrorKind::Poisoned { self.poison(&error) } else { error }
    }

    /// Latches `cause` unless something was latched before, and returns what every later write is told.
    pub(crate) fn poison(&self, cause: &Error) -> Error {
        self.poisoned.get_or_init(|| cause.clone().poisoned()).clone()
    }
}

impl Core {
    pub(crate) fn condition(&self) -> Condition {
        let closed = || if self.sequencer.lock().is_closing() { Err(Error::Closed) } else { Ok(()) };
        match self.health.check().and_then(|()| closed()) {
            Err(error) => Condition { writable: false, reason: Some(error.to_string()) },
            Ok(()) => Condition { writable: true, reason: self.flusher.failure().map(|error| error.to_string()) },
        }
    }
}
