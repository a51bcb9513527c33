//! Rebalancing: which slots move to which shards.

mod count;
mod fit;
mod goal;
mod plan;
mod planner;
mod request;
#[cfg(test)]
mod tests;

pub use goal::{Balance, Goal, Shortfall, THRESHOLD_PERCENT_DEFAULT};
pub use plan::{Move, Plan};
pub use planner::{Occupancy, Planned, ShardShare};
pub use request::{RebalanceRequest, ReshardRequest, Simulation};
