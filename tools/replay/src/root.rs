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

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256, bytes};
    use alloy_trie::EMPTY_ROOT_HASH;
    use shingle::{Batch, Database};

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn root_of(rows: &[(Vec<u8>, Vec<u8>)]) -> Result<Result<B256, StateError>, shingle::Error> {
        let db = Database::in_memory()?;
        let mut batch = Batch::new();
        for (key, value) in rows {
            batch.put(key, value);
        }
        db.commit_block(shingle::Block { height: 0, timestamp_ms: 0 }, batch)?;
        Ok(state_root(&db.snapshot()))
    }

    fn row(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> (Vec<u8>, Vec<u8>) {
        (key.as_ref().to_vec(), value.as_ref().to_vec())
    }

    #[test]
    fn no_accounts_make_the_empty_root() -> TestResult {
        assert_eq!(root_of(&[])??, EMPTY_ROOT_HASH);
        let others = [row(state::code_key(B256::ZERO), [1]), row(state::block_hash_key(7), B256::ZERO)];
        assert_eq!(root_of(&others)??, EMPTY_ROOT_HASH, "code and block hashes are no part of the state");
        Ok(())
    }

    /// The genesis block of Ethereum's `bcExample/shanghaiExample`: the contract of EIP-4788 and an account.
    #[test]
    fn accounts_with_and_without_storage_make_the_root_that_ethereum_expects() -> TestResult {
        let beacon_roots = address!("0x000f3df6d732807ef1319fb7b8bb8522d0beac02");
        let code = bytes!(
            "0x3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff81069081"
            "5414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500"
        );
        let contract = Account { nonce: 1, balance: U256::ZERO, code_hash: keccak256(code) };
        let user = address!("0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b");
        let balance = U256::from(0x16345785d8a0000_u64);
        let rows = [
            row(state::account_key(beacon_roots), contract.encode()),
            row(state::storage_key(beacon_roots, U256::from(0x3b6)), state::encode_slot(U256::from(0x3b6))),
            row(state::account_key(user), Account { balance, ..Account::default() }.encode()),
        ];
        let expected = b256!("0xc9f38211bd47d18248e2bd461131b4b454dde6dd63ab70d57e157d2fe058b342");
        assert_eq!(root_of(&rows)??, expected);
        assert_ne!(root_of(&rows[1..2])?.ok(), Some(expected));
        Ok(())
    }

    #[test]
    fn storage_without_its_account_is_an_error_and_no_root() -> TestResult {
        let [first, second] = [1, 2].map(Address::with_last_byte);
        let account = row(state::account_key(first), Account::default().encode());
        let orphan = row(state::storage_key(second, U256::ZERO), [1]);
        assert!(matches!(root_of(&[account, orphan.clone()])?, Err(StateError::Layout { .. })));
        assert!(matches!(root_of(&[orphan])?, Err(StateError::Layout { .. })));
        Ok(())
    }
}
