//! revm reads its state from a Shingle snapshot.
//!
//! The snapshot does not change, so execution sees one block's state however many commits happen meanwhile, and any
//! retained height can be executed upon: `snapshot_at(At::Height(h))` is all that a historical `eth_call` needs.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use revm::{Context, ExecuteEvm, MainBuilder, MainContext, context::TxEnv, database_interface::WrapDatabaseRef};
//! use shingle_replay::SnapshotState;
//!
//! let db = shingle::Database::open("data/state")?;
//! let state = SnapshotState::new(db.snapshot_at(shingle::At::Height(1_000_000))?);
//! let mut evm = Context::mainnet().with_db(WrapDatabaseRef(state)).build_mainnet();
//! let outcome = evm.transact(TxEnv::default())?;
//! # let _ = outcome;
//! # Ok(())
//! # }
//! ```

use crate::state::{self, StateError};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::DatabaseRef;
use revm::bytecode::Bytecode;
use revm::database_interface::DBErrorMarker;
use revm::state::AccountInfo;
use shingle::Snapshot;

impl DBErrorMarker for StateError {}

/// The state at one height, as revm reads it.
#[derive(Clone, Debug)]
pub struct SnapshotState {
    snapshot: Snapshot,
}

impl SnapshotState {
    /// The state that a snapshot holds.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot }
    }
}

impl DatabaseRef for SnapshotState {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let account = state::account(&self.snapshot, address)?;
        Ok(account.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            // Left out, so that revm asks by hash, and only when the code is run.
            code: None,
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StateError> {
        let code = state::code(&self.snapshot, code_hash)?;
        let code = code.ok_or_else(|| state::layout(&state::code_key(code_hash), "an account's code is missing"))?;
        let code = Bytes::from(code);
        // Before London a contract could begin like a delegation (EIP-7702) without being one.
        Ok(Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code)))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        state::slot(&self.snapshot, address, slot)
    }

    /// Asked for the 256 latest blocks only; before the genesis block there is nothing, which reads as zero.
    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        Ok(state::block_hash(&self.snapshot, number)?.unwrap_or_default())
    }
}
