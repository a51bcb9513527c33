//! The router of a Shingle store: one commit log and one version over many shards.

mod batch;
mod blocks;
mod error;
mod layout;
mod lock;
mod log;
mod manifest;
mod slot;

pub use batch::{Batch, Durability};
pub use blocks::{Block, SealedBlock};
pub use error::{Error, ErrorKind, Result};
pub use log::LogStats;
pub use slot::{RoutingKey, SHARDS_MAX, SLOTS_DEFAULT, SLOTS_MAX};
