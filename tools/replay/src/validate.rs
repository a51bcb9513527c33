//! What can be told of a block without executing it: its header against its parent, and its body against its header.
//!
//! The work behind a header is not looked at: the test chains are made without (`"sealEngine": "NoProof"`), and their
//! difficulties are free.

use crate::block::Block;
use crate::fork::Fork;
use crate::header::{self, Header};
use crate::invalid::{InvalidBlock, check_field};
use alloy_primitives::{B64, B256, U256};
use alloy_trie::root::{ordered_trie_root, ordered_trie_root_encoded};
use revm::primitives::eip4844::{GAS_PER_BLOB, MAX_BLOB_GAS_PER_BLOCK_CANCUN, TARGET_BLOB_GAS_PER_BLOCK_CANCUN};

const EXTRA_DATA_BYTES_MAX: usize = 32;
const GAS_LIMIT_MIN: u64 = 5_000;
/// A gas limit moves by less than its parent's share of this.
const GAS_LIMIT_BOUND_DIVISOR: u64 = 1_024;
/// Gas limits and what is spent of them are 63-bit numbers (EIP-1985).
const GAS_LIMIT_MAX: u64 = i64::MAX as u64;

/// Blocks may use this many times the gas at which the base fee stays as it is (EIP-1559).
const ELASTICITY: u64 = 2;
const BASE_FEE_CHANGE_DENOMINATOR: u128 = 8;
const INITIAL_BASE_FEE: u64 = 1_000_000_000;

const OMMERS_MAX: usize = 2;
/// An uncle's parent is at most this many generations before the block that names it.
pub(crate) const OMMER_GENERATIONS: usize = 7;

/// A header and the rules that it came under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruled<'a> {
    /// The header.
    pub(crate) header: &'a Header,
    /// Its rules.
    pub(crate) fork: Fork,
}

/// Checks a header against its parent's.
pub(crate) fn header(child: Ruled<'_>, parent: Ruled<'_>) -> Result<(), InvalidBlock> {
    let Ruled { header, fork } = child;
    check_field("number", header.number, parent.header.number.saturating_add(1))?;
    rule(header.timestamp > parent.header.timestamp, "time does not advance")?;
    rule(header.extra_data.len() <= EXTRA_DATA_BYTES_MAX, "too much extra data")?;
    rule(header.gas_used <= header.gas_limit, "more gas used than allowed")?;
    gas_limit(child, parent)?;
    check_field("base fee", header.base_fee_per_gas, fork.has_base_fee().then(|| base_fee(parent)))?;
    rule(header.withdrawals_root.is_some() == fork.has_withdrawals(), "withdrawals root out of place")?;
    rule(header.parent_beacon_block_root.is_some() == fork.has_blobs(), "beacon root out of place")?;
    rule(header.blob_gas_used.is_some() == fork.has_blobs(), "blob gas out of place")?;
    let excess = fork.has_blobs().then(|| excess_blob_gas(parent.header));
    check_field("excess blob gas", header.excess_blob_gas, excess)?;
    if fork.is_merged() {
        check_field("difficulty", header.difficulty, U256::ZERO)?;
        check_field("nonce", header.nonce, B64::ZERO)?;
        check_field("uncles", header.ommers_hash, header::NO_OMMERS)?;
    } else {
        rule(!header.difficulty.is_zero(), "no difficulty")?;
    }
    Ok(())
}

fn gas_limit(child: Ruled<'_>, parent: Ruled<'_>) -> Result<(), InvalidBlock> {
    let limit = child.header.gas_limit;
    let before = gas_limit_before(child, parent);
    rule((GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&limit), "gas limit out of bounds")?;
    rule(limit.abs_diff(before) < before / GAS_LIMIT_BOUND_DIVISOR, "gas limit moves too far")
}

/// The parent's gas limit. London doubles it, so that its target is what the limit was.
fn gas_limit_before(child: Ruled<'_>, parent: Ruled<'_>) -> u64 {
    let elasticity = if child.fork.has_base_fee() && !parent.fork.has_base_fee() { ELASTICITY } else { 1 };
    parent.header.gas_limit.saturating_mul(elasticity)
}

/// The base fee of the block after `parent` (EIP-1559).
fn base_fee(parent: Ruled<'_>) -> u64 {
    let Some(before) = parent.header.base_fee_per_gas else { return INITIAL_BASE_FEE };
    let target = parent.header.gas_limit / ELASTICITY;
    let used = parent.header.gas_used;
    let distance = u128::from(used.abs_diff(target));
    let change = u128::from(before) * distance / u128::from(target.max(1)) / BASE_FEE_CHANGE_DENOMINATOR;
    let change = u64::try_from(change).unwrap_or(u64::MAX);
    match used.cmp(&target) {
        std::cmp::Ordering::Greater => before.saturating_add(change.max(1)),
        std::cmp::Ordering::Equal => before,
        std::cmp::Ordering::Less => before.saturating_sub(change),
    }
}

