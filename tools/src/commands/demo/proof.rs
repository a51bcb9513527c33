//! What the demo proves about the store: each check compares every account with what the demo kept beside it.

use super::chain::{Balances, Chain};
use super::node::Node;
use crate::units;
use anyhow::{Context, ensure};
use serde::Serialize;
use shingle::{At, Database, Snapshot};

/// Blocks that the reorganisation takes back.
const REORGANISED_BLOCKS: u64 = 3;

/// A check that held.
#[derive(Debug, Serialize)]
pub(super) struct Proof {
    what: &'static str,
    detail: String,
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ok  {:<18} {}", self.what, self.detail)
    }
}

/// The state at some height, as the demo recorded it when that block was the newest.
#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) height: u64,
    pub(super) balances: Balances,
}

/// No coin was made or lost, and every balance is what the transfers add up to.
pub(super) fn supply(chain: Chain, node: &Node<'_>, db: &Database) -> anyhow::Result<Proof> {
    check(chain, &db.snapshot(), &node.expected)?;
    let (accounts, supply) = (units::count(chain.accounts), units::count(chain.supply));
    Ok(Proof {
        what: "total supply",
        detail: format!("{supply} coins over {accounts} accounts, unchanged; every balance is as computed"),
    })
}

/// An old height still reads as it did then.
pub(super) fn old_height(chain: Chain, remembered: &Remembered, db: &Database) -> anyhow::Result<Proof> {
    let Remembered { height, balances } = remembered;
    check(chain, &db.snapshot_at(At::Height(*height))?, balances).with_context(|| format!("at height {height}"))?;
    Ok(Proof { what: "old height", detail: format!("every balance at height {height} is what it was then") })
}

/// Blocks are taken back and others take their place.
pub(super) fn reorganisation(chain: Chain, node: &mut Node<'_>, db: &Database) -> anyhow::Result<Proof> {
    let fork = Remembered { height: node.head()?.height, balances: node.expected.clone() };
    for _ in 0..REORGANISED_BLOCKS {
        node.make_block()?;
    }
    db.rollback_to(fork.height)?;
    check(chain, &db.snapshot(), &fork.balances).context("after the rollback")?;
    node.expected = fork.balances;
    for _ in 0..REORGANISED_BLOCKS {
        node.make_block()?;
    }
    check(chain, &db.snapshot(), &node.expected).context("on the other branch")?;
    let detail = format!(
        "{REORGANISED_BLOCKS} blocks rolled back to height {}, every balance restored, another branch taken",
        fork.height
    );
    Ok(Proof { what: "reorganisation", detail })
}

/// After closing and opening again, the newest state and an old one are what they were.
pub(super) fn reopened(
    chain: Chain,
    expected: &Balances,
    head: u64,
    remembered: &Remembered,
    db: &Database,
) -> anyhow::Result<Proof> {
    let found = db.head().map(|block| block.height);
    ensure!(found == Some(head), "the head is {found:?} instead of {head}");
    check(chain, &db.snapshot(), expected)?;
    old_height(chain, remembered, db)?;
    Ok(Proof {
        what: "closed, reopened",
        detail: format!(
            "the newest block is {head}, and the balances are the same, there and at height {}",
            remembered.height
        ),
    })
}

fn check(chain: Chain, snapshot: &Snapshot, expected: &Balances) -> anyhow::Result<()> {
    let found = chain.balances(snapshot)?;
    let supply: u64 = found.iter().sum();
    ensure!(supply == chain.supply, "the supply is {supply} coins instead of {}", chain.supply);
    if let Some(account) = found.iter().zip(expected).position(|(found, expected)| found != expected) {
        let (key, found, expected) = (chain.account_key(account as u64), found[account], expected[account]);
        anyhow::bail!("{key} has {found} coins instead of {expected}");
    }
    Ok(())
}
