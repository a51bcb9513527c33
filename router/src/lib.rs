//! The router of a Shingle store: one commit log and one version over many shards.
//!
//! Keys are hashed to slots, and slots are mapped to shards. Commits are numbered, logged, applied and published
//! by the commit protocol, so that a commit is visible on every shard or on none. Most programs use the `shingle` crate, which is this one with a
//! configuration.

mod admission;
mod batch;
mod blocks;
mod checkpoint;
mod commit;
mod core;
mod counters;
mod create;
mod creating;
mod durable;
mod encoding;
mod ending;
mod error;
mod feed;
mod flush;
mod health;
mod helpers;
mod histogram;
mod layout;
mod lock;
mod log;
mod manifest;
mod open;
mod options;
mod prune;
mod rebalance;
mod recovery;
mod repair;
mod rollback;
mod scan;
mod sealed;
mod shards;
mod slot;
mod slot_stats;
mod snapshot;
mod stats;
mod store;
#[cfg(test)]
mod tests;
mod throttle;
mod transaction;
mod verify;
mod workers;

pub use batch::{Batch, Durability};
pub use blocks::{Block, SealedBlock};
pub use checkpoint::{
    Checkpoint, CheckpointFile, CheckpointInUse, CheckpointProgress, CheckpointReport, CheckpointStats, FileDamage,
    RestoreOptions, Restored, checkpoint_files, checkpoint_path, checkpoints, complete_checkpoint, delete_checkpoint,
    parse_checkpoint, restore, store_around, verify_checkpoint,
};
pub use commit::CommitHandle;
pub use counters::Counts;
pub use error::{Error, ErrorKind, Result};
pub use feed::{Change, ChangeFeed, Diff, Difference};
pub use flush::{FlushStats, Flushed};
pub use health::Condition;
pub use histogram::Distribution;
pub use log::{LogStats, Recover};
pub use open::{OpenOptions, SHARDS_DEFAULT};
pub use options::{Options, PruneSettings};
pub use prune::{PruneHold, PruneOptions, PruneProgress, PruneStats, Pruned, Retention, Space};
pub use rebalance::{
    Balance, Goal, Move, Occupancy, Plan, Planned, RebalanceOptions, RebalancePhase, RebalanceRequest, RebalanceStats,
    RebalanceStatus, RebalanceWait, Rebalanced, ReshardRequest, ShardShare, Shortfall, Simulation,
    THRESHOLD_PERCENT_DEFAULT,
};
pub use recovery::{Recovery, RecoveryCut};
pub use repair::{RepairReport, ShardDiagnosis, ShardRepair, repair};
pub use scan::Scan;
pub use shingle_shard::{KeyRange, Memory, Version};
pub use slot::SlotMap;
pub use slot::{RoutingKey, SHARDS_MAX, SLOTS_DEFAULT, SLOTS_MAX};
pub use slot_stats::{HALF_LIFE, MeasureProgress, READS_SAMPLED, ShardLoad, SlotStatistics, SlotStats};
pub use snapshot::{At, OpenSnapshots, Snapshot};
pub use stats::{EngineStats, RowCacheStats, ShardStats, Stats};
pub use store::Store;
pub use transaction::{Isolation, Transaction, TransactionScan};
pub use verify::{ShardVerified, VerifyProgress, VerifyReport};
