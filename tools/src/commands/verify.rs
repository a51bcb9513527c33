//! `shingle verify`.

use crate::args::VerifyArgs;
use crate::failure::Negative;
use crate::output::Output;
use crate::{progress, units};
use serde::Serialize;
use serde_json::json;
use shingle::{Error, ErrorKind, ShardVerified, VerifyReport};

/// What to do about damage.
const WAY_OUT: &str = "`shingle repair` says what brings it back";

#[derive(Serialize)]
struct Verified<'a> {
    sound: bool,
    /// Damage that keeps the store from being opened; each shard's own is told with the shard.
    damage: Option<String>,
    shards: &'a [ShardVerified],
}

pub(crate) fn run(args: &VerifyArgs, out: &mut Output) -> anyhow::Result<()> {
    if let Some(node) = args.node.node()? {
        return report(&node.act("verify", &json!({}), &args.token)?, out);
    }
    let db = match args.store.open() {
        Err(error) if is_damage(&error) => {
            if out.json {
                out.document(&Verified { sound: false, damage: Some(error.to_string()), shards: &[] })?;
            } else {
                out.line(format_args!("DAMAGED: the store cannot be opened; {WAY_OUT}"))?;
            }
            return Err(error);
        }
        opened => opened?,
    };
    let bar = progress::bar("verifying", 0);
    let verified = db.verify(&|progress| {
        bar.set_length(progress.rows_estimate.max(progress.rows));
        bar.set_position(progress.rows);
        bar.set_message(format!("{} rows", units::count(progress.rows)));
    })?;
    bar.finish_and_clear();
    report(&verified, out)
}

fn report(report: &VerifyReport, out: &mut Output) -> anyhow::Result<()> {
    if out.json {
        out.document(&Verified { sound: report.is_sound(), damage: None, shards: &report.shards })?;
    } else {
        print_page(report, out)?;
    }
    if report.is_sound() { Ok(()) } else { Err(Negative.into()) }
}

fn is_damage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Error>().is_some_and(|error| error.kind() == ErrorKind::Damaged)
}

fn print_page(report: &VerifyReport, out: &mut Output) -> anyhow::Result<()> {
    let rows = report.shards.iter().map(|shard| {
        // Of what is damaged, nothing is counted.
        let counted = |shown: String| if shard.damage.is_none() { shown } else { "-".to_owned() };
        vec![
            shard.number.to_string(),
            counted(units::count(shard.rows)),
            counted(units::count(shard.changes)),
            counted(units::bytes(shard.bytes)),
            if shard.damage.is_none() { "sound" } else { "damaged" }.to_owned(),
        ]
    });
    out.table(&["shard", "rows", "changes", "keys and values", "verdict"], rows)?;
    out.line("")?;
    let damaged = report.shards.iter().filter_map(|shard| Some((shard.number, shard.damage.as_ref()?)));
    for (number, damage) in damaged.clone() {
        out.line(format_args!("shard {number}: {damage}"))?;
    }
    match damaged.count() {
        0 => out.line("sound: everything was read, and every checksum, key and index entry is right"),
        damaged => {
            let (damaged, all) = (units::counted(damaged as u64, "shard"), report.shards.len());
            out.line(format_args!("DAMAGED: {damaged} of {all}; nothing was repaired: {WAY_OUT}"))
        }
    }
}
