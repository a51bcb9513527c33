//! What a rebalancing would do, as a page.

use crate::output::Output;
use crate::units;
use shingle::{Balance, ShardShare, Shortfall, Simulation};
use std::collections::BTreeMap;
use std::time::Duration;

/// Ways from shard to shard that are printed one by one.
const WAYS_SHOWN: usize = 16;

pub(super) fn print(simulation: &Simulation, out: &mut Output) -> anyhow::Result<()> {
    let load = |load: u64| match simulation.by {
        Some(Balance::Bytes) => units::bytes(load),
        Some(Balance::Heat) => format!("{} operations", units::count(load)),
        Some(Balance::Slots) | None => units::counted(load, "slot"),
    };
    let row = |share: &ShardShare| {
        let off = match share.share {
            share if share <= 0.0 => "-".to_owned(),
            of => percent(share.load_after as f64 / of - 1.0),
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
    print_shortfalls(&simulation.shortfalls, out)
}

/// `+2.4 %`; what rounds to nothing has no sign.
fn percent(part: f64) -> String {
    let shown = format!("{:+.1} %", 100.0 * part);
    if ["+0.0 %", "-0.0 %"].contains(&shown.as_str()) { "0.0 %".to_owned() } else { shown }
}

pub(super) fn print_shortfalls(shortfalls: &[Shortfall], out: &mut Output) -> anyhow::Result<()> {
    shortfalls.iter().try_for_each(|shortfall| out.line(format_args!("not evened out: {shortfall}")))
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
        ways.iter().take(WAYS_SHOWN).map(|((from, to), slots)| format!("{from} to {to}: {slots}")).collect();
    let more = ways.len().saturating_sub(WAYS_SHOWN);
    let more = if more == 0 { String::new() } else { format!(", and {more} more ways") };
    out.line(format_args!("slots from shard to shard  {}{more}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn nothing_has_no_sign() {
        let shown = [0.024, -0.024, 0.0, -0.0, 0.0004, -0.0004, -0.0006].map(percent);
        assert_eq!(shown, ["+2.4 %", "-2.4 %", "0.0 %", "0.0 %", "0.0 %", "0.0 %", "-0.1 %"]);
    }
}
