//! Receipts: what became of a block's transactions.

use alloy_primitives::{B256, Bloom, Log, logs_bloom};
use alloy_rlp::{Encodable, RlpEncodable};
use alloy_trie::root::ordered_trie_root_encoded;

/// What became of one transaction; its fields in the order that the protocol gives them (since Byzantium).
#[derive(Clone, Debug, RlpEncodable)]
struct Fields {
    succeeded: bool,
    /// Gas that the block's transactions used up to and with this one.
    cumulative_gas_used: u64,
    bloom: Bloom,
    logs: Vec<Log>,
}

/// What became of one transaction.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    kind: u8,
    fields: Fields,
}

impl Receipt {
    /// Of a transaction of the type `kind`.
    pub(crate) fn new(kind: u8, succeeded: bool, cumulative_gas_used: u64, logs: Vec<Log>) -> Self {
        Self { kind, fields: Fields { succeeded, cumulative_gas_used, bloom: logs_bloom(&logs), logs } }
    }

    /// Like the transaction: a list, after the type if that is not 0 (EIP-2718).
    fn encoded(&self) -> Vec<u8> {
        let mut encoded = Vec::new();
        if self.kind != 0 {
            encoded.push(self.kind);
        }
        self.fields.encode(&mut encoded);
        encoded
    }
}

/// The root of the trie of receipts.
pub(crate) fn receipts_root(receipts: &[Receipt]) -> B256 {
    ordered_trie_root_encoded(&receipts.iter().map(Receipt::encoded).collect::<Vec<_>>())
}

/// The filter over all logs.
pub(crate) fn block_bloom(receipts: &[Receipt]) -> Bloom {
    receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.fields.bloom)
}
