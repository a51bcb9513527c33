//! Figures for Prometheus, read from the store when they are asked for.
//!
//! ```
//! # let db = shingle::Database::in_memory()?;
//! let registry = prometheus::Registry::new(); // or the one that your node has already
//! registry.register(Box::new(shingle::metrics::StoreCollector::new(&db)))?;
//! let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather())?;
//! assert!(text.contains("\nshingle_commits_total 0\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Names that begin with `rocksdb_` are the shards' own, each with the label `shard`; their sums over all shards begin with
//! `shingle_rocksdb_`. A sum is a name of its own and not one more label, so that `sum()` over a name is never twice what it should be.

mod engine;
mod family;
mod rebalance;
mod shards;
mod store;
mod upkeep;

use crate::{Database, Status};
use family::Families;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use std::collections::HashMap;

/// What each part of the store has to say: a feature with figures of its own adds a line.
const SOURCES: &[fn(&Status, &mut Families)] =
    &[engine::describe, shards::describe, store::describe, upkeep::describe, rebalance::describe];

/// The store's figures as Prometheus wants them. It is a handle of the store: the store stays open while it is registered.
#[derive(Debug)]
pub struct StoreCollector {
    db: Database,
    descriptions: Vec<Desc>,
}

impl StoreCollector {
    /// A collector of this store's figures.
    #[must_use]
    pub fn new(db: &Database) -> Self {
        // Two stores in one registry would say the same names: the registry refuses the second by this description.
        let name = "shingle_store".to_owned();
        let description = Desc::new(name, "Figures of a Shingle store.".to_owned(), Vec::new(), HashMap::new());
        StoreCollector { db: db.clone(), descriptions: description.into_iter().collect() }
    }
}

impl Collector for StoreCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let status = self.db.status();
        let mut families = Families::default();
        SOURCES.iter().for_each(|describe| describe(&status, &mut families));
        families.into_inner()
    }
}
