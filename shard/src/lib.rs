//! One shard of a Shingle store: an MVCC layer in memory over one storage backend.
//!
//! A shard keeps every retained version of its keys. The newest ones live in memory, where a read costs a hash
//! look-up; all flushed ones live in the [`backend`]. A shard knows nothing of other shards, slots, the commit log or
//! snapshots: the router numbers commits and decides what may be seen.

pub mod backend;
mod changes;
mod counts;
mod error;
mod flush;
mod key;
mod memtable;
mod moving;
mod ops;
mod row_cache;
mod scan;
mod shard;
#[cfg(test)]
mod tests;

pub use counts::Counts;
pub use error::{Error, Result};
pub use flush::Flushed;
pub use key::{KEY_BYTES_MAX, KeyRange, Order, VALUE_BYTES_MAX, Version, check_key, check_value, key_hash};
pub use memtable::Memory;
pub use ops::{Hashed, Op, Ops, OpsBuf};
pub use row_cache::RowCache;
pub use shard::{Shard, ShardOptions};
