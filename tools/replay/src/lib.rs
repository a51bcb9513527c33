//! Executes Ethereum's consensus test chains on a Shingle store with revm.
