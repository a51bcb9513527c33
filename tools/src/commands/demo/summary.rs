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
    /// The newest block's.
    height: u64,
    blocks: u64,
    /// Transfers that moved coins: executed, and durable with their block's commit.
    transfers: u64,
    /// Keys that the blocks' commits wrote.
    writes: u64,
    elapsed_seconds: f64,
    blocks_per_second: f64,
    transfers_per_second: f64,
    writes_per_second: f64,
    block_commit_p50_ms: f64,
    block_commit_p99_ms: f64,
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
            height: self.head,
            blocks: self.blocks.blocks,
            transfers: self.blocks.transfers,
            writes: self.blocks.writes,
            elapsed_seconds: self.blocks.elapsed.as_secs_f64(),
            blocks_per_second: self.blocks.per_second(self.blocks.blocks),
            transfers_per_second: self.blocks.per_second(self.blocks.transfers),
            writes_per_second: self.blocks.per_second(self.blocks.writes),
            block_commit_p50_ms: latency_ms(0.50),
            block_commit_p99_ms: latency_ms(0.99),
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
        let rate = |count| format!("{} a second", units::count(blocks.per_second(count) as u64));
        let heights = match blocks.blocks {
            0 => "none".to_owned(),
            made => format!(
                "{}, heights {} to {}, in {}",
                units::count(made),
                self.first_height,
                self.first_height + made - 1,
                units::duration(blocks.elapsed)
            ),
        };
        out.properties(&[
            ("blocks", heights),
            ("transfers", format!("{}: {}", units::count(blocks.transfers), rate(blocks.transfers))),
            ("keys written", format!("{}: {}", units::count(blocks.writes), rate(blocks.writes))),
            ("block commit", format!("p50 {}, p99 {}", latency(0.50), latency(0.99))),
        ])?;
        out.line("\nA block is one commit: atomic over all shards, on disk before the next one begins.")?;
        out.line("A transfer moved coins and counts once its block is on disk.")?;
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
        let account = self.chain.account_key(42.min(self.chain.accounts - 1));
        let dir =
            if self.dir.as_os_str() == "./data" { String::new() } else { format!(" --dir {}", self.dir.display()) };
        out.line("\nLook around:")?;
        let old_height = self.first_height.min(self.head);
        for (verb, what) in [
            ("status".to_owned(), "the store as a whole"),
            (format!("get {account}"), "what an account owns now"),
            (format!("get {account} --at-height {old_height}"), "what it owned then"),
            ("scan --prefix account/ --limit 5".to_owned(), "the first accounts"),
            ("verify".to_owned(), "read everything, check every checksum"),
        ] {
            out.line(format_args!("  {:<48} {what}", format!("shingle {verb}{dir}")))?;
        }
        Ok(())
    }
}
