//! Looks at a store from outside, once its chain is complete: every height has to be what the chain's headers say.

use crate::case::Accounts;
use crate::header::Header;
use crate::report::{BlockId, Failure};
use crate::root::state_root;
use crate::state::{self, Account, StateError, StateRow};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use shingle::{At, Database, Snapshot};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// What a store has to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    /// The chain, from the genesis block to the head.
    pub(crate) headers: &'a [Header],
    /// The head's hash.
    pub(crate) head: B256,
    /// The state at the head, if it is known in full.
    pub(crate) state: Option<&'a Accounts>,
    /// The root of the state at the head, if it is known apart from the header.
    pub(crate) state_root: Option<B256>,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// State roots that were right.
    pub(crate) state_roots_verified: u64,
    /// All else.
    pub(crate) failures: Vec<Failure>,
}

impl Findings {
    /// Notes a failure if the two differ; tells whether they are the same.
    fn check<T: PartialEq + Debug>(&mut self, block: BlockId, check: &str, expected: T, got: T) -> bool {
        let same = expected == got;
        if !same {
            self.fail(block, check, format!("{expected:?}"), format!("{got:?}"));
        }
        same
    }

    fn fail(&mut self, block: BlockId, check: &str, expected: String, got: String) {
        self.failures.push(Failure { case: None, block: Some(block), check: check.to_owned(), expected, got });
    }
}

/// Opens every height as a snapshot and compares it with the chain; compares the newest with the expected end.
pub(crate) fn verify(db: &Database, expected: &Expected<'_>) -> Result<Findings, StateError> {
    let mut findings = Findings::default();
    for header in expected.headers {
        verify_height(db, header, &mut findings)?;
    }
    if let Some(head) = expected.headers.last() {
        verify_head(db, head, expected, &mut findings)?;
    }
    Ok(findings)
}

fn verify_height(db: &Database, header: &Header, findings: &mut Findings) -> Result<(), StateError> {
    let (height, timestamp_ms) = (header.number, header.timestamp.saturating_mul(1_000));
    let block = BlockId { number: height, hash: header.hash() };
    let snapshot = db.snapshot_at(At::Height(height))?;
    if findings.check(block, "state root of the height's snapshot", header.state_root, state_root(&snapshot)?) {
        findings.state_roots_verified += 1;
    }
    findings.check(block, "block hash", Some(block.hash), state::block_hash(&snapshot, height)?);
    let sealed = db.block(height).map(|sealed| (sealed.timestamp_ms, sealed.version));
    findings.check(block, "sealed time and version", Some((timestamp_ms, snapshot.version())), sealed);
    let at_time = db.snapshot_at(At::Time(timestamp_ms))?.version();
    findings.check(block, "version at the block's time", snapshot.version(), at_time);
    Ok(())
}

fn verify_head(
    db: &Database,
    header: &Header,
    expected: &Expected<'_>,
    findings: &mut Findings,
) -> Result<(), StateError> {
    let block = BlockId { number: header.number, hash: header.hash() };
    findings.check(block, "head", expected.head, block.hash);
    findings.check(block, "height of the store", Some(block.number), db.head().map(|sealed| sealed.height));
    let numbers = expected.headers.iter().map(|header| header.number).collect::<Vec<_>>();
    let heights = db.blocks(..).iter().map(|sealed| sealed.height).collect::<Vec<_>>();
    findings.check(block, "heights of the store", numbers, heights);
    if db.snapshot_at(At::Height(block.number + 1)).is_ok() {
        findings.fail(block, "snapshot above the head", "an error".to_owned(), "a snapshot".to_owned());
    }
    if let Some(root) = expected.state_root {
        findings.check(block, "state root of the case's end", root, header.state_root);
    }
    if let Some(accounts) = expected.state {
        verify_state(&db.snapshot(), accounts, block, findings)?;
    }
    Ok(())
}

type Content = BTreeMap<Address, (Account, BTreeMap<U256, U256>)>;

/// Compares the whole state, row by row, and reads every account's code.
fn verify_state(
    snapshot: &Snapshot,
    accounts: &Accounts,
    block: BlockId,
    findings: &mut Findings,
) -> Result<(), StateError> {
    let mut expected = accounts
        .iter()
        .map(|(address, account)| (address.0, (account.account(), account.storage().collect())))
        .collect::<Content>();
    for (address, content) in read(snapshot)? {
        let code_hash = content.0.code_hash;
        let check = format!("account {address}");
        findings.check(block, &check, expected.remove(&address), Some(content));
        let code = state::code(snapshot, code_hash)?.map(alloy_primitives::keccak256);
        if code_hash != KECCAK256_EMPTY {
            findings.check(block, &format!("code of account {address}"), Some(code_hash), code);
        }
    }
    for (address, content) in expected {
        findings.check(block, &format!("account {address}"), Some(content), None);
    }
    Ok(())
}

fn read(snapshot: &Snapshot) -> Result<Content, StateError> {
    let mut content = Content::new();
    for row in state::rows(snapshot) {
        match row? {
            StateRow::Account(address, account) => {
                content.entry(address).or_default().0 = account;
            }
            StateRow::Slot(address, slot, value) => {
                content.entry(address).or_default().1.insert(slot, value);
            }
        }
    }
    Ok(content)
}
