//! `shingle verify`.

use crate::args::VerifyArgs;
use crate::failure::Negative;
use crate::output::Output;
use crate::{progress, units};

pub(crate) fn run(args: &VerifyArgs, out: &mut Output) -> anyhow::Result<()> {
    let db = args.store.open()?;
    let bar = progress::bar("verifying", 0);
    let report = db.verify(&|progress| {
        bar.set_length(progress.rows_estimate.max(progress.rows));
        bar.set_position(progress.rows);
        bar.set_message(format!("{} rows", units::count(progress.rows)));
    })?;
    bar.finish_and_clear();
    if out.json {
        out.document(&report)?;
    } else {
        let rows = report.shards.iter().map(|shard| {
            vec![
                shard.number.to_string(),
                units::count(shard.rows),
                units::count(shard.changes),
                units::bytes(shard.bytes),
                shard.damage.clone().unwrap_or_else(|| "sound".to_owned()),
            ]
        });
        out.table(&["shard", "rows", "changes", "keys and values", "verdict"], rows)?;
    }
    if report.is_sound() { Ok(()) } else { Err(Negative.into()) }
}
