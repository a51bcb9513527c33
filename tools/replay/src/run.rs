//! Runs one case: its chain on a store of its own, then the store's examination, before and after reopening it.

use crate::block::Block;
use crate::case::{Case, CaseBlock};
use crate::chain::{Chain, Imported};
use crate::execute::ExecuteError;
use crate::fork::Network;
use crate::genesis::genesis_batch;
use crate::header::Header;
use crate::invalid::InvalidBlock;
use crate::mover::Mover;
use crate::report::{BlockId, Counts, Failure};
use crate::state::{ROUTING_KEY_LEN, StateError};
use crate::verify::{Expected, verify};
use shingle::{Database, RoutingKey};
use std::num::NonZero;
use std::path::Path;

/// What became of a case.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    pub(crate) failures: Vec<Failure>,
}

/// Why a case ended early: the failure after which nothing that follows would mean anything.
struct Stop(Box<Failure>);

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        failure("store", "no error", error).into()
    }
}

impl From<shingle::Error> for Stop {
    fn from(error: shingle::Error) -> Self {
        StateError::from(error).into()
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self(Box::new(failure))
    }
}

/// How each case's store is made and used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreOptions {
    pub(crate) shards: usize,
    pub(crate) flush_every: Option<NonZero<usize>>,
    pub(crate) rebalance: bool,
}

/// Runs a case on a new store in `dir`.
pub(crate) fn run_case(case: &Case, options: StoreOptions, dir: &Path) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.counts.cases = 1;
    outcome.counts.blocks = case.blocks.len() as u64;
    if let Err(Stop(failure)) = try_run(case, options, dir, &mut outcome) {
        outcome.failures.push(*failure);
    }
    outcome
}

fn try_run(case: &Case, options: StoreOptions, dir: &Path, outcome: &mut Outcome) -> Result<(), Stop> {
    let db = open(dir, options, true)?;
    let mut mover = options.rebalance.then(|| Mover::new(db.clone()));
    let headers = play(case, db.clone(), mover.as_mut(), outcome)?;
    outcome.counts.slots_moved = mover.map_or(0, |mover| mover.slots);
    let expected = Expected {
        headers: &headers,
        head: case.last_block_hash.0,
        state: case.post_state.as_ref(),
        state_root: case.post_state_hash.as_ref().map(|root| root.0),
    };
    examine(&db, &expected, outcome)?;
    db.close()?;
    let reopened = open(dir, options, false)?;
    examine(&reopened, &expected, outcome)?;
    Ok(reopened.close()?)
}

/// Opens a store that lives for a moment and holds next to nothing. It is flushed when it is opened again, and now and then
/// before if so wished: snapshots and rollbacks cut through memory and files alike then.
fn open(dir: &Path, options: StoreOptions, new: bool) -> shingle::Result<Database> {
    const LOG_SEGMENT_BYTES: u64 = 1 << 20;
    let builder = Database::builder(dir);
    // It may have another number of them since.
    let builder = if new { builder.shards(options.shards) } else { builder };
    builder
        .routing_key(RoutingKey::Prefix(ROUTING_KEY_LEN))
        .with_log_segment_bytes(LOG_SEGMENT_BYTES)
        .with_blocks_per_flush(options.flush_every.map_or(0, |blocks| blocks.get() as u64))
        .with_flush_on_start(true)
        .open()
}

fn examine(db: &Database, expected: &Expected<'_>, outcome: &mut Outcome) -> Result<(), Stop> {
    let findings = verify(db, expected)?;
    outcome.counts.state_roots_verified += findings.state_roots_verified;
    outcome.failures.extend(findings.failures);
    Ok(())
}

/// Plays the blocks onto the store: the headers of the chain that it ends with.
fn play(case: &Case, db: Database, mut mover: Option<&mut Mover>, outcome: &mut Outcome) -> Result<Vec<Header>, Stop> {
    let genesis = case.genesis().map_err(|error| failure("genesis block", "a block", error))?;
    let id = block_id(&genesis);
    let network =
        Network::parse(&case.network).ok_or_else(|| failure("network", "one that is known", &case.network))?;
    let batch = genesis_batch(&case.pre, &genesis);
    let mut chain = Chain::start(db, network, genesis, batch).map_err(|error| stop(error, Some(id)))?;
    let played = case.blocks.iter().try_for_each(|block| {
        mover.as_mut().map_or(Ok(()), |mover| mover.go_on())?;
        import(&mut chain, block, outcome)
    });
    let tally = chain.tally();
    outcome.counts.blocks_executed = tally.blocks_executed;
    outcome.counts.reorganisations = tally.reorganisations;
    outcome.counts.state_roots_verified = tally.state_roots_verified;
    played.map(|()| chain.headers())
}

fn import(chain: &mut Chain, block: &CaseBlock, outcome: &mut Outcome) -> Result<(), Stop> {
    let id = || Block::decode(&block.rlp.0).ok().as_ref().map(block_id);
    match (chain.import(&block.rlp.0), block.is_invalid()) {
        // One that is put aside is not executed, so what is wrong with it shows if its branch becomes the heaviest.
        (Ok(_), false) | (Ok(Imported::Aside), true) => Ok(()),
        (Err(ExecuteError::Invalid(_)), true) => {
            outcome.counts.blocks_refused += 1;
            chain.verify_head().map_err(|error| stop(error, id()))
        }
        (Ok(imported), true) => {
            Err(Failure { block: id(), ..failure("import", "a refusal", format!("{imported:?}")) }.into())
        }
        (Err(error), _) => Err(stop(error, id())),
    }
}

fn stop(error: ExecuteError, block: Option<BlockId>) -> Stop {
    let failure = match error {
        ExecuteError::State(error) => return error.into(),
        ExecuteError::Invalid(InvalidBlock::Field { field, header, computed }) => failure(field, header, computed),
        ExecuteError::Invalid(error) => failure("import", "a valid block", error),
    };
    Failure { block, ..failure }.into()
}

fn block_id(block: &Block) -> BlockId {
    BlockId { number: block.header.number, hash: block.hash }
}

fn failure(check: &str, expected: impl ToString, got: impl ToString) -> Failure {
    Failure { case: None, block: None, check: check.to_owned(), expected: expected.to_string(), got: got.to_string() }
}
