//! The command as a user meets it: what it prints, where, and how it ends.

mod bench;
#[cfg(feature = "peers")]
mod bench_peers;
mod bench_workloads;
mod checkpoint;
mod demo;
mod prune;
mod reading_and_writing;
mod rebalance;
mod refusals;
mod support;
