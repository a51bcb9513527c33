//! What goes from one backend to another when slots move.

use super::{Applied, RowRef};
use crate::{Result, Version};

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

/// Rows of another backend on their way in: nobody reads them before [`StagedRows::bring_in`], and if that is never called, they were never here.
pub trait StagedRows {
    /// Adds a row. By key ascending, then by version descending.
    fn put(&mut self, row: RowRef<'_>) -> Result<()>;

    /// Bytes that were added, about.
    fn bytes(&self) -> u64;

    /// Does whatever takes long and can be done beside other writes: no row is added afterwards.
    fn finish(&mut self) -> Result<()>;

    /// Makes the rows readable and durable. Twice the same rows are as good as once; the mark stays. Their changes must be here. Never beside
    /// [`Backend::apply`](super::Backend::apply) and its like.
    fn bring_in(self: Box<Self>, epoch: u64) -> Result<Applied>;
}
