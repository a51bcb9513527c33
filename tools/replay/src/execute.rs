//! Executes one block on a snapshot of the state before it.

use crate::adapter::SnapshotState;
use crate::block::{Block, GWEI};
use crate::changes::state_batch;
use crate::fork::{self, CHAIN_ID, Fork};
use crate::header::Header;
use crate::invalid::{InvalidBlock, TransactionError, check_field};
use crate::receipt::{Receipt, block_bloom, receipts_root};
use crate::state::{self, StateError};
use alloy_primitives::{Address, U256};
use revm::context::result::EVMError;
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::database::states::bundle_state::BundleRetention;
use revm::database::{DatabaseCommitExt, State};
use revm::database_interface::WrapDatabaseRef;
use revm::database_interface::bal::EvmDatabaseError;
use revm::primitives::eip4844::{BLOB_BASE_FEE_UPDATE_FRACTION_CANCUN, MAX_BLOB_NUMBER_PER_BLOCK_CANCUN};
use revm::{Context, ExecuteCommitEvm, MainBuilder, MainContext, SystemCallCommitEvm};
use shingle::{Batch, Snapshot};
use std::collections::BTreeMap;

/// The contract that keeps the beacon blocks' roots (EIP-4788).
const BEACON_ROOTS: Address = alloy_primitives::address!("0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02");

/// Why a block was not executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The block is at fault.
    #[error(transparent)]
    Invalid(#[from] InvalidBlock),
    /// The store is at fault.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<EvmDatabaseError<StateError>> for ExecuteError {
    fn from(error: EvmDatabaseError<StateError>) -> Self {
        match error {
            EvmDatabaseError::Database(error) => Self::State(error),
            EvmDatabaseError::Bal(error) => Self::Invalid(InvalidBlock::SystemCall(format!("{error:?}"))),
        }
    }
}

type BlockState = State<WrapDatabaseRef<SnapshotState>>;

/// Executes a block on the state of its parent: what is to be committed for it.
///
/// Gas, receipts and logs are compared with the header. The state root is not: it is computed over the store once the
/// batch is in.
pub fn execute(parent: Snapshot, block: &Block, fork: Fork) -> Result<Batch, ExecuteError> {
    let mut state = State::builder().with_database_ref(SnapshotState::new(parent.clone())).with_bundle_update().build();
    let receipts = run(&mut state, block, fork)?;
    compare(&block.header, &receipts, fork)?;
    state.increment_balances(block_payments(block, fork))?;
    state.merge_transitions(BundleRetention::PlainState);
    let mut batch = state_batch(&parent, &state.take_bundle())?;
    batch.put(state::block_hash_key(block.header.number), block.hash);
    Ok(batch)
}

/// The call that opens a block, then its transactions.
fn run(state: &mut BlockState, block: &Block, fork: Fork) -> Result<Vec<Receipt>, ExecuteError> {
    let mut evm = Context::mainnet()
        .with_db(state)
        .with_cfg(rules(fork))
        .with_block(environment(&block.header, fork))
        .build_mainnet();
    if let Some(root) = block.header.parent_beacon_block_root {
        evm.system_call_commit(BEACON_ROOTS, root.0.into())
            .map_err(|error| evm_error(error, InvalidBlock::SystemCall))?;
    }
    let mut receipts = Vec::with_capacity(block.transactions.0.len());
    let mut gas_used = 0;
    for (index, transaction) in block.transactions.0.iter().enumerate() {
        let reject = |error| InvalidBlock::Transaction { index, error };
        let left = block.header.gas_limit.saturating_sub(gas_used);
        let limit = transaction.env.gas_limit;
        if limit > left {
            return Err(reject(TransactionError::BlockGas { limit, left }).into());
        }
        let caller = transaction.sender(fork).map_err(reject)?;
        let result = evm
            .transact_commit(TxEnv { caller, ..transaction.env.clone() })
            .map_err(|error| evm_error(error, |reason| reject(TransactionError::Evm(reason))))?;
        gas_used += result.tx_gas_used();
        receipts.push(Receipt::new(transaction.kind(), result.is_success(), gas_used, result.into_logs()));
    }
    check_field("gas used", block.header.gas_used, gas_used)?;
    Ok(receipts)
}

fn evm_error(
    error: EVMError<EvmDatabaseError<StateError>>,
    invalid: impl FnOnce(String) -> InvalidBlock,
) -> ExecuteError {
    match error {
        EVMError::Database(error) => error.into(),
        EVMError::Transaction(error) => invalid(error.to_string()).into(),
        EVMError::Header(error) => invalid(error.to_string()).into(),
        EVMError::Custom(error) => invalid(error).into(),
        EVMError::CustomAny(error) => invalid(error.to_string()).into(),
    }
}

fn rules(fork: Fork) -> CfgEnv {
    let mut rules = CfgEnv::new_with_spec(fork.spec);
    rules.chain_id = CHAIN_ID;
    rules.max_blobs_per_tx = Some(MAX_BLOB_NUMBER_PER_BLOCK_CANCUN);
    rules
}

fn environment(header: &Header, fork: Fork) -> BlockEnv {
    BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or(0),
        difficulty: header.difficulty,
        prevrandao: fork.is_merged().then_some(header.mix_hash),
        blob_excess_gas_and_price: header
            .excess_blob_gas
            .map(|excess| BlobExcessGasAndPrice::new(excess, BLOB_BASE_FEE_UPDATE_FRACTION_CANCUN)),
        slot_num: 0,
    }
}

fn compare(header: &Header, receipts: &[Receipt], fork: Fork) -> Result<(), InvalidBlock> {
    check_field("logs bloom", header.logs_bloom, block_bloom(receipts))?;
    if fork.has_receipt_status() {
        check_field("receipts root", header.receipts_root, receipts_root(receipts))?;
    }
    Ok(())
}

/// What the protocol itself pays at the end of a block, in wei: the miners' rewards, then the withdrawals.
fn block_payments(block: &Block, fork: Fork) -> BTreeMap<Address, u128> {
    let mut payments = BTreeMap::new();
    let mut pay = |address, wei: u128| {
        if wei > 0 {
            *payments.entry(address).or_insert(0) += wei;
        }
    };
    pay(block.header.beneficiary, fork::miner_reward(fork, block.ommers.len()));
    for ommer in &block.ommers {
        pay(ommer.beneficiary, fork::ommer_reward(fork, block.header.number, ommer.number));
    }
    for withdrawal in block.withdrawals.iter().flatten() {
        pay(withdrawal.address, u128::from(withdrawal.amount) * u128::from(GWEI));
    }
    payments
}
