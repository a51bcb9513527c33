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
