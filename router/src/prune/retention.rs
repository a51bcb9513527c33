//! What is to be kept.

use crate::{Error, Result};
use std::time::Duration;

/// What is to stay readable. Each part that is set is a limit: what one of them lets go, goes. One without any lets nothing go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Retention {
    /// At most so many versions of any key stay. The floor rises to the lowest version for which that holds: it is the key with the most
    /// versions that decides.
    pub versions_per_key: Option<u64>,
    /// The newest so many blocks stay.
    pub blocks: Option<u64>,
    /// The state at any time within this window before the newest block stays, by the blocks' timestamps.
    pub window: Option<Duration>,
    /// Blocks below this height go. It is that of the newest block at the most.
    pub below_height: Option<u64>,
}

impl Retention {
    /// Keeps at most `versions` of any key, at least 1.
    #[must_use]
    pub fn versions_per_key(versions: u64) -> Self {
        Retention { versions_per_key: Some(versions), ..Retention::default() }
    }

    /// Keeps the newest `blocks`, at least 1.
    #[must_use]
    pub fn blocks(blocks: u64) -> Self {
        Retention { blocks: Some(blocks), ..Retention::default() }
    }

    /// Keeps what was the state at any time within `window` before the newest block.
    #[must_use]
    pub fn window(window: Duration) -> Self {
        Retention { window: Some(window), ..Retention::default() }
    }

    /// Keeps the blocks from `height` on, of which there must be one.
    #[must_use]
    pub fn from_height(height: u64) -> Self {
        Retention { below_height: Some(height), ..Retention::default() }
    }

    pub(super) fn check(&self) -> Result<()> {
        for (what, number) in [("versions of a key", self.versions_per_key), ("blocks", self.blocks)] {
            if number == Some(0) {
                return Err(Error::InvalidArgument {
                    what: format!("a retention keeps at least 1 of the {what}; 0 was given"),
                });
            }
        }
        Ok(())
    }
}
