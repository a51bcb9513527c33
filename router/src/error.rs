//! What can go wrong in a store, said so that its user knows what to do.

mod kind;
mod shown;

pub use kind::ErrorKind;

use shingle_shard::Version;
use shown::{Hex, NewestBlock, OldestBlock};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The result of a store's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in a store: what happened, where, and what can be done about it.
///
/// Decide by [`Error::kind`] or by the variant, never by the text. The text is whole: it says what the system said too, and [`source`] adds nothing
/// to it. `Debug` shows the text and the kind, so that a `main` that returns this error ends with a sentence.
///
/// [`source`]: std::error::Error::source
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A shard failed.
    #[error(transparent)]
    Shard(#[from] shingle_shard::Error),
    /// An argument or a setting is out of bounds or makes no sense here.
    #[error("{what}")]
    InvalidArgument {
        /// What is wrong with it, as a sentence.
        what: String,
    },
    /// A key that the transaction read or writes was written after its snapshot.
    #[error("the key {key} was written by a later commit; run the transaction again", key = Hex(key))]
    Conflict {
        /// The first such key that was found.
        key: Vec<u8>,
    },
    /// A key was written after the snapshot in a range that the transaction read.
    #[error("a later commit wrote into the key range {range} that this transaction read; run it again")]
    RangeConflict {
        /// The range.
        range: String,
    },
    /// A closure given to `transact` met a conflict each time.
    #[error("the transaction met a conflict {attempts} times in a row; lower the contention or try later")]
    TooManyConflicts {
        /// How often it was run.
        attempts: u32,
    },
    /// The version lies below the prune floor.
    #[error("version {asked} was pruned; the oldest version that can be read is {floor}")]
    Pruned {
        /// The version that was asked for.
        asked: Version,
        /// The oldest version that can be read.
        floor: Version,
    },
    /// The block lies below the prune floor.
    #[error("the block of height {height} was pruned; {}", OldestBlock(*oldest))]
    BlockPruned {
        /// The height that was asked for.
        height: u64,
        /// The height of the oldest block that can be read.
        oldest: Option<u64>,
    },
    /// The version was taken back by a rollback.
    #[error("version {version} was rolled back: the store went back to version {to}, and what followed is gone")]
    RolledBack {
        /// The version of the snapshot or transaction.
        version: Version,
        /// What the store was rolled back to.
        to: Version,
    },
    /// The version does not exist yet.
    #[error("version {asked} does not exist yet; the newest is {newest}")]
    AboveNewest {
        /// The version that was asked for.
        asked: Version,
        /// The newest version.
        newest: Version,
    },
    /// A block's height is not above the newest block's.
    #[error("block height {given} does not rise above the newest block's, {newest}")]
    HeightNotRising {
        /// The height that was given.
        given: u64,
        /// The newest block's height.
        newest: u64,
    },
    /// A block's timestamp lies before the newest block's.
    #[error("block timestamp {given} ms lies before the newest block's, {newest} ms")]
    TimestampFalls {
        /// The timestamp that was given, in milliseconds.
        given: u64,
        /// The newest block's timestamp, in milliseconds.
        newest: u64,
    },
    /// No block has this height.
    #[error("there is no block of height {height}{}", NewestBlock(*newest))]
    NoSuchHeight {
        /// The height that was asked for.
        height: u64,
        /// The newest block's height, if there is any block.
        newest: Option<u64>,
    },
    /// No block is as old as this.
    #[error("there is no block at or before the time {timestamp_ms} ms")]
    NoBlockBefore {
        /// The time that was asked for, in milliseconds.
        timestamp_ms: u64,
    },
    /// A batch is larger than the log takes.
    #[error("the batch has {bytes} bytes; it must have at most {max}: split it")]
    BatchTooLarge {
        /// The batch's bytes.
        bytes: u64,
        /// The most that a batch may have.
        max: u64,
    },
    /// The store was made otherwise than it is opened.
    #[error("{path}: the {what} is {made_with}, but {asked} was asked for; open it as it was made", path = path.display())]
    Mismatch {
        /// The store, or the file that differs.
        path: PathBuf,
        /// What differs, such as "number of shards".
        what: &'static str,
        /// What the store was made with.
        made_with: String,
        /// What was asked for.
        asked: String,
    },
    /// The directory holds no store.
    #[error("there is no Shingle store in {path}: {what}", path = path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// What is there instead.
        what: &'static str,
    },
    /// A store should be made where something already is.
    #[error("cannot make a store in {path}: {what}", path = path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// What is in the way.
        what: String,
    },
    /// Another process, or another handle of this one, has the store open.
    #[error("{path} is open already, by {holder}; close it there first", path = path.display())]
    Locked {
        /// The store.
        path: PathBuf,
        /// Who has it open, as far as known.
        holder: String,
    },
    /// The commit log is damaged in a place that had been synced.
    #[error(
        "the commit log is damaged: {segment} at byte {offset}: {what}; the last good version is {last_good}; \
         restore a copy of the store, or open it with recover_to_last_good to give up what follows",
        segment = segment.display()
    )]
    LogDamaged {
        /// The segment, or the log's directory if a whole segment is missing.
        segment: PathBuf,
        /// Where the damage begins in the segment.
        offset: u64,
        /// What is wrong there.
        what: String,
        /// The last version before the damage.
        last_good: Version,
    },
    /// The store has no commit log where it should have one.
    #[error("{dir} holds no commit log segment; put the log back, or restore a copy of the store", dir = dir.display())]
    LogMissing {
        /// The log's directory.
        dir: PathBuf,
    },
    /// The manifest is damaged.
    #[error("the manifest {path} is damaged: {what}; restore it from a copy of the store", path = path.display())]
    ManifestDamaged {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The block index is damaged.
    #[error("the block index {path} is damaged at byte {offset}: {what}; restore a copy of the store", path = path.display())]
    BlocksDamaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// Something in the store contradicts something else in it.
    #[error("{path} is damaged: {what}; restore a copy of the store", path = path.display())]
    Damaged {
        /// The store, or the part that is wrong.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The store lives in memory: it has no files.
    #[error("the store lives in memory, and has no files to {what}")]
    InMemory {
        /// What was to be done with them.
        what: &'static str,
    },
    /// A rebalancing was asked for that does not fit the store's shards and slots.
    #[error("{what}")]
    RebalanceRefused {
        /// What does not fit, as a sentence.
        what: String,
    },
    /// Another rebalancing is not finished.
    #[error("a rebalancing is not finished: {doing}; resume it, or abort it")]
    RebalanceUnfinished {
        /// What it does just now.
        doing: &'static str,
    },
    /// There is no rebalancing to resume or to give up.
    #[error("no rebalancing is under way")]
    NoRebalance,
    /// The rebalancing was given up.
    #[error("the rebalancing was aborted; every slot is where it was")]
    RebalanceGivenUp,
    /// The slots are where they were to go.
    #[error("the rebalancing has handed its slots over already; take it back with another one the other way")]
    RebalanceHandedOver,
    /// There is a checkpoint of this name already.
    #[error("there is a checkpoint {name:?} already; delete it first, or choose another name")]
    CheckpointExists {
        /// Its name.
        name: String,
    },
    /// There is no such checkpoint.
    #[error("there is no checkpoint in {path}", path = path.display())]
    NoSuchCheckpoint {
        /// Where it should be.
        path: PathBuf,
    },
    /// The checkpoint is not deleted while somebody reads it.
    #[error("{path} is being exported, verified or restored; delete it when that is done", path = path.display())]
    CheckpointInUse {
        /// The checkpoint.
        path: PathBuf,
    },
    /// A checkpoint is not as it was made.
    #[error("the checkpoint is damaged: {path}: {what}; use another one", path = path.display())]
    CheckpointDamaged {
        /// The file that is wrong; the first one, if there are several.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A shard's directory is missing.
    #[error("shard {shard} is missing: {path} does not exist; mount its disk, or restore a copy of the store", path = path.display())]
    MissingShard {
        /// The shard's number.
        shard: usize,
        /// Where it should be.
        path: PathBuf,
    },
    /// The disk is full. Nothing of the write remains.
    #[error("no space left on the disk of {path}; nothing of the write remains: make room and try again", path = path.display())]
    NoSpace {
        /// The file or directory that was written.
        path: PathBuf,
    },
    /// The limit of open files is too low for the store.
    #[error(
        "the store needs {needed} open files, but the limit is {limit}; raise it (ulimit -n) or lower max_open_files"
    )]
    TooFewFiles {
        /// How many the store needs.
        needed: u64,
        /// The process's limit.
        limit: u64,
    },
    /// The system refused to open one more file.
    #[error("too many open files at {path}; raise the limit (ulimit -n) or lower max_open_files", path = path.display())]
    TooManyOpenFiles {
        /// The file.
        path: PathBuf,
    },
    /// An earlier write failed in a way that leaves open what is on disk.
    #[error("the store takes no more writes since this happened: {cause}; reads go on, reopen it to write again")]
    Poisoned {
        /// The first failure.
        cause: Arc<Error>,
    },
    /// The store was closed.
    #[error("the store is closed; open it again")]
    Closed,
    /// The log holds a record that this build cannot read although its checksum is right.
    #[error(
        "the commit log's record of version {version} cannot be read by this version of the program; use the one that wrote it"
    )]
    UnreadableCommit {
        /// The version that the record has.
        version: Version,
    },
    /// A thread could not be started.
    #[error("the thread {name} could not be started: {cause}")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// What the system said.
        cause: Arc<io::Error>,
    },
    /// A panic inside the store ended one of its threads.
    #[error("a thread of the store ended unexpectedly: {what}")]
    Panicked {
        /// The panic's message.
        what: String,
    },
    /// Any other failure of the disk or the system.
    #[error("could not {action} {path}: {cause}", path = path.display())]
    Io {
        /// What was tried, such as "write".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        cause: Arc<io::Error>,
    },
}

