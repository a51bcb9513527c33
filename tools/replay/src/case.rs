//! The JSON of a file of test chains, as far as it is read.
//!
//! Blocks are taken from their RLP, as a node gets them; the same content in JSON is left alone.

use crate::block::Block;
use crate::state::Account;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

/// A file: cases by name.
pub(crate) type Cases = BTreeMap<String, Case>;

/// One chain.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Case {
    /// The name of its rules.
    pub(crate) network: String,
    /// The state that the chain starts from.
    pub(crate) pre: Accounts,
    /// Its first block.
    #[serde(rename = "genesisRLP")]
    pub(crate) genesis_rlp: Hex<Bytes>,
    /// The blocks in the order in which a node hears of them.
    pub(crate) blocks: Vec<CaseBlock>,
    /// The head that a node ends on.
    #[serde(rename = "lastblockhash")]
    pub(crate) last_block_hash: Hex<B256>,
    /// The state that it ends with.
    #[serde(default)]
    pub(crate) post_state: Option<Accounts>,
    /// Or that state's root.
    #[serde(default)]
    pub(crate) post_state_hash: Option<Hex<B256>>,
}

/// One block as a node hears of it.
#[derive(Debug, Deserialize)]
pub(crate) struct CaseBlock {
    /// Not necessarily that of a block.
    pub(crate) rlp: Hex<Bytes>,
    /// Everything else; a key that starts with `expectException` says that the block is to be refused.
    #[serde(flatten)]
    rest: BTreeMap<String, de::IgnoredAny>,
}

impl CaseBlock {
    /// Whether a node has to refuse it.
    pub(crate) fn is_invalid(&self) -> bool {
        self.rest.keys().any(|key| key.starts_with("expectException"))
    }
}

impl Case {
    /// The first block.
    pub(crate) fn genesis(&self) -> alloy_rlp::Result<Block> {
        Block::decode(&self.genesis_rlp.0)
    }
}

/// A state: accounts by address.
pub(crate) type Accounts = BTreeMap<Hex<Address>, CaseAccount>;

/// An account with all that belongs to it.
#[derive(Debug, Deserialize)]
pub(crate) struct CaseAccount {
    balance: Hex<U256>,
    nonce: Hex<U256>,
    code: Hex<Bytes>,
    storage: BTreeMap<Hex<U256>, Hex<U256>>,
}

impl CaseAccount {
    /// What the store keeps of the account itself.
    pub(crate) fn account(&self) -> Account {
        let code_hash = if self.code.0.is_empty() { KECCAK256_EMPTY } else { keccak256(&self.code.0) };
        Account { nonce: self.nonce.0.saturating_to(), balance: self.balance.0, code_hash }
    }

    /// Its code, empty if it has none.
    pub(crate) fn code(&self) -> &Bytes {
        &self.code.0
    }

    /// Its slots that are not zero.
    pub(crate) fn storage(&self) -> impl Iterator<Item = (U256, U256)> {
        self.storage.iter().map(|(slot, value)| (slot.0, value.0)).filter(|(_, value)| !value.is_zero())
    }
}

/// Something written as `0x` and hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hex<T>(pub(crate) T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Hex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error| de::Error::custom(format_args!("{text}: {error}")))
    }
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaseError {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is not a file of test chains.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It has no chains.
    #[error("it has no chains")]
    Empty,
}

/// Reads a file of test chains.
pub(crate) fn read(path: &Path) -> Result<Cases, CaseError> {
    let cases = serde_json::from_slice::<Cases>(&std::fs::read(path)?)?;
    if cases.is_empty() { Err(CaseError::Empty) } else { Ok(cases) }
}
