//! The file `LOCK`: one process, and one handle in it, has a store open.

use crate::Result;
use std::path::Path;

/// Holds the store until it is dropped.
#[derive(Debug)]
pub(crate) struct StoreLock {}

impl StoreLock {
    /// `Locked`, naming the holder, if another process or another handle of this one holds it.
    pub(crate) fn acquire(_dir: &Path) -> Result<StoreLock> {
        unimplemented!()
    }
}
