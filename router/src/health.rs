//! The one place that knows whether the store may still be written to.

use crate::{Error, ErrorKind, Result};
use std::sync::OnceLock;

/// Latches the first failure after which the log can no longer be trusted. A failed sync may have dropped pages that a later sync would
/// report as written (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020): only reopening, which reads what
/// is really there, makes the store writable again. Reads go on.
#[derive(Debug, Default)]
pub(crate) struct Health {
    poisoned: OnceLock<Error>,
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
