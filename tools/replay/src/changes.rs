//! One block's changes, as revm leaves them, turned into one batch for the store.

use crate::state::{self, Account, StateError};
use alloy_primitives::{Address, B256};
use revm::bytecode::Bytecode;
use revm::database::{BundleState, OriginalValuesKnown};
use revm::state::AccountInfo;
use shingle::{Batch, Snapshot};

/// The batch that takes the state of `parent`, upon which the block was executed, to the state after it.
///
/// revm has settled by now what the block's rules make of empty accounts (EIP-161 removes those that were touched, the
/// networks before it keep them): an account that is gone comes without its info.
pub fn state_batch(parent: &Snapshot, bundle: &BundleState) -> Result<Batch, StateError> {
    let changes = bundle.to_plain_state(OriginalValuesKnown::Yes);
    let mut batch = Batch::new();
    // The last write of a key wins, so the wipe of a destroyed account's storage goes before what its successor at the
    // same address has written since.
    for storage in &changes.storage {
        if storage.wipe_storage {
            for key in state::storage_keys(parent, storage.address) {
                batch.delete(key?);
            }
        }
        for &(slot, value) in &storage.storage {
            let key = state::storage_key(storage.address, slot);
            if value.is_zero() {
                batch.delete(key);
            } else {
                batch.put(key, state::encode_slot(value));
            }
        }
    }
    for (address, info) in &changes.accounts {
        put_account(&mut batch, *address, info.as_ref());
    }
    for (hash, code) in &changes.contracts {
        put_code(&mut batch, *hash, code);
    }
    Ok(batch)
}

fn put_account(batch: &mut Batch, address: Address, info: Option<&AccountInfo>) {
    let key = state::account_key(address);
    match info {
        Some(&AccountInfo { nonce, balance, code_hash, .. }) => {
            batch.put(key, Account { nonce, balance, code_hash }.encode())
        }
        None => batch.delete(key),
    };
}

fn put_code(batch: &mut Batch, hash: B256, code: &Bytecode) {
    batch.put(state::code_key(hash), code.original_byte_slice());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::SnapshotState;
    use alloy_primitives::{U256, address, keccak256};
    use revm::database::State;
    use revm::database::states::bundle_state::BundleRetention;
    use revm::state::{Account as Touched, EvmStorageSlot, TransactionId};
    use revm::{Database as _, DatabaseCommit};
    use shingle::{Block, Database};

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    const ADDRESS: Address = address!("0x1000000000000000000000000000000000000000");
    const NEIGHBOUR: Address = address!("0x1000000000000000000000000000000000000001");

    /// Two accounts with the same slots 1 and 2.
    fn store() -> Result<Database, shingle::Error> {
        let db = Database::in_memory()?;
        let mut batch = Batch::new();
        for address in [ADDRESS, NEIGHBOUR] {
            batch.put(state::account_key(address), Account { nonce: 1, ..Account::default() }.encode());
            for slot in [1, 2] {
                batch.put(state::storage_key(address, U256::from(slot)), state::encode_slot(U256::from(slot)));
            }
        }
        db.commit_block(Block { height: 0, timestamp_ms: 0 }, batch)?;
        Ok(db)
    }

    /// Commits what one transaction after the other leaves of the account.
    fn apply(db: &Database, transactions: Vec<Touched>) -> TestResult {
        let parent = db.snapshot();
        let mut evm_state =
            State::builder().with_database_ref(SnapshotState::new(parent.clone())).with_bundle_update().build();
        for touched in transactions {
            evm_state.basic(ADDRESS)?;
            evm_state.commit([(ADDRESS, touched)].into_iter().collect());
        }
        evm_state.merge_transitions(BundleRetention::PlainState);
        let batch = state_batch(&parent, &evm_state.take_bundle())?;
        db.commit_block(Block { height: 1, timestamp_ms: 0 }, batch)?;
        Ok(())
    }

    fn touched(nonce: u64, slots: &[(u64, u64, u64)]) -> Touched {
        let code = Bytecode::new_raw([0x60, 0x00].into());
        let info =
            AccountInfo { nonce, code_hash: keccak256([0x60, 0x00]), code: Some(code), ..AccountInfo::default() };
        let slot = |&(slot, before, after): &(u64, u64, u64)| {
            let [slot, before, after] = [slot, before, after].map(U256::from);
            (slot, EvmStorageSlot::new_changed(before, after, TransactionId::ZERO))
        };
        Touched::from(info).with_touched_mark().with_storage(slots.iter().map(slot))
    }

    fn slots(db: &Database, address: Address) -> Result<Vec<U256>, StateError> {
        (1..=3).map(|slot| state::slot(&db.snapshot(), address, U256::from(slot))).collect()
    }

    #[test]
    fn changed_slots_are_put_cleared_ones_deleted_and_code_is_kept_once() -> TestResult {
        let db = store()?;
        apply(&db, vec![touched(2, &[(1, 1, 0), (3, 0, 9)])])?;
        assert_eq!(slots(&db, ADDRESS)?, [0, 2, 9].map(U256::from));
        assert_eq!(db.snapshot().get(state::storage_key(ADDRESS, U256::from(1)))?, None, "zero has no row");
        let account = state::account(&db.snapshot(), ADDRESS)?.ok_or("the account is there")?;
        assert_eq!((account.nonce, account.code_hash), (2, keccak256([0x60, 0x00])));
        assert_eq!(state::code(&db.snapshot(), account.code_hash)?.as_deref(), Some([0x60, 0x00].as_slice()));
        assert_eq!(slots(&db, NEIGHBOUR)?, [1, 2, 0].map(U256::from));
        Ok(())
    }

    #[test]
    fn a_destroyed_account_takes_its_storage_along_and_nobody_elses() -> TestResult {
        let db = store()?;
        apply(&db, vec![touched(1, &[]).with_selfdestruct_mark()])?;
        assert_eq!(state::account(&db.snapshot(), ADDRESS)?, None);
        assert_eq!(state::storage_keys(&db.snapshot(), ADDRESS).count(), 0);
        assert_eq!(slots(&db, NEIGHBOUR)?, [1, 2, 0].map(U256::from));
        Ok(())
    }

    #[test]
    fn a_contract_made_again_in_the_same_block_keeps_only_what_it_wrote_since() -> TestResult {
        let db = store()?;
        let again = touched(1, &[(2, 0, 7)]).with_created_mark();
        apply(&db, vec![touched(1, &[]).with_selfdestruct_mark(), again])?;
        assert_eq!(state::account(&db.snapshot(), ADDRESS)?.map(|account| account.nonce), Some(1));
        assert_eq!(slots(&db, ADDRESS)?, [0, 7, 0].map(U256::from));
        Ok(())
    }

    #[test]
    fn an_empty_account_that_is_touched_disappears() -> TestResult {
        let db = store()?;
        apply(&db, vec![Touched::from(AccountInfo::default()).with_touched_mark()])?;
        assert_eq!(state::account(&db.snapshot(), ADDRESS)?, None);
        Ok(())
    }
}
