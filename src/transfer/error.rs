//! What can go wrong on the way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a checkpoint could not be exported or imported. What had arrived stays: the next attempt goes on from there.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// No place that checkpoints can be at.
    #[error("{place:?} is no place for checkpoints: {what}; a directory, s3://, gs://, az:// or file:// is")]
    Place {
        /// What was given.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// The checkpoint cannot be read, or made.
    #[error(transparent)]
    Checkpoint(#[from] shingle_router::Error),
    /// There is no such checkpoint at the place.
    #[error("there is no checkpoint {name} at {place}")]
    NoSuchCheckpoint {
        /// Its name.
        name: String,
        /// The place.
        place: String,
    },
    /// Another checkpoint of the same name is there.
    #[error("there is another checkpoint {name} at {place}; export under another name, or to another place")]
    Exists {
        /// Its name.
        name: String,
        /// The place.
        place: String,
    },
    /// Something else lies where the checkpoint is to go.
    #[error("{path} is in the way: an import goes to a directory that is new, empty, or left by the same import", path = path.display())]
    Occupied {
        /// What is in the way.
        path: PathBuf,
    },
    /// What arrived is not what was sent.
    #[error("{object} is damaged: its contents do not match their hash")]
    Damaged {
        /// The file or object.
        object: String,
    },
    /// The place failed.
    #[error("could not {action} {object}: {cause}")]
    Remote {
        /// What was tried, such as "write".
        action: &'static str,
        /// The object.
        object: String,
        /// What the place said.
        cause: Arc<object_store::Error>,
    },
    /// The disk failed.
    #[error("could not {action} {path}: {cause}", path = path.display())]
    Io {
        /// What was tried, such as "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: Arc<std::io::Error>,
    },
}

impl TransferError {
    pub(super) fn io(action: &'static str, path: &Path, cause: std::io::Error) -> Self {
        TransferError::Io { action, path: path.to_owned(), cause: Arc::new(cause) }
    }
}
