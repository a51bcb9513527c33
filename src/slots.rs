//! Slots: what is known of them, and plans to move them.

use crate::Database;
use serde::{Deserialize, Serialize};
use shingle_router::{
    MeasureProgress, RebalanceRequest, ReshardRequest, Result, ShardLoad, Simulation, SlotStatistics, Version,
};
use std::path::PathBuf;

/// What each shard carries: the document of `shingle shards --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardStatistics {
    /// The version at which keys and bytes were measured; `None`: never.
    pub measured_at: Option<Version>,
    /// After this time, in seconds, a read or a write counts half.
    pub half_life_secs: u64,
    /// Each shard, by number.
    pub shards: Vec<ShardOccupancy>,
}

/// What one shard carries, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardOccupancy {
    /// The sums of its slots.
    #[serde(flatten)]
    pub load: ShardLoad,
    /// Its directory; `None` for a store in memory.
    pub path: Option<PathBuf>,
    /// Bytes of its files.
    pub file_bytes: u64,
}

/// Slots.
impl Database {
    /// What is known of each slot: its shard, reads and writes as counted, keys and bytes as estimated. Cheap.
    ///
    /// ```
    /// # use shingle::{Batch, Database};
    /// let db = Database::in_memory()?;
    /// let mut batch = Batch::new();
    /// batch.put("alice", "10").put("bob", "5");
    /// db.commit(batch)?;
    /// assert_eq!(db.slot_stats().slots.iter().map(|slot| slot.writes).sum::<u64>(), 2);
    /// # Ok::<(), shingle::Error>(())
    /// ```
    #[must_use]
    pub fn slot_stats(&self) -> SlotStatistics {
        self.store.slot_stats()
    }

    /// What is known of the slots of each shard, and where the shard is. Cheap.
    #[must_use]
    pub fn shard_stats(&self) -> ShardStatistics {
        let SlotStatistics { measured_at, half_life_secs, shards, .. } = self.slot_stats();
        let figures = self.stats().shards;
        let shard = |(load, figures): (ShardLoad, shingle_router::ShardStats)| ShardOccupancy {
            load,
            path: figures.path,
            file_bytes: figures.file_bytes,
        };
        ShardStatistics { measured_at, half_life_secs, shards: shards.into_iter().zip(figures).map(shard).collect() }
    }

    /// Reads every key at the newest version, and counts keys and bytes of each slot. Returns what is then known. `progress` is called
    /// from several threads.
    ///
    /// # Errors
    /// A rollback meanwhile; damage; I/O.
    pub fn measure_slots(&self, progress: &(dyn Fn(MeasureProgress) + Sync)) -> Result<SlotStatistics> {
        self.store.measure_slots(progress)
    }

    /// What a rebalancing would do: its moves, their bytes and time, and what each shard would carry. Changes nothing.
    ///
    /// ```
    /// # use shingle::{Database, RebalanceRequest};
    /// let db = Database::builder("").shards(4).in_memory()?;
    /// let wanted = RebalanceRequest { to_shards: Some(8), ..RebalanceRequest::default() };
    /// let simulation = db.plan_rebalance(&wanted)?;
    /// assert_eq!(simulation.plan.moves.len(), 2048);
    /// assert!(simulation.shards.iter().all(|shard| shard.slots_after == 512));
    /// # Ok::<(), shingle::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` for a number of shards, a weight or a threshold that no store can have.
    pub fn plan_rebalance(&self, request: &RebalanceRequest) -> Result<Simulation> {
        self.store.plan_rebalance(request)
    }

    /// What moving these slots would come to. Changes nothing.
    ///
    /// # Errors
    /// `InvalidArgument` for shards or slots that there are not, and for slots that are not on the shard named.
    pub fn plan_reshard(&self, request: &ReshardRequest) -> Result<Simulation> {
        self.store.plan_reshard(request)
    }
}
