//! Rebalancing: slots move from shard to shard, and shards come and go, while commits and reads go on.

mod plan;

pub use plan::{Move, Plan};