/// The excess blob gas of the block after `parent` (EIP-4844).
fn excess_blob_gas(parent: &Header) -> u64 {
    let excess = parent.excess_blob_gas.unwrap_or(0).saturating_add(parent.blob_gas_used.unwrap_or(0));
    excess.saturating_sub(TARGET_BLOB_GAS_PER_BLOCK_CANCUN)
}

/// Checks that the header's roots are of the block's own transactions, uncles and withdrawals.
pub(crate) fn body(block: &Block, fork: Fork) -> Result<(), InvalidBlock> {
    let Block { header, transactions, ommers, withdrawals, .. } = block;
    let encoded = transactions.0.iter().map(|transaction| &transaction.encoded).collect::<Vec<_>>();
    check_field("transactions root", header.transactions_root, ordered_trie_root_encoded(&encoded))?;
    check_field("uncles", header.ommers_hash, header::ommers_hash(ommers))?;
    check_field("withdrawals root", header.withdrawals_root, withdrawals.as_deref().map(ordered_trie_root))?;
    if fork.has_blobs() {
        let blobs = transactions.0.iter().map(|transaction| transaction.env.blob_hashes.len() as u64).sum::<u64>();
        check_field("blob gas used", header.blob_gas_used, Some(blobs * GAS_PER_BLOB))?;
        rule(blobs * GAS_PER_BLOB <= MAX_BLOB_GAS_PER_BLOCK_CANCUN, "too many blobs")?;
    }
    Ok(())
}

/// A block's ancestor, as an uncle's checks need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ancestor<'a> {
    /// Its hash.
    pub(crate) hash: B256,
    /// Its header.
    pub(crate) header: &'a Header,
    /// The uncles that it named.
    pub(crate) ommers: &'a [Header],
}

