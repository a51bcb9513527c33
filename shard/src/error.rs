//! What can go wrong in a shard.

use crate::backend::OptionError;
use crate::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use std::path::PathBuf;

/// The result of a shard's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in a shard.
///
/// The causes keep what the system or the engine said; callers decide by the variant, never by the text.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key is empty or longer than [`KEY_BYTES_MAX`].
    #[error("a key has {bytes} bytes; it must have between 1 and {KEY_BYTES_MAX}")]
    KeyLength {
        /// The key's length.
        bytes: usize,
    },
    /// A value is longer than [`VALUE_BYTES_MAX`].
    #[error("a value has {bytes} bytes; it must have at most {VALUE_BYTES_MAX}")]
    ValueLength {
        /// The value's length.
        bytes: usize,
    },
    /// What is on disk is damaged: restore it from a checkpoint or repair it.
    #[error("{path} is damaged: {what}", path = path.display())]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The directory does not hold the shard that it should: another store's, another number's, or none.
    #[error("{path} does not hold this shard: {what}", path = path.display())]
    Foreign {
        /// The shard's directory.
        path: PathBuf,
        /// How it differs from what was expected.
        what: String,
    },
    /// A writer of an older epoch: another one has taken the shard over. Stop writing.
    #[error("{path} is written in epoch {newest}; epoch {given} is over", path = path.display())]
    StaleEpoch {
        /// The shard's directory.
        path: PathBuf,
        /// The epoch that was refused.
        given: u64,
        /// The highest epoch seen.
        newest: u64,
    },
    /// A setting is out of its bound.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The disk is full: free some room and try again.
    #[error("no space left on the disk of {path}; make room and try again", path = path.display())]
    NoSpace {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused more open files.
    #[error("too many open files at {path}; raise the limit (ulimit -n) or lower max_open_files", path = path.display())]
    TooManyOpenFiles {
        /// The directory.
        path: PathBuf,
    },
    /// The engine keeps no files, so that none can be copied.
    #[error("an engine that lives in memory has no files to put into {path}", path = path.display())]
    NoFiles {
        /// Where they were to go.
        path: PathBuf,
    },
    /// Any other failure of the disk or of the engine.
    #[error("{path}: {what}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system or the engine said.
        what: String,
    },
}
