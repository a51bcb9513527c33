//! Shingle: a sharded, versioned state store for high-TPS nodes.
//!
//! Many RocksDB instances overlap like roof shingles into one watertight store: keys are hashed over the shards, a commit that touches many of
//! them is there whole or not at all, and every retained version can be read.
//!
//! # What is guaranteed
//! - A commit acknowledged as [`Durability::Sync`] survives a killed process and a power cut.
//! - No reader sees a part of a commit, at any time, before or after a crash.
//! - A [`Snapshot`] never changes and never lies: it answers exactly, or says that it can't.
//! - Damage on disk is reported, never served.
//!
//! # Quick start
//! ```
//! # fn main() -> shingle::Result<()> {
//! # let dir = tempfile::tempdir().expect("a temporary directory");
//! use shingle::{At, Batch, Block, Database};
//!
//! let db = Database::builder(dir.path().join("state")).shards(8).open()?;
//!
//! let mut batch = Batch::new();
//! batch.put("alice", "10").put("bob", "5");
//! db.commit_block(Block { height: 1, timestamp_ms: 1_700_000_000_000 }, batch)?;
//!
//! db.transact(|txn| {
//!     txn.put("alice", "7")?;
//!     txn.put("bob", "8")
//! })?;
//! db.seal_block(Block { height: 2, timestamp_ms: 1_700_000_012_000 })?;
//!
//! assert_eq!(db.get("alice")?, Some(b"7".to_vec()));
//! let then = db.snapshot_at(At::Height(1))?;
//! assert_eq!(then.get("alice")?, Some(b"10".to_vec()));
//!
//! db.rollback_to(1)?;
//! assert_eq!(db.get("bob")?, Some(b"5".to_vec()));
//! db.close()
//! # }
//! ```

#[cfg(feature = "admin")]
pub mod admin;
mod builder;
mod checkpoints;
mod config;
mod database;
#[cfg(feature = "metrics")]
pub mod metrics;
mod rebalancing;
mod slots;
mod status;
#[cfg(feature = "object-store")]
pub mod transfer;

pub use builder::Builder;
pub use config::{
    CheckpointConfig, Compression, Config, ConfigError, FlushConfig, LogConfig, Preset, PruneConfig, RocksOptions,
};
pub use database::Database;
pub use rebalancing::RebalanceOutcome;
pub use shingle_router::{
    At, Balance, Batch, Block, Change, ChangeFeed, Checkpoint, CheckpointProgress, CheckpointReport, CheckpointStats,
    CommitHandle, Condition, Counts, Diff, Difference, Distribution, Durability, EngineStats, Error, ErrorKind,
    FileDamage, FlushStats, Flushed, HALF_LIFE, Isolation, KeyRange, LogStats, MeasureProgress, Memory, Move,
    OpenSnapshots, Plan, PruneHold, PruneOptions, PruneProgress, PruneStats, Pruned, READS_SAMPLED, RebalanceOptions,
    RebalancePhase, RebalanceRequest, RebalanceStats, RebalanceStatus, RebalanceWait, Rebalanced, Recovery,
    RecoveryCut, RepairReport, ReshardRequest, RestoreOptions, Restored, Result, Retention, RoutingKey, RowCacheStats,
    Scan, SealedBlock, ShardDiagnosis, ShardLoad, ShardRepair, ShardShare, ShardStats, ShardVerified, Shortfall,
    Simulation, SlotMap, SlotStatistics, SlotStats, Snapshot, Space, Stats, THRESHOLD_PERCENT_DEFAULT, Transaction,
    TransactionScan, VerifyProgress, VerifyReport, Version,
};
pub use slots::{ShardOccupancy, ShardStatistics};
pub use status::Status;

/// The code of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
