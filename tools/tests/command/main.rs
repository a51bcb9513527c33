//! The command as a user meets it: what it prints, where, and how it ends.

mod bench;
#[cfg(feature = "peers")]
mod bench_peers;
mod bench_workloads;
mod browser;
mod checkpoint;
mod demo;
mod documents;
mod http;
mod node;
mod observability;
mod page;
mod prune;
mod reading_and_writing;
mod rebalance;
mod rebalance_node;
mod refusals;
mod serving;
mod support;
