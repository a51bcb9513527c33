//! Why a block is refused.

use alloy_primitives::B256;

/// A block that breaks the rules. The store is as it was before the block came.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBlock {
    /// It is not the RLP of a block.
    #[error("the block does not decode: {0}")]
    Rlp(#[from] alloy_rlp::Error),
    /// It builds on a block that was never seen, or was refused.
    #[error("its parent {0} is not known")]
    UnknownParent(B256),
    /// A header's field does not say what the block, or its parent, makes of it.
    #[error("{field}: the header says {header}, it has to be {computed}")]
    Field {
        /// The header's field.
        field: &'static str,
        /// What it says.
        header: String,
        /// What it has to say.
        computed: String,
    },
    /// A bound that a header breaks.
    #[error("the header breaks a rule: {0}")]
    Rule(&'static str),
    /// An uncle that cannot be one.
    #[error("uncle {index}: {reason}")]
    Ommer {
        /// Counted from 0.
        index: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A transaction that cannot be in this block.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// Counted from 0.
        index: usize,
        /// What is wrong with it.
        error: TransactionError,
    },
    /// The call that the protocol makes before the transactions failed.
    #[error("the system call failed: {0}")]
    SystemCall(String),
}

/// Why a transaction cannot be executed. (One that runs and reverts is valid.)
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// No key could have signed it, or not in this form.
    #[error("the signature is not valid")]
    Signature,
    /// It asks for more gas than the block has left.
    #[error("it may use {limit} gas, and the block has {left} left")]
    BlockGas {
        /// The transaction's limit.
        limit: u64,
        /// What the transactions before it left over.
        left: u64,
    },
    /// revm refuses it.
    #[error("{0}")]
    Evm(String),
}

/// Compares a header's field with what it has to be.
pub(crate) fn check_field<T>(field: &'static str, header: T, computed: T) -> Result<(), InvalidBlock>
where
    T: PartialEq + std::fmt::Debug,
{
    if header == computed {
        return Ok(());
    }
    Err(InvalidBlock::Field { field, header: format!("{header:?}"), computed: format!("{computed:?}") })
}