impl Error {
    /// The error for a directory that should hold a store, and holds none.
    pub(crate) fn not_a_store(path: &Path) -> Self {
        let what = match path.metadata() {
            Ok(found) if !found.is_dir() => "it is a file, not a directory",
            Ok(_) => "the directory has no MANIFEST",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "the directory does not exist",
            Err(_) => "the directory cannot be read",
        };
        Error::NotAStore { path: path.to_owned(), what }
    }

    /// The error for a call of the system that failed: `action` is a verb, such as "write".
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Error::NoSpace { path }
        } else if is_out_of_files(&source) {
            Error::TooManyOpenFiles { path }
        } else {
            Error::Io { action, path, cause: Arc::new(source) }
        }
    }

    /// The error that every write gets once `self` has happened.
    pub(crate) fn poisoned(self) -> Self {
        if matches!(self, Error::Poisoned { .. }) { self } else { Error::Poisoned { cause: Arc::new(self) } }
    }
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self} ({:?})", self.kind())
    }
}

fn is_out_of_files(error: &io::Error) -> bool {
    let codes = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(rustix::io::Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_lack_of_files_are_told_apart_from_other_failures() {
        let path = Path::new("somewhere");
        let kind = |code: rustix::io::Errno| Error::io("write", path, code.into()).kind();
        assert_eq!(kind(rustix::io::Errno::NOSPC), ErrorKind::NoSpace);
        assert_eq!(kind(rustix::io::Errno::DQUOT), ErrorKind::NoSpace);
        assert_eq!(kind(rustix::io::Errno::MFILE), ErrorKind::TooManyOpenFiles);
        assert_eq!(kind(rustix::io::Errno::NFILE), ErrorKind::TooManyOpenFiles);
        assert_eq!(kind(rustix::io::Errno::IO), ErrorKind::Io);
    }

    #[test]
    fn the_first_cause_of_poisoning_is_kept() {
        let first = Error::io("sync", Path::new("log"), rustix::io::Errno::IO.into()).poisoned();
        let again = first.clone().poisoned();
        assert_eq!(first.to_string(), again.to_string());
        assert_eq!(again.kind(), ErrorKind::Poisoned);
    }

    #[test]
    fn debug_is_the_sentence_and_the_kind_and_no_cause_is_said_twice() {
        let error = Error::io("sync", Path::new("log"), rustix::io::Errno::IO.into());
        assert_eq!(format!("{error:?}"), format!("{error} (Io)"));
        assert!(std::error::Error::source(&error).is_none(), "its text holds the cause already");
    }
}