/// Checks a block's uncles. `ancestors` are the block's own, nearest first, [`OMMER_GENERATIONS`] of them or all.
pub(crate) fn ommers(
    block: &Block,
    ancestors: &[Ancestor<'_>],
    fork_at: impl Fn(&Header) -> Fork,
) -> Result<(), InvalidBlock> {
    rule(block.ommers.len() <= OMMERS_MAX, "too many uncles")?;
    for (index, ommer) in block.ommers.iter().enumerate() {
        let reject = |reason| InvalidBlock::Ommer { index, reason };
        let hash = ommer.hash();
        let named_before = ancestors.iter().flat_map(|ancestor| ancestor.ommers).chain(&block.ommers[..index]);
        if named_before.map(Header::hash).any(|named| named == hash) {
            return Err(reject("it is named twice"));
        }
        if hash == block.hash || ancestors.iter().any(|ancestor| ancestor.hash == hash) {
            return Err(reject("it is an ancestor"));
        }
        // The block's own parent is left out: its children are the block's siblings, not its uncles.
        let parent = ancestors.iter().skip(1).find(|ancestor| ancestor.hash == ommer.parent_hash);
        let parent = parent.ok_or_else(|| reject("its parent is not an ancestor near enough"))?;
        let [child, parent] = [ommer, parent.header].map(|header| Ruled { header, fork: fork_at(header) });
        header(child, parent).map_err(|_| reject("its own header breaks the rules"))?;
    }
    Ok(())
}

fn rule(holds: bool, broken: &'static str) -> Result<(), InvalidBlock> {
    if holds { Ok(()) } else { Err(InvalidBlock::Rule(broken)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fork::Network;
    use crate::transaction::Transactions;
    use alloy_primitives::{Address, Bloom, Bytes};
    use alloy_trie::EMPTY_ROOT_HASH;

    fn fork(name: &str) -> Fork {
        Network::parse(name).expect("a network that is known").fork_at(0, 0)
    }

    /// A header of before London.
    fn plain(number: u64, parent_hash: B256) -> Header {
        Header {
            parent_hash,
            ommers_hash: header::NO_OMMERS,
            beneficiary: Address::ZERO,
            state_root: EMPTY_ROOT_HASH,
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            logs_bloom: Bloom::ZERO,
            difficulty: U256::from(1),
            number,
            gas_limit: 30_000_000,
            gas_used: 0,
            timestamp: number * 12,
            extra_data: Bytes::new(),
            mix_hash: B256::ZERO,
            nonce: B64::ZERO,
            base_fee_per_gas: None,
            withdrawals_root: None,
            blob_gas_used: None,
            excess_blob_gas: None,
            parent_beacon_block_root: None,
        }
    }

    fn next_base_fee(gas_limit: u64, gas_used: u64, before: u64) -> u64 {
        let parent = Header { gas_limit, gas_used, base_fee_per_gas: Some(before), ..plain(1, B256::ZERO) };
        base_fee(Ruled { header: &parent, fork: fork("London") })
    }

    #[test]
    fn the_base_fee_follows_the_gas_used() {
        assert_eq!(next_base_fee(30_029_122, 30_025_257, 1_000_000_000), 1_124_967_822, "mainnet's block 12965001");
        assert_eq!(next_base_fee(30_000_000, 15_000_000, 1_000), 1_000);
        assert_eq!(next_base_fee(30_000_000, 0, 1_000), 875);
        assert_eq!(next_base_fee(30_000_000, 15_000_001, 7), 8, "it rises by one at least");
        assert_eq!(next_base_fee(30_000_000, 14_999_999, 7), 7);
        assert_eq!(next_base_fee(30_000_000, 30_000_000, u64::MAX), u64::MAX);
    }

    #[test]
    fn london_begins_with_a_gwei_and_twice_the_gas_limit() {
        let parent = plain(4, B256::ZERO);
        let first = Header { gas_limit: 60_000_000, base_fee_per_gas: Some(1_000_000_000), ..plain(5, parent.hash()) };
        let berlin = Ruled { header: &parent, fork: fork("Berlin") };
        assert!(header(Ruled { header: &first, fork: fork("London") }, berlin).is_ok());
        let undoubled = Header { gas_limit: 30_000_000, ..first.clone() };
        assert!(header(Ruled { header: &undoubled, fork: fork("London") }, berlin).is_err());
        assert!(header(Ruled { header: &first, fork: fork("Berlin") }, berlin).is_err(), "no base fee in Berlin");
    }

    #[test]
    fn excess_blob_gas_builds_up_above_the_target() {
        let after = |excess, used| {
            excess_blob_gas(&Header {
                excess_blob_gas: Some(excess),
                blob_gas_used: Some(used),
                ..plain(1, B256::ZERO)
            })
        };
        assert_eq!(after(0, 3 * GAS_PER_BLOB), 0);
        assert_eq!(after(0, 6 * GAS_PER_BLOB), 3 * GAS_PER_BLOB);
        assert_eq!(after(3 * GAS_PER_BLOB, 0), 0);
        assert_eq!(excess_blob_gas(&plain(1, B256::ZERO)), 0, "the first block of Cancun");
    }

    /// Checks uncles of the block after a chain of ten.
    fn check_ommers(ommers: impl FnOnce(&[Header]) -> Vec<Header>) -> Result<(), InvalidBlock> {
        let mut chain = vec![plain(0, B256::ZERO)];
        for number in 1..=10 {
            chain.push(plain(number, chain[chain.len() - 1].hash()));
        }
        let ancestors = chain.iter().rev().take(OMMER_GENERATIONS);
        let ancestors = ancestors.map(|header| Ancestor { hash: header.hash(), header, ommers: &[] });
        let head = plain(11, chain[10].hash());
        let (transactions, ommers, withdrawals) = (Transactions::default(), ommers(&chain), None);
        let block = Block { hash: head.hash(), header: head, transactions, ommers, withdrawals };
        super::ommers(&block, &ancestors.collect::<Vec<_>>(), |_| fork("Berlin"))
    }

    #[test]
    fn uncles_are_young_relatives_named_once() {
        let uncle = |chain: &[Header], number: usize| Header {
            beneficiary: Address::with_last_byte(1),
            ..plain(number as u64, chain[number - 1].hash())
        };
        assert!(check_ommers(|_| vec![]).is_ok());
        assert!(check_ommers(|chain| vec![uncle(chain, 10), uncle(chain, 5)]).is_ok(), "one and six generations");
        assert!(check_ommers(|chain| vec![uncle(chain, 4)]).is_err(), "too old");
        assert!(check_ommers(|chain| vec![uncle(chain, 11)]).is_err(), "a sibling");
        assert!(check_ommers(|chain| vec![chain[9].clone()]).is_err(), "an ancestor");
        assert!(check_ommers(|chain| vec![uncle(chain, 9), uncle(chain, 9)]).is_err(), "twice");
        assert!(check_ommers(|chain| vec![uncle(chain, 8), uncle(chain, 9), uncle(chain, 10)]).is_err(), "three");
        assert!(
            check_ommers(|chain| vec![Header { parent_hash: B256::ZERO, ..uncle(chain, 9) }]).is_err(),
            "a stranger"
        );
        assert!(check_ommers(|chain| vec![Header { gas_limit: 1, ..uncle(chain, 9) }]).is_err(), "breaks a rule");
    }
}
