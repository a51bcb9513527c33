//! What goes from one backend to another when slots move.

use super::{Page, RowRef, Run};
use crate::Version;

/// How far a backend was gone through: where the next call goes on.
#[derive(Clone, Debug, Default)]
pub struct MovingCursor {
    /// The last entry that was looked at.
    pub(crate) seen: Option<(Version, Vec<u8>)>,
    /// Whether nothing is left.
    pub finished: bool,
    /// How many entries were looked at.
    pub looked: u64,
}

impl MovingCursor {
    /// The version of the last entry that was looked at.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.seen.as_ref().map(|(version, _)| *version)
    }
}

/// Rows or changes on their way into a backend.
#[derive(Clone, Debug, Default)]
pub struct Arriving {
    /// By key ascending, then by version descending.
    pub rows: Page,
    /// By version ascending, then by key ascending.
    pub changes: Vec<(Version, Vec<u8>)>,
}

impl Arriving {
    /// Empties it for reuse.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.changes.clear();
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.changes.is_empty()
    }
}

impl Run for Arriving {
    fn rows(&self) -> Box<dyn Iterator<Item = RowRef<'_>> + '_> {
        Box::new((0..self.rows.len()).filter_map(|index| self.rows.get(index)))
    }

    fn changes(&self) -> Box<dyn Iterator<Item = (Version, &[u8])> + '_> {
        Box::new(self.changes.iter().map(|(version, key)| (*version, key.as_slice())))
    }
}
