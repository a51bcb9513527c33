//! What an operator asks first.

use serde::{Deserialize, Serialize};
use shingle_router::{SealedBlock, Stats};
use std::path::PathBuf;

/// Where a store is, its newest block, and its figures: the document of `shingle status --json` and of the admin server's `/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The store's directory; `None` for a store in memory.
    pub dir: Option<PathBuf>,
    /// The newest block.
    pub head: Option<SealedBlock>,
    /// Its figures.
    #[serde(flatten)]
    pub stats: Stats,
}
