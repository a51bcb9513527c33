//! The state that a chain starts from.

use crate::block::Block;
use crate::case::Accounts;
use crate::state;
use shingle::Batch;

/// The batch of the genesis block.
pub(crate) fn genesis_batch(accounts: &Accounts, genesis: &Block) -> Batch {
    let mut batch = Batch::new();
    for (address, account) in accounts {
        let stored = account.account();
        batch.put(state::account_key(address.0), stored.encode());
        if !account.code().is_empty() {
            batch.put(state::code_key(stored.code_hash), account.code());
        }
        for (slot, value) in account.storage() {
            batch.put(state::storage_key(address.0, slot), state::encode_slot(value));
        }
    }
    batch.put(state::block_hash_key(genesis.header.number), genesis.hash);
    batch
}
