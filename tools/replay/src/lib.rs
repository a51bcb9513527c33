//! Executes Ethereum's consensus test chains on a Shingle store with revm.
//!
//! Each chain is played on a store of its own, block by block, as a node would: a block is executed on a snapshot of the
//! newest state and committed atomically over all shards; when a heavier branch appears, the store is rolled back to
//! where the branches part and takes the other one. The protocol itself says whether the store is right: every header
//! names the root of the state after it, which is computed here by a scan over a snapshot. At the end every height is
//! opened as a snapshot and its root computed once more, and again after closing and reopening the store.
//!
//! What a node's author would copy:
//! - [`state`]: how accounts, storage, code and block hashes lie in the store;
//! - [`SnapshotState`]: revm reads from a snapshot;
//! - [`state_batch`]: what revm changed, as one batch;
//! - [`Chain`]: import, fork choice and reorganisation over the three.

#![warn(missing_docs)]

mod adapter;
mod block;
mod case;
mod chain;
mod changes;
mod execute;
mod files;
mod fork;
mod genesis;
mod header;
mod invalid;
mod mover;
mod receipt;
mod replay;
mod report;
mod root;
mod run;
pub mod state;
mod stores;
mod transaction;
mod validate;
mod verify;

pub use adapter::SnapshotState;
pub use block::{Block, Withdrawal};
pub use chain::{Chain, Imported, Tally};
pub use changes::state_batch;
pub use execute::{ExecuteError, execute};
pub use fork::{Fork, Network};
pub use header::Header;
pub use invalid::{InvalidBlock, TransactionError};
pub use replay::{Error, Options, Progress, run};
pub use report::{BlockId, Counts, Failure, FileReport, Report, Totals};
pub use root::state_root;
pub use transaction::{Transaction, Transactions};
