//! The demo's chain: accounts with balances, and transfers between them. The state is text, so that `shingle get` shows it.
//!
//! ```text
//! demo/chain       {"accounts":100000,"supply":100000000}
//! account/000042   1000
//! ```

use anyhow::{Context, anyhow, ensure};
use serde::{Deserialize, Serialize};
use shingle::{Batch, Block, Database, Snapshot};
use std::time::{SystemTime, UNIX_EPOCH};

const CHAIN_KEY: &str = "demo/chain";
const ACCOUNT_PREFIX: &str = "account/";

/// What every account owns in the genesis block.
const GENESIS_BALANCE: u64 = 1000;

/// Accounts written by one commit of the genesis, so that its batches stay small however many accounts there are.
const GENESIS_BATCH: u64 = 100_000;

/// What is fixed for the life of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chain {
    pub(super) accounts: u64,
    pub(super) supply: u64,
}

/// The balance of every account, as the demo itself keeps it: what the store is checked against.
pub(super) type Balances = Vec<u64>;

impl Chain {
    pub(super) fn new(accounts: u64) -> Self {
        Chain { accounts, supply: accounts * GENESIS_BALANCE }
    }

    /// The chain that the store holds; `None` if it is empty or holds an unfinished genesis.
    pub(super) fn load(db: &Database) -> anyhow::Result<Option<Chain>> {
        if let Some(chain) = db.get(CHAIN_KEY)? {
            return serde_json::from_slice(&chain)
                .map(Some)
                .with_context(|| format!("{CHAIN_KEY} is not what the demo writes"));
        }
        match db.range::<&[u8]>(..).next().transpose()? {
            Some((key, _)) if !key.starts_with(ACCOUNT_PREFIX.as_bytes()) => {
                let what = "the store holds something else than the demo's chain: give the demo a directory of its own with --dir";
                Err(anyhow!(what))
            }
            _ => Ok(None),
        }
    }

    /// Writes the accounts and seals them as block 0. The chain's own record comes last: without it, the genesis is written again.
    pub(super) fn write_genesis(self, db: &Database, mut progress: impl FnMut(u64)) -> anyhow::Result<()> {
        for first in (0..self.accounts).step_by(GENESIS_BATCH as usize) {
            let end = self.accounts.min(first + GENESIS_BATCH);
            let mut batch = Batch::new();
            (first..end).for_each(|account| {
                batch.put(self.account_key(account), GENESIS_BALANCE.to_string());
            });
            db.commit(batch)?;
            progress(end);
        }
        let mut batch = Batch::new();
        batch.put(CHAIN_KEY, serde_json::to_vec(&self)?);
        db.commit_block(Block { height: 0, timestamp_ms: now_ms() }, batch)?;
        Ok(())
    }

    /// Numbers have a fixed width, so that keys are in the order of their numbers.
    pub(super) fn account_key(self, account: u64) -> String {
        let width = self.accounts.saturating_sub(1).to_string().len().max(6);
        format!("{ACCOUNT_PREFIX}{account:0width$}")
    }

    /// Every balance at a snapshot, by one ordered scan over all shards.
    pub(super) fn balances(self, snapshot: &Snapshot) -> anyhow::Result<Balances> {
        let mut balances = Balances::with_capacity(self.accounts as usize);
        for entry in snapshot.prefix(ACCOUNT_PREFIX) {
            let (key, value) = entry?;
            let account = balances.len() as u64;
            let expected = self.account_key(account);
            ensure!(
                key == expected.as_bytes(),
                "the scan gave {} instead of {expected}",
                String::from_utf8_lossy(&key)
            );
            balances.push(parse_balance(&value)?);
        }
        ensure!(balances.len() as u64 == self.accounts, "{} accounts instead of {}", balances.len(), self.accounts);
        Ok(balances)
    }
}

pub(super) fn parse_balance(value: &[u8]) -> anyhow::Result<u64> {
    let text = std::str::from_utf8(value).context("a balance is not text")?;
    text.parse().with_context(|| format!("{text:?} is not a balance"))
}

/// The time, for a block's timestamp.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
