//! `shingle rebalance` and `shingle reshard`.

use super::shards::statistics;
use crate::args::{MovingArgs, RebalanceArgs, ReshardArgs, WantedArgs};
use crate::failure::Usage;
use crate::output::Output;
use crate::units;
use shingle::{Balance, Database, RebalanceRequest, ReshardRequest, ShardShare, Simulation};
use std::collections::BTreeMap;
use std::time::Duration;

/// Moves that are printed one by one.
const MOVES_SHOWN: usize = 16;

pub(crate) fn run(args: &RebalanceArgs, out: &mut Output) -> anyhow::Result<()> {
    let request = args.wanted.request(&args.moving)?;
    let db = args.store.open()?;
    if args.wanted.measure {
        statistics(&db, true)?;
    }
    let simulation = db.plan_rebalance(&request)?;
    carry_out(db, &simulation, &args.moving, out)
}

pub(crate) fn reshard(args: &ReshardArgs, out: &mut Output) -> anyhow::Result<()> {
    let db = args.store.open()?;
    let request = ReshardRequest {
        from: args.from as usize,
        to: args.to as usize,
        slots: args.slots.clone(),
        rate_bytes_per_sec: args.moving.rate,
    };
    let simulation = db.plan_reshard(&request)?;
    carry_out(db, &simulation, &args.moving, out)
}

fn carry_out(db: Database, simulation: &Simulation, moving: &MovingArgs, out: &mut Output) -> anyhow::Result<()> {
    if !moving.simulate {
        return Err(Usage("slots are not moved yet: ask with --simulate".to_owned()).into());
    }
    db.close()?;
    if out.json { out.document(simulation) } else { print_simulation(simulation, out) }
}

impl WantedArgs {
    fn request(&self, moving: &MovingArgs) -> anyhow::Result<RebalanceRequest> {
        let mut weights = BTreeMap::new();
        for &(shard, weight) in &self.weights {
            if weights.insert(shard, weight).is_some() {
                return Err(Usage(format!("--weight is given twice for shard {shard}")).into());
            }
        }
        Ok(RebalanceRequest {
            to_shards: self.to_shards.map(|shards| shards as usize),
            by: self.by.into(),
            threshold_percent: self.threshold,
            weights,
            shard_dirs: self.shard_dirs.clone(),
            rate_bytes_per_sec: moving.rate,
        })
    }
}

fn print_simulation(simulation: &Simulation, out: &mut Output) -> anyhow::Result<()> {
    let load = |load: u64| match simulation.by {
        Some(Balance::Bytes) => units::bytes(load),
        Some(Balance::Heat) => format!("{} operations", units::count(load)),
        Some(Balance::Slots) | None => units::counted(load, "slot"),
    };
    let row = |share: &ShardShare| {
        let off = match share.share {
            share if share <= 0.0 => "-".to_owned(),
            of => format!("{:+.1} %", 100.0 * (share.load_after as f64 / of - 1.0)),
        };
        vec![
            share.shard.to_string(),
            units::count(share.slots_before),
            units::count(share.slots_after),
            load(share.load_before),
            load(share.load_after),
            off,
        ]
    };
    out.table(
        &["shard", "slots now", "slots then", "carries now", "carries then", "off its share"],
        simulation.shards.iter().map(row),
    )?;
    out.line("")?;
    if simulation.is_empty() {
        out.line("nothing to move: every shard is as close to its share as was asked for")?;
    } else {
        print_moves(simulation, out)?;
    }
    simulation.shortfalls.iter().try_for_each(|shortfall| out.line(format_args!("not evened out: {shortfall}")))
}

fn print_moves(simulation: &Simulation, out: &mut Output) -> anyhow::Result<()> {
    let mut ways: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for step in &simulation.plan.moves {
        *ways.entry((step.from, step.to)).or_default() += 1;
    }
    let time = match simulation.seconds {
        Some(seconds) => format!("{} at that rate", units::duration(Duration::from_secs_f64(seconds))),
        None => "as long as the disks take: no --rate was given".to_owned(),
    };
    let (before, after) = (simulation.shards_before, simulation.plan.shards_after);
    let shards = if before == after { before.to_string() } else { format!("{after} (before: {before})") };
    out.properties(&[
        ("slots to move", units::count(simulation.plan.moves.len() as u64)),
        ("bytes to copy, estimated", units::bytes(simulation.bytes)),
        ("time", time),
        ("shards", shards),
    ])?;
    let ways: Vec<_> = ways.into_iter().collect();
    let shown: Vec<_> =
        ways.iter().take(MOVES_SHOWN).map(|((from, to), slots)| format!("{from} to {to}: {slots}")).collect();
    let more = ways.len().saturating_sub(MOVES_SHOWN);
    let more = if more == 0 { String::new() } else { format!(", and {more} more ways") };
    out.line(format_args!("slots from shard to shard  {}{more}", shown.join(", ")))
}
