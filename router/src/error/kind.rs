//! What a caller can do about an error.

use super::Error;

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The argument is out of bounds or makes no sense here: fix it.
    InvalidArgument,
    /// Another transaction wrote what this one read or wrote: run it again.
    Conflict,
    /// The version was pruned: ask for one at or above the floor.
    Pruned,
    /// The version was rolled back: take a new snapshot.
    RolledBack,
    /// The store was made otherwise than it is opened: open it as it was made.
    Mismatch,
    /// There is no store here: check the path, or create one.
    NotAStore,
    /// Another process or handle has the store open: close it first. Of a checkpoint: it is being read.
    Locked,
    /// What is on disk is damaged: restore a copy; where only the log is damaged, the store can be opened at the last good version.
    Damaged,
    /// The disk is full: make room and try again.
    NoSpace,
    /// The system refuses more open files: raise the limit and open again.
    TooManyOpenFiles,
    /// An earlier write failed for good: reads go on; reopen the store to write again.
    Poisoned,
    /// The store was closed: open it again.
    Closed,
    /// The disk or the system failed otherwise: see the text.
    Io,
}

impl Error {
    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Shard(error) => kind_of_shard(error),
            Error::InvalidArgument { .. }
            | Error::AboveNewest { .. }
            | Error::HeightNotRising { .. }
            | Error::TimestampFalls { .. }
            | Error::NoSuchHeight { .. }
            | Error::NoBlockBefore { .. }
            | Error::Occupied { .. }
            | Error::InMemory { .. }
            | Error::RebalanceRefused { .. }
            | Error::RebalanceUnfinished { .. }
            | Error::NoRebalance
            | Error::RebalanceGivenUp
            | Error::RebalanceHandedOver
            | Error::CheckpointExists { .. }
            | Error::NoSuchCheckpoint { .. }
            | Error::BatchTooLarge { .. } => ErrorKind::InvalidArgument,
            Error::Conflict { .. } | Error::RangeConflict { .. } | Error::TooManyConflicts { .. } => {
                ErrorKind::Conflict
            }
            Error::Pruned { .. } | Error::BlockPruned { .. } => ErrorKind::Pruned,
            Error::RolledBack { .. } => ErrorKind::RolledBack,
            Error::Mismatch { .. } => ErrorKind::Mismatch,
            Error::NotAStore { .. } => ErrorKind::NotAStore,
            Error::Locked { .. } | Error::CheckpointInUse { .. } => ErrorKind::Locked,
            Error::LogDamaged { .. }
            | Error::LogMissing { .. }
            | Error::ManifestDamaged { .. }
            | Error::BlocksDamaged { .. }
            | Error::Damaged { .. }
            | Error::CheckpointDamaged { .. }
            | Error::UnreadableCommit { .. }
            | Error::MissingShard { .. } => ErrorKind::Damaged,
            Error::NoSpace { .. } => ErrorKind::NoSpace,
            Error::TooFewFiles { .. } | Error::TooManyOpenFiles { .. } => ErrorKind::TooManyOpenFiles,
            Error::Poisoned { .. } => ErrorKind::Poisoned,
            Error::Closed => ErrorKind::Closed,
            Error::Io { .. } | Error::Panicked { .. } | Error::Thread { .. } => ErrorKind::Io,
        }
    }
}

fn kind_of_shard(error: &shingle_shard::Error) -> ErrorKind {
    match error {
        shingle_shard::Error::KeyLength { .. }
        | shingle_shard::Error::ValueLength { .. }
        | shingle_shard::Error::Option(_) => ErrorKind::InvalidArgument,
        shingle_shard::Error::StaleEpoch { .. } => ErrorKind::Locked,
        shingle_shard::Error::Damaged { .. } => ErrorKind::Damaged,
        shingle_shard::Error::Foreign { .. } => ErrorKind::Mismatch,
        shingle_shard::Error::NoFiles { .. } => ErrorKind::InvalidArgument,
        shingle_shard::Error::NoSpace { .. } => ErrorKind::NoSpace,
        shingle_shard::Error::TooManyOpenFiles { .. } => ErrorKind::TooManyOpenFiles,
        shingle_shard::Error::Io { .. } | _ => ErrorKind::Io,
    }
}
