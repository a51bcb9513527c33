//! How an Ethereum state lies in the store: every key and every value, built and parsed here and nowhere else.
//!
//! ```text
//! key                                    value
//! a ‖ address (20)                       account: nonce (8, BE) ‖ balance (32, BE) ‖ code hash (32)
//! a ‖ address (20) ‖ slot (32, BE)       storage: the word (32, BE) without its leading zero bytes, never empty
//! c ‖ code hash (32)                     the code
//! b ‖ block number (8, BE)               the block's hash
//! ```
//!
//! - An account and its storage share their first 21 bytes. That is the routing key, so both live on one shard, where
//!   one account's storage is one local range, while accounts spread over all shards.
//! - An account comes right before its own storage, so that one ordered scan over `a` reads the whole state, account by
//!   account, which is what a state root needs.
//! - What does not exist has no row: a slot of value zero is deleted, and so is an account that was destroyed or cleared.
//! - Code is found by its hash and never deleted: several accounts may share it. Rolling back takes it out again.
//! - The hashes of earlier blocks are what the BLOCKHASH opcode reads. Being part of the block's own commit, they follow
//!   the chain through every rollback.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use shingle::Snapshot;

/// The first byte of accounts and of their storage.
pub const ACCOUNT_TAG: u8 = b'a';
/// The first byte of code.
pub const CODE_TAG: u8 = b'c';
/// The first byte of block hashes.
pub const BLOCK_HASH_TAG: u8 = b'b';

const ADDRESS_AT: usize = 1;
const SLOT_AT: usize = ADDRESS_AT + Address::len_bytes();
const STORAGE_KEY_LEN: usize = SLOT_AT + B256::len_bytes();

/// Bytes of a key that choose its shard: the tag and the address.
pub const ROUTING_KEY_LEN: usize = SLOT_AT;

const BALANCE_AT: usize = size_of::<u64>();
const CODE_HASH_AT: usize = BALANCE_AT + U256::BYTES;
const ACCOUNT_LEN: usize = CODE_HASH_AT + B256::len_bytes();

/// Why the state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] shingle::Error),
    /// A row that this layout does not know. The store keeps checksums, so this is a defect of whoever wrote it.
    #[error("the row {} is not of this layout: {reason}", alloy_primitives::hex::encode_prefixed(.key))]
    Layout {
        /// The row's key.
        key: Vec<u8>,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// An account, without its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// The hash of its code; of no bytes if it has none.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY }
    }
}

impl Account {
    /// The value that the store keeps.
    pub fn encode(&self) -> [u8; ACCOUNT_LEN] {
        let mut value = [0; ACCOUNT_LEN];
        value[..BALANCE_AT].copy_from_slice(&self.nonce.to_be_bytes());
        value[BALANCE_AT..CODE_HASH_AT].copy_from_slice(&self.balance.to_be_bytes::<{ U256::BYTES }>());
        value[CODE_HASH_AT..].copy_from_slice(self.code_hash.as_slice());
        value
    }

    /// Reads the value back; none if it is not one.
    pub fn decode(value: &[u8]) -> Option<Self> {
        let value: &[u8; ACCOUNT_LEN] = value.try_into().ok()?;
        let (nonce, rest) = value.split_first_chunk()?;
        Some(Self {
            nonce: u64::from_be_bytes(*nonce),
            balance: U256::from_be_slice(&rest[..U256::BYTES]),
            code_hash: B256::from_slice(&rest[U256::BYTES..]),
        })
    }
}

/// The key of an account, and the prefix of its storage.
pub fn account_key(address: Address) -> [u8; SLOT_AT] {
    let mut key = [ACCOUNT_TAG; SLOT_AT];
    key[ADDRESS_AT..].copy_from_slice(address.as_slice());
    key
}

/// The key of a storage slot.
pub fn storage_key(address: Address, slot: U256) -> [u8; STORAGE_KEY_LEN] {
    let mut key = [0; STORAGE_KEY_LEN];
    key[..SLOT_AT].copy_from_slice(&account_key(address));
    key[SLOT_AT..].copy_from_slice(&slot.to_be_bytes::<{ U256::BYTES }>());
    key
}

/// The key of code.
pub fn code_key(hash: B256) -> [u8; 1 + B256::len_bytes()] {
    let mut key = [CODE_TAG; 1 + B256::len_bytes()];
    key[1..].copy_from_slice(hash.as_slice());
    key
}

