//! What can go wrong on the way.

use std::io;
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
    #[error("there is no checkpoint {name:?} at {place}")]
    NoSuchCheckpoint {
        /// Its name.
        name: String,
        /// The place.
        place: String,
    },
    /// Another checkpoint of the same name is there.
    #[error("there is another checkpoint {name:?} at {place}; export under another name, or to another place")]
    Exists {
        /// Its name.
        name: String,
        /// The place.
        place: String,
    },
    /// What is put into a store is in its way, or goes with it.
    #[error("{path} is, or lies in, the store or checkpoint {inside}: choose a place outside", path = path.display(), inside = inside.display())]
    Inside {
        /// What was given.
        path: PathBuf,
        /// The store or checkpoint.
        inside: PathBuf,
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
    /// The disk of the place, or of the directory that is imported to, is full.
    #[error("no space left for {object}; make room and begin again: it goes on where it was")]
    NoSpace {
        /// What was written.
        object: String,
    },
    /// Somebody else imports to the directory.
    #[error("another import to {path} is under way", path = path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
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
    /// There are no credentials for the place, or they could not be fetched.
    #[error(
        "could not {action} {object} without credentials: they come from the environment, by the names that the cloud's own tools use; {cause}"
    )]
    NoCredentials {
        /// What was tried, such as "write".
        action: &'static str,
        /// The object.
        object: String,
        /// What came of looking for some.
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
        cause: Arc<io::Error>,
    },
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl TransferError {
    /// Refuses what is, or lies in, a store or a checkpoint.
    pub(super) fn check_outside(path: &Path) -> Result<(), Self> {
        match shingle_router::store_around(path)? {
            Some(inside) => Err(TransferError::Inside { path: path.to_owned(), inside }),
            None => Ok(()),
        }
    }

    pub(super) fn io(action: &'static str, path: &Path, cause: io::Error) -> Self {
        if is_full(&cause) {
            return TransferError::NoSpace { object: path.display().to_string() };
        }
        TransferError::Io { action, path: path.to_owned(), cause: Arc::new(cause) }
    }

    /// The error for what a place says about one of its objects.
    pub(super) fn remote(action: &'static str, object: String, cause: object_store::Error) -> Self {
        let mut causes = std::iter::successors(Some(&cause as &dyn std::error::Error), |error| error.source());
        if causes.any(|cause| cause.downcast_ref().is_some_and(is_full)) {
            return TransferError::NoSpace { object };
        }
        TransferError::Remote { action, object, cause: Arc::new(cause) }
    }
}
