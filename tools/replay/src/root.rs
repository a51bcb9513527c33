//! The state root: the Merkle Patricia root over everything that a snapshot holds of the state.
//!
//! It is computed from nothing, by one scan of the store, because here it is the proof that the store holds the right
//! state. A node would keep the trie's nodes too and update them.

use crate::state::{self, Account, StateError, StateRow};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rlp::RlpEncodable;
use alloy_trie::{HashBuilder, Nibbles};
use shingle::Snapshot;

/// The leaf that an account is in the state trie; its fields in the order that the protocol gives them.
#[derive(RlpEncodable)]
struct AccountLeaf {
    nonce: u64,
    balance: U256,
    storage_root: B256,
    code_hash: B256,
}

/// An account whose storage the scan is still going through.
struct OpenAccount {
    address: Address,
    account: Account,
    storage: Vec<(B256, Vec<u8>)>,
}

impl OpenAccount {
    fn leaf(self) -> (B256, Vec<u8>) {
        let Account { nonce, balance, code_hash } = self.account;
        let leaf = AccountLeaf { nonce, balance, storage_root: trie_root(self.storage), code_hash };
        (keccak256(self.address), alloy_rlp::encode(leaf))
    }
}

/// The state root of a snapshot.
pub fn state_root(snapshot: &Snapshot) -> Result<B256, StateError> {
    let mut leaves = Vec::new();
    let mut open: Option<OpenAccount> = None;
    for row in state::rows(snapshot) {
        match row? {
            StateRow::Account(address, account) => {
                leaves.extend(open.take().map(OpenAccount::leaf));
                open = Some(OpenAccount { address, account, storage: Vec::new() });
            }
            StateRow::Slot(address, slot, value) => {
                let owner = open.as_mut().filter(|owner| owner.address == address);
                let owner = owner.ok_or_else(|| {
                    state::layout(&state::storage_key(address, slot), "storage of an account that does not exist")
                })?;
                owner.storage.push((keccak256(B256::from(slot)), alloy_rlp::encode(value)));
            }
        }
    }
    leaves.extend(open.map(OpenAccount::leaf));
    Ok(trie_root(leaves))
}

/// The root of a trie with these hashed keys and values. The store is in order of the keys before hashing.
fn trie_root(mut leaves: Vec<(B256, Vec<u8>)>) -> B256 {
    leaves.sort_unstable_by_key(|(hashed_key, _)| *hashed_key);
    let mut trie = HashBuilder::default();
    for (hashed_key, value) in &leaves {
        trie.add_leaf(Nibbles::unpack(hashed_key), value);
    }
    trie.root()
}
