//! What each verb does.

pub(crate) mod checkpoint;
pub(crate) mod delete;
pub(crate) mod demo;
pub(crate) mod flush;
pub(crate) mod get;
pub(crate) mod prune;
pub(crate) mod put;
pub(crate) mod rebalance;
pub(crate) mod repair;
pub(crate) mod replay;
pub(crate) mod rollback;
pub(crate) mod scan;
pub(crate) mod serve;
pub(crate) mod shards;
mod simulation;
pub(crate) mod slots;
pub(crate) mod status;
pub(crate) mod verify;
