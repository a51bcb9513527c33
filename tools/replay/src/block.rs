//! A block: header, transactions, uncles and withdrawals.

use crate::header::Header;
use crate::transaction::Transactions;
use alloy_primitives::{Address, B256};
use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};

/// Wei in the unit that withdrawals are counted in.
pub(crate) const GWEI: u64 = 1_000_000_000;

/// A payment from the beacon chain (EIP-4895).
#[derive(Clone, Debug, PartialEq, Eq, RlpDecodable, RlpEncodable)]
pub struct Withdrawal {
    /// Withdrawals before it, of the whole chain.
    pub index: u64,
    /// Which validator it is paid to.
    pub validator_index: u64,
    /// The account that gets it.
    pub address: Address,
    /// Gwei.
    pub amount: u64,
}

#[derive(RlpDecodable)]
#[rlp(trailing(no_gaps))]
struct Wire {
    header: Header,
    transactions: Transactions,
    ommers: Vec<Header>,
    withdrawals: Option<Vec<Withdrawal>>,
}

/// A block and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The header's hash.
    pub hash: B256,
    /// What the block claims.
    pub header: Header,
    /// What it does.
    pub transactions: Transactions,
    /// Headers of blocks that lost against its ancestors.
    pub ommers: Vec<Header>,
    /// Payments from the beacon chain, since Shanghai.
    pub withdrawals: Option<Vec<Withdrawal>>,
}

impl Block {
    /// Reads a block as nodes send it.
    pub fn decode(mut rlp: &[u8]) -> alloy_rlp::Result<Self> {
        let Wire { header, transactions, ommers, withdrawals } = Wire::decode(&mut rlp)?;
        if !rlp.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        Ok(Self { hash: header.hash(), header, transactions, ommers, withdrawals })
    }

    /// Its height and time, as the store counts them.
    pub fn seal(&self) -> shingle::Block {
        shingle::Block { height: self.header.number, timestamp_ms: self.header.timestamp.saturating_mul(1_000) }
    }
}
