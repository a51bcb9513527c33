//! What the demo says at the end.

use super::Blocks;
use super::chain::Chain;
use super::proof::Proof;
use crate::output::Output;
use crate::units;
use serde::Serialize;
use shingle::Stats;
use std::path::PathBuf;

pub(super) struct Summary {
    pub(super) dir: PathBuf,
    pub(super) chain: Chain,
    pub(super) continued: bool,
    pub(super) first_height: u64,
    pub(super) head: u64,
    pub(super) blocks: Blocks,
    pub(super) stats: Stats,
    pub(super) proofs: Vec<Proof>,
}

#[derive(Serialize)]
struct Document<'a> {
    dir: &'a PathBuf,
    accounts: u64,
    supply: u64,
    head: u64,
    blocks: u64,
    transactions: u64,
    elapsed_seconds: f64,
    tps: f64,
    commit_latency_ms_p50: f64,
    commit_latency_ms_p99: f64,
    interrupted: bool,
    proofs: &'a [Proof],
    stats: &'a Stats,
}

impl Summary {
    pub(super) fn print(&self, out: &mut Output) -> anyhow::Result<()> {
        if out.json { self.print_document(out) } else { self.print_page(out) }
    }

    fn print_document(&self, out: &mut Output) -> anyhow::Result<()> {
        let latency_ms = |quantile| self.blocks.commit_latency.quantile(quantile).as_secs_f64() * 1e3;
        out.document(&Document {
            dir: &self.dir,
            accounts: self.chain.accounts,
            supply: self.chain.supply,
            head: self.head,
            blocks: self.blocks.blocks,
            transactions: self.blocks.transfers,
            elapsed_seconds: self.blocks.elapsed.as_secs_f64(),
            tps: self.blocks.tps(),
            commit_latency_ms_p50: latency_ms(0.50),
            commit_latency_ms_p99: latency_ms(0.99),
            interrupted: self.blocks.interrupted,
            proofs: &self.proofs,
            stats: &self.stats,
        })
    }

    fn print_page(&self, out: &mut Output) -> anyhow::Result<()> {
        let blocks = &self.blocks;
        let latency = |quantile| units::duration(blocks.commit_latency.quantile(quantile));
        let origin = if self.continued { "going on with the chain that was there" } else { "a new chain" };
        let accounts = units::count(self.chain.accounts);
        out.line(format_args!(
            "A node on {} with {} shards: {accounts} accounts, {origin}.\n",
            self.dir.display(),
            self.stats.shards.len()
        ))?;
        out.properties(&[
            ("blocks", format!("{}, from height {}", units::count(blocks.blocks), units::count(self.first_height))),
            ("transactions", format!("{} in {}", units::count(blocks.transfers), units::duration(blocks.elapsed))),
            ("TPS", units::count(blocks.tps() as u64)),
            (
                "block commit",
                format!("p50 {}, p99 {}; on disk and atomic over all shards", latency(0.50), latency(0.99)),
            ),
        ])?;
        out.line("")?;
        let rows = self.stats.shards.iter().map(|shard| {
            vec![
                shard.number.to_string(),
                units::count(shard.rows_estimate),
                units::bytes(shard.file_bytes),
                units::bytes(shard.memory_bytes),
            ]
        });
        out.table(&["shard", "rows, estimated", "on disk", "in memory"], rows)?;
        out.line("\nProved:")?;
        for proof in &self.proofs {
            out.line(proof)?;
        }
        let dir =
            if self.dir.as_os_str() == "./data" { String::new() } else { format!(" --dir {}", self.dir.display()) };
        let account = self.chain.account_key(42.min(self.chain.accounts - 1));
        out.line("\nLook around:")?;
        out.line(format_args!("  shingle status{dir}"))?;
        out.line(format_args!("  shingle get {account}{dir}"))?;
        out.line(format_args!("  shingle get {account} --at-height {}{dir}", self.first_height))
    }
}
