//! A small node: it reads what a block's transfers need from the store, executes them, and commits the block.

use super::chain::{Balances, Chain, now_ms, parse_balance};
use anyhow::{Context, ensure};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{Batch, Block, Database, SealedBlock};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The most that one transfer moves.
const AMOUNT_MAX: u64 = 100;

#[derive(Clone, Copy)]
struct Transfer {
    from: u64,
    to: u64,
    amount: u64,
}

pub(super) struct Node<'a> {
    db: &'a Database,
    chain: Chain,
    transfers_per_block: u64,
    rng: SmallRng,
    /// What every balance must be, computed apart from what the store returns.
    pub(super) expected: Balances,
}

/// What a committed block was.
pub(super) struct Made {
    pub(super) height: u64,
    /// Transfers that moved coins; one from an empty account does not count.
    pub(super) transfers: u64,
    /// Keys that the block's commit wrote: each account that changed, once.
    pub(super) writes: u64,
    pub(super) commit_latency: Duration,
}

impl<'a> Node<'a> {
    /// A node that goes on from the store's newest block.
    pub(super) fn new(db: &'a Database, chain: Chain, transfers_per_block: u64) -> anyhow::Result<Self> {
        let expected = chain.balances(&db.snapshot())?;
        let supply: u64 = expected.iter().sum();
        ensure!(supply == chain.supply, "the chain's supply is {supply} coins instead of {}", chain.supply);
        Ok(Node { db, chain, transfers_per_block, rng: SmallRng::from_os_rng(), expected })
    }

    pub(super) fn head(&self) -> anyhow::Result<SealedBlock> {
        self.db.head().context("the chain has lost its genesis block")
    }

    /// Makes the next block and commits it durably.
    pub(super) fn make_block(&mut self) -> anyhow::Result<Made> {
        let transfers: Vec<_> = (0..self.transfers_per_block).map(|_| self.random_transfer()).collect();
        let (touched, moved) = self.execute(&transfers)?;
        let mut batch = Batch::new();
        for (&account, balance) in &touched {
            batch.put(self.chain.account_key(account), balance.to_string());
        }
        let head = self.head()?;
        let block = Block { height: head.height + 1, timestamp_ms: now_ms().max(head.timestamp_ms) };
        let begun = Instant::now();
        self.db.commit_block(block, batch)?;
        let commit_latency = begun.elapsed();
        for transfer in &transfers {
            transfer.apply(&mut self.expected);
        }
        Ok(Made { height: block.height, transfers: moved, writes: touched.len() as u64, commit_latency })
    }

    /// The balances that the transfers leave, from those that the store holds, and how many of them moved coins.
    fn execute(&self, transfers: &[Transfer]) -> anyhow::Result<(BTreeMap<u64, u64>, u64)> {
        let mut touched: BTreeMap<u64, u64> = transfers.iter().flat_map(|t| [(t.from, 0), (t.to, 0)]).collect();
        let keys: Vec<_> = touched.keys().map(|&account| self.chain.account_key(account)).collect();
        let values = self.db.multi_get(&keys)?;
        for ((balance, value), key) in touched.values_mut().zip(values).zip(&keys) {
            *balance = parse_balance(&value.with_context(|| format!("{key} is missing"))?)?;
        }
        let moved = transfers.iter().filter(|transfer| transfer.apply(&mut touched) > 0).count();
        Ok((touched, moved as u64))
    }

    fn random_transfer(&mut self) -> Transfer {
        let from = self.rng.random_range(0..self.chain.accounts);
        // Any other account: the chain has at least two.
        let to = (from + self.rng.random_range(1..self.chain.accounts)) % self.chain.accounts;
        Transfer { from, to, amount: self.rng.random_range(1..=AMOUNT_MAX) }
    }
}

impl Transfer {
    /// Moves the amount, or what the sender has if that is less, and tells how much that was.
    fn apply(self, ledger: &mut impl Ledger) -> u64 {
        let amount = self.amount.min(*ledger.balance(self.from));
        *ledger.balance(self.from) -= amount;
        *ledger.balance(self.to) += amount;
        amount
    }
}

/// Balances that transfers can be applied to.
trait Ledger {
    fn balance(&mut self, account: u64) -> &mut u64;
}

impl Ledger for Balances {
    fn balance(&mut self, account: u64) -> &mut u64 {
        &mut self[account as usize]
    }
}

impl Ledger for BTreeMap<u64, u64> {
    fn balance(&mut self, account: u64) -> &mut u64 {
        self.entry(account).or_default()
    }
}
