//! The commit log: the one place where a commit becomes durable, whatever number of shards it touches.
//!
//! The log is a chain of [segments](segment) of [frames](frame). A group of frames is one append; [`Log::sync`] makes
//! all appended ones durable. [`recovery`] reads the log back, `docs/format.md` says what it promises.

mod active;
mod chain;
mod commit;
mod disk;
mod files;
mod frame;
mod opening;
mod reader;
mod recovery;
mod segment;
#[cfg(test)]
mod sim_disk;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use commit::{CommitPayload, CommitRecord, RollbackRecord};
pub(crate) use tail::Tail;
pub(crate) use writer::Log;

use crate::layout::StoreId;
use serde::{Deserialize, Serialize};
use shingle_shard::Version;
use std::path::PathBuf;

/// The size of a segment unless the store asks for another.
pub(crate) const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;

/// How many versions a new segment reserves. After an unclean end the next version lies beyond what was reserved, so
/// that one that was given out and lost is not given out again.
const VERSIONS_RESERVED: u64 = 1 << 20;

/// Where the log lies and how large its files are.
#[derive(Clone, Debug)]
pub(crate) struct LogOptions {
    pub(crate) dir: PathBuf,
    pub(crate) store_id: StoreId,
    /// The size of a segment; a group that is larger gets a segment of its own size.
    pub(crate) segment_bytes: u64,
    /// How many released segments are kept for reuse.
    pub(crate) recycled_max: usize,
}

/// What a frame stands for. Written to disk, never renumbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A commit: [`CommitPayload`].
    Commit = 1,
    /// A rollback: [`RollbackRecord`].
    Rollback = 2,
    /// The log was closed in order: the next version. Written by the log itself.
    Close = 3,
}

/// One record of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// Not below that of the record before.
    pub(crate) version: Version,
    pub(crate) kind: Kind,
    pub(crate) payload: &'a [u8],
    /// [`payload_checksum`] of the payload.
    pub(crate) checksum: u64,
}

/// The checksum of a frame's payload, computed by the thread that built it rather than by the one that writes the log.
pub(crate) fn payload_checksum(payload: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(payload)
}

/// What opening does about damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recover {
    /// Refuse the log.
    Strict,
    /// Keep what stands before the damage and give up the rest, durably.
    ToLastGood,
}

/// What the shards and the block index have on their disks when the log is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// What all of them have: nothing up to here is needed from the log. It never falls from one opening to the next.
    pub(crate) by_all: Version,
    /// What any of them has: the log was synced that far before.
    pub(crate) by_any: Version,
}

/// What was found at opening.
#[derive(Clone, Debug)]
pub(crate) struct Recovered {
    /// The newest version that the log holds, or held before it was released.
    pub(crate) last_version: Version,
    /// A version that was never given out, nor any above it.
    pub(crate) next_version: Version,
    /// Whether the log was closed in order.
    pub(crate) clean: bool,
    /// Where the log was cut off, if something stood behind its end.
    pub(crate) cut: Option<Cut>,
}

/// Where the log was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) segment: PathBuf,
    pub(crate) offset: u64,
    /// What was found there if it was damage, given up on request. `None`: the remains of writes that were never
    /// durable.
    pub(crate) damage: Option<String>,
}

/// Sizes and counts of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStats {
    /// Bytes of all the log's files: what is preallocated, and files waiting for reuse, included.
    pub bytes: u64,
    /// Bytes of them that hold records. Those of the newest segment stay until it is full, flushed or not.
    pub used_bytes: u64,
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
