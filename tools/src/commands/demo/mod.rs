//! `shingle demo`: a node of its own, from nothing to a proof, in less than half a minute.

mod chain;
mod node;
mod proof;
mod summary;

use crate::args::DemoArgs;
use crate::interrupt::Interrupt;
use crate::latency::Latencies;
use crate::output::Output;
use crate::{progress, units};
use anyhow::Context;
use chain::Chain;
use indicatif::ProgressBar;
use node::Node;
use proof::Remembered;
use shingle::Database;
use std::time::{Duration, Instant};
use summary::Summary;

pub(crate) fn run(args: &DemoArgs, out: &mut Output) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen()?;
    let db = open(args)?;
    let (chain, continued) = load_or_begin(&db, args.accounts)?;

    let mut node = Node::new(&db, chain, args.transfers)?;
    let first_height = node.head()?.height + 1;
    let blocks = make_blocks(args, &mut node, &interrupt)?;

    let checking = progress::spinner("checking");
    let mut proofs = vec![proof::supply(chain, &node, &db)?, proof::old_height(chain, &blocks.remembered, &db)?];
    proofs.push(proof::reorganisation(chain, &mut node, &db)?);
    let (expected, head) = (std::mem::take(&mut node.expected), node.head()?.height);
    db.flush()?;
    let stats = db.stats();
    db.close()?;
    let db = args.store.open().context("the store does not open again")?;
    proofs.push(proof::reopened(chain, &expected, head, &blocks.remembered, &db)?);
    db.close()?;
    checking.finish_and_clear();

    let dir = args.store.dir.clone();
    Summary { dir, chain, continued, first_height, head, blocks, stats, proofs }.print(out)
}

fn open(args: &DemoArgs) -> anyhow::Result<Database> {
    let mut builder = args.store.builder()?;
    if let Some(shards) = args.shards {
        builder = builder.shards(shards as usize);
    }
    Ok(builder.open()?)
}

/// The chain that is there, or a new one; and whether it was there.
fn load_or_begin(db: &Database, accounts: u64) -> anyhow::Result<(Chain, bool)> {
    if let Some(chain) = Chain::load(db)? {
        return Ok((chain, true));
    }
    let chain = Chain::new(accounts);
    let bar = progress::bar("genesis", chain.accounts);
    chain.write_genesis(db, |accounts| bar.set_position(accounts))?;
    bar.finish_and_clear();
    Ok((chain, false))
}

/// Makes blocks until it is interrupted, so that there is something to look at.
pub(crate) fn run_node(db: &Database, blocks_per_second: u64, interrupt: &Interrupt) -> anyhow::Result<()> {
    const ACCOUNTS: u64 = 10_000;
    const TRANSFERS: u64 = 200;
    let (chain, _) = load_or_begin(db, ACCOUNTS)?;
    let mut node = Node::new(db, chain, TRANSFERS)?;
    let interval = Duration::from_secs(1) / u32::try_from(blocks_per_second).unwrap_or(u32::MAX);
    while !interrupt.asked() {
        let begun = Instant::now();
        node.make_block()?;
        std::thread::sleep(interval.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// What the blocks of this run were.
struct Blocks {
    blocks: u64,
    transfers: u64,
    writes: u64,
    elapsed: Duration,
    commit_latency: Latencies,
    /// The state halfway.
    remembered: Remembered,
    interrupted: bool,
}

fn make_blocks(args: &DemoArgs, node: &mut Node<'_>, interrupt: &Interrupt) -> anyhow::Result<Blocks> {
    let goal = Goal::new(args);
    let bar = goal.bar();
    let begun = Instant::now();
    let mut made = Blocks {
        blocks: 0,
        transfers: 0,
        writes: 0,
        elapsed: Duration::ZERO,
        commit_latency: Latencies::new()?,
        remembered: Remembered { height: node.head()?.height, balances: node.expected.clone() },
        interrupted: false,
    };
    let mut halfway_passed = false;
    loop {
        made.elapsed = begun.elapsed();
        made.interrupted = interrupt.asked();
        let done = goal.done(&made);
        if done >= 1.0 || made.interrupted {
            break;
        }
        if done >= 0.5 && !halfway_passed {
            halfway_passed = true;
            made.remembered = Remembered { height: node.head()?.height, balances: node.expected.clone() };
        }
        let block = node.make_block()?;
        made.blocks += 1;
        made.transfers += block.transfers;
        made.writes += block.writes;
        made.commit_latency.record(block.commit_latency);
        bar.set_position((done * Goal::STEPS) as u64);
        bar.set_message(format!(
            "{}transfers/s, height {}",
            units::rate(made.per_second(made.transfers)),
            block.height
        ));
    }
    bar.finish_and_clear();
    Ok(made)
}

impl Blocks {
    /// From reading the first block's accounts to the last block's durable commit.
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// When to stop.
enum Goal {
    Blocks(u64),
    Time(Duration),
}

impl Goal {
    /// The bar's length: it moves in thousandths.
    const STEPS: f64 = 1000.0;

    fn new(args: &DemoArgs) -> Self {
        args.blocks.map_or(Goal::Time(Duration::from_secs(args.seconds)), Goal::Blocks)
    }

    /// 0.0 at the start, 1.0 at the end.
    fn done(&self, made: &Blocks) -> f64 {
        match self {
            Goal::Blocks(blocks) => made.blocks as f64 / *blocks as f64,
            Goal::Time(time) => made.elapsed.as_secs_f64() / time.as_secs_f64(),
        }
    }

    fn bar(&self) -> ProgressBar {
        progress::bar("blocks", Goal::STEPS as u64)
    }
}
