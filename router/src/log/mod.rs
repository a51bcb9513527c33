//! The commit log: the one place where a commit becomes durable.

mod commit;

pub(crate) use commit::{CommitPayload, CommitRecord, RollbackRecord};

use crate::Result;
use serde::Serialize;
use shingle_shard::Version;
use std::path::PathBuf;

/// Where the log lies and how large its files are.
#[derive(Clone, Debug)]
pub(crate) struct LogOptions {
    pub(crate) dir: PathBuf,
    pub(crate) store_id: [u8; 16],
    /// The size of a segment; a group that is larger gets a segment of its own size.
    pub(crate) segment_bytes: u64,
    /// How many released segments are kept for reuse.
    pub(crate) recycled_max: usize,
}

/// What a frame stands for. Written to disk, never renumbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Commit = 1,
    Rollback = 2,
    Close = 3,
}

/// One record of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) version: Version,
    pub(crate) kind: Kind,
    pub(crate) payload: &'a [u8],
    /// `payload_checksum(payload)`.
    pub(crate) checksum: u64,
}

/// The checksum of a frame's payload, computed by the thread that made it.
pub(crate) fn payload_checksum(payload: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(payload)
}

/// What opening does about damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recover {
    /// Refuse the log.
    Strict,
    /// Keep what stands before the damage and give up the rest.
    ToLastGood,
}

/// What was found at opening.
#[derive(Clone, Debug)]
pub(crate) struct Recovered {
    /// The newest version that the log holds, or held before it was released.
    pub(crate) last_version: Version,
    /// A version that was never given out, as are all above it.
    pub(crate) next_version: Version,
    /// Whether the log was closed in order.
    pub(crate) clean: bool,
    /// What had to be given up, if anything.
    pub(crate) cut: Option<Cut>,
}

/// Where the log was cut off.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) segment: PathBuf,
    pub(crate) offset: u64,
    /// Whether what was cut off may have been acknowledged as durable: only with [`Recover::ToLastGood`].
    pub(crate) damage: bool,
}

/// Sizes and counts of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogStats {
    /// Bytes of all segments, those waiting for reuse included.
    pub bytes: u64,
    /// Segments that hold records.
    pub segments: u64,
    /// Released segments waiting for reuse.
    pub recycled: u64,
    /// Groups appended since the log was opened.
    pub groups: u64,
    /// Records appended since the log was opened.
    pub commits: u64,
    /// Bytes appended since the log was opened.
    pub appended_bytes: u64,
    /// Syncs since the log was opened.
    pub syncs: u64,
}

/// The writer of the log; there is one for each store.
#[derive(Debug)]
pub(crate) struct Log {}

impl Log {
    /// Makes an empty log of a store whose newest version is `base` (0 for a new store). Refused if the directory holds a log with records.
    pub(crate) fn create(_options: LogOptions, _base: Version) -> Result<Log> {
        unimplemented!()
    }
    /// Opens the log and hands every commit and rollback above `from` to `visit`, in order. `from` is a version that every shard has on disk.
    pub(crate) fn open(
        _options: LogOptions,
        _recover: Recover,
        _from: Version,
        _visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<(Log, Recovered)> {
        unimplemented!()
    }
    pub(crate) fn append(&mut self, _frames: &[Frame<'_>]) -> Result<()> {
        unimplemented!()
    }
    pub(crate) fn sync(&mut self) -> Result<()> {
        unimplemented!()
    }
    pub(crate) fn written(&self) -> Version {
        unimplemented!()
    }
    pub(crate) fn synced(&self) -> Version {
        unimplemented!()
    }
    pub(crate) fn release(&mut self, _through: Version) -> Result<()> {
        unimplemented!()
    }
    pub(crate) fn stats(&self) -> LogStats {
        unimplemented!()
    }
    pub(crate) fn close(self) -> Result<()> {
        unimplemented!()
    }
}