/// The key of a block's hash.
pub fn block_hash_key(number: u64) -> [u8; 1 + size_of::<u64>()] {
    let mut key = [BLOCK_HASH_TAG; 1 + size_of::<u64>()];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The value of a slot that is not zero.
pub fn encode_slot(value: U256) -> Vec<u8> {
    value.to_be_bytes_trimmed_vec()
}

fn decode_slot(value: &[u8]) -> Option<U256> {
    let canonical = value.first().is_some_and(|&byte| byte != 0);
    canonical.then(|| U256::try_from_be_slice(value)).flatten()
}

/// An account as a snapshot has it.
pub fn account(snapshot: &Snapshot, address: Address) -> Result<Option<Account>, StateError> {
    let key = account_key(address);
    let Some(value) = snapshot.get(key)? else { return Ok(None) };
    Account::decode(&value).map(Some).ok_or_else(|| layout(&key, "an account's value"))
}

/// A storage slot as a snapshot has it; zero if it has none.
pub fn slot(snapshot: &Snapshot, address: Address, slot: U256) -> Result<U256, StateError> {
    let key = storage_key(address, slot);
    let Some(value) = snapshot.get(key)? else { return Ok(U256::ZERO) };
    decode_slot(&value).ok_or_else(|| layout(&key, "a slot's value"))
}

/// Code by its hash, as a snapshot has it.
pub fn code(snapshot: &Snapshot, hash: B256) -> Result<Option<Vec<u8>>, StateError> {
    Ok(snapshot.get(code_key(hash))?)
}

/// The hash of a block of the chain that leads to the snapshot.
pub fn block_hash(snapshot: &Snapshot, number: u64) -> Result<Option<B256>, StateError> {
    let key = block_hash_key(number);
    let Some(value) = snapshot.get(key)? else { return Ok(None) };
    B256::try_from(value.as_slice()).map(Some).map_err(|_| layout(&key, "a block hash"))
}

/// One row of a scan over the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateRow {
    /// An account; the rows that follow, up to the next account, are its storage.
    Account(Address, Account),
    /// A storage slot and its value.
    Slot(Address, U256, U256),
}

/// The whole state in key order: every account, each followed by its storage.
pub fn rows(snapshot: &Snapshot) -> impl Iterator<Item = Result<StateRow, StateError>> + use<> {
    snapshot.prefix([ACCOUNT_TAG]).map(|row| {
        let (key, value) = row?;
        decode_row(&key, &value).ok_or_else(|| layout(&key, "neither an account nor a slot"))
    })
}

/// The keys of one account's storage.
pub fn storage_keys(
    snapshot: &Snapshot,
    address: Address,
) -> impl Iterator<Item = Result<Vec<u8>, StateError>> + use<> {
    snapshot.prefix(account_key(address)).filter_map(|row| match row {
        Ok((key, _)) => (key.len() == STORAGE_KEY_LEN).then_some(Ok(key)),
        Err(error) => Some(Err(error.into())),
    })
}

fn decode_row(key: &[u8], value: &[u8]) -> Option<StateRow> {
    let address = Address::from_slice(key.get(ADDRESS_AT..SLOT_AT)?);
    match key.len() {
        SLOT_AT => Some(StateRow::Account(address, Account::decode(value)?)),
        STORAGE_KEY_LEN => Some(StateRow::Slot(address, U256::from_be_slice(&key[SLOT_AT..]), decode_slot(value)?)),
        _ => None,
    }
}

pub(crate) fn layout(key: &[u8], reason: &'static str) -> StateError {
    StateError::Layout { key: key.to_vec(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    const LOW: Address = address!("0x00000000000000000000000000000000000000ff");
    const HIGH: Address = address!("0x0000000000000000000000000000000000000100");

    #[test]
    fn an_account_is_followed_by_its_storage_and_then_by_the_next_account() {
        let ordered = [
            account_key(LOW).to_vec(),
            storage_key(LOW, U256::ZERO).to_vec(),
            storage_key(LOW, U256::from(255)).to_vec(),
            storage_key(LOW, U256::from(256)).to_vec(),
            storage_key(LOW, U256::MAX).to_vec(),
            account_key(HIGH).to_vec(),
            storage_key(HIGH, U256::ZERO).to_vec(),
        ];
        assert!(ordered.is_sorted());
        assert!(block_hash_key(255) < block_hash_key(256), "block hashes are in order of their numbers");
    }

    #[test]
    fn an_account_and_its_storage_share_the_routing_key() {
        assert_eq!(account_key(LOW)[..ROUTING_KEY_LEN], storage_key(LOW, U256::MAX)[..ROUTING_KEY_LEN]);
        assert_ne!(account_key(LOW)[..ROUTING_KEY_LEN], account_key(HIGH)[..ROUTING_KEY_LEN]);
    }

    #[test]
    fn rows_come_back_as_they_were_written() {
        let account = Account { nonce: u64::MAX, balance: U256::MAX - U256::from(1), code_hash: B256::repeat_byte(7) };
        assert_eq!(decode_row(&account_key(LOW), &account.encode()), Some(StateRow::Account(LOW, account)));
        for value in [U256::from(1), U256::from(256), U256::MAX] {
            let row = decode_row(&storage_key(HIGH, U256::from(3)), &encode_slot(value));
            assert_eq!(row, Some(StateRow::Slot(HIGH, U256::from(3), value)));
        }
    }

    #[test]
    fn what_this_layout_does_not_write_is_refused() {
        assert_eq!(decode_slot(&[]), None, "zero has no row");
        assert_eq!(decode_slot(&[0, 1]), None, "a leading zero");
        assert_eq!(decode_slot(&[1; 33]), None, "more than a word");
        assert_eq!(Account::decode(&[0; ACCOUNT_LEN - 1]), None);
        assert_eq!(Account::decode(&[0; ACCOUNT_LEN + 1]), None);
        assert_eq!(decode_row(&storage_key(LOW, U256::ZERO)[..40], &[1]), None, "half a slot");
    }
}
