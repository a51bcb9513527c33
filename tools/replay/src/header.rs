//! A block's header.

use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::{RlpDecodable, RlpEncodable};

/// The hash of a list of no uncles.
pub(crate) const NO_OMMERS: B256 =
    alloy_primitives::b256!("0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");

/// A block's header, its fields in the order that the protocol gives them. Each fork adds to the end.
#[derive(Clone, Debug, PartialEq, Eq, RlpDecodable, RlpEncodable)]
#[rlp(trailing(no_gaps))]
pub struct Header {
    /// The block before it.
    pub parent_hash: B256,
    /// The hash of the list of its uncles' headers.
    pub ommers_hash: B256,
    /// Who earns the fees.
    pub beneficiary: Address,
    /// The state after it.
    pub state_root: B256,
    /// Its transactions.
    pub transactions_root: B256,
    /// What became of them.
    pub receipts_root: B256,
    /// A filter over the addresses and topics of its logs.
    pub logs_bloom: Bloom,
    /// The work that it took; zero since the merge.
    pub difficulty: U256,
    /// Blocks between it and the genesis block.
    pub number: u64,
    /// Gas that its transactions may use.
    pub gas_limit: u64,
    /// Gas that they used.
    pub gas_used: u64,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Whatever its miner wanted to say.
    pub extra_data: Bytes,
    /// Proof of work; since the merge the beacon chain's randomness.
    pub mix_hash: B256,
    /// Proof of work; zero since the merge.
    pub nonce: B64,
    /// Wei for a unit of gas that are burnt, since London.
    pub base_fee_per_gas: Option<u64>,
    /// Its withdrawals, since Shanghai.
    pub withdrawals_root: Option<B256>,
    /// Gas that its blobs used, since Cancun.
    pub blob_gas_used: Option<u64>,
    /// Blob gas above the target that its ancestors used, since Cancun.
    pub excess_blob_gas: Option<u64>,
    /// The beacon block that it belongs to, since Cancun.
    pub parent_beacon_block_root: Option<B256>,
}

impl Header {
    /// The hash that names the block.
    pub fn hash(&self) -> B256 {
        keccak256(alloy_rlp::encode(self))
    }
}

/// The hash of a list of uncles.
pub(crate) fn ommers_hash(ommers: &[Header]) -> B256 {
    let mut list = Vec::new();
    alloy_rlp::encode_list(ommers, &mut list);
    keccak256(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_rlp::Decodable;

    #[test]
    fn no_uncles_hash_to_the_known_value() {
        assert_eq!(ommers_hash(&[]), NO_OMMERS);
    }

    #[test]
    fn the_first_block_of_mainnet_hashes_to_its_name() -> Result<(), Box<dyn std::error::Error>> {
        let header = Header {
            parent_hash: "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3".parse()?,
            ommers_hash: NO_OMMERS,
            beneficiary: "0x05a56e2d52c817161883f50c441c3228cfe54d9f".parse()?,
            state_root: "0xd67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3".parse()?,
            transactions_root: alloy_trie::EMPTY_ROOT_HASH,
            receipts_root: alloy_trie::EMPTY_ROOT_HASH,
            logs_bloom: Bloom::ZERO,
            difficulty: U256::from(17_171_480_576_u64),
            number: 1,
            gas_limit: 5_000,
            gas_used: 0,
            timestamp: 1_438_269_988,
            extra_data: "0x476574682f76312e302e302f6c696e75782f676f312e342e32".parse()?,
            mix_hash: "0x969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59".parse()?,
            nonce: "0x539bd4979fef1ec4".parse()?,
            base_fee_per_gas: None,
            withdrawals_root: None,
            blob_gas_used: None,
            excess_blob_gas: None,
            parent_beacon_block_root: None,
        };
        let name = "0x88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6".parse::<B256>()?;
        assert_eq!(header.hash(), name);
        assert_eq!(Header::decode(&mut alloy_rlp::encode(&header).as_slice())?, header);

        let cancun = Header {
            base_fee_per_gas: Some(7),
            withdrawals_root: Some(alloy_trie::EMPTY_ROOT_HASH),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            ..header
        };
        assert_eq!(Header::decode(&mut alloy_rlp::encode(&cancun).as_slice())?, cancun);
        Ok(())
    }
}
