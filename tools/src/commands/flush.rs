//! `shingle flush`.

use crate::args::FlushArgs;
use crate::output::Output;
use crate::units;
use serde_json::json;
use shingle::Flushed;

pub(crate) fn run(args: &FlushArgs, out: &mut Output) -> anyhow::Result<()> {
    let flushed: Flushed = match args.node.node()? {
        Some(node) => node.act("flush", &json!({}), &args.token)?,
        None => {
            let db = args.store.open()?;
            let flushed = db.flush()?;
            db.close()?;
            flushed
        }
    };
    if out.json {
        return out.document(&flushed);
    }
    match flushed.keys {
        0 => out.line("everything was flushed already"),
        keys => out.line(format_args!("{} flushed, {}", units::counted(keys, "row"), units::bytes(flushed.bytes))),
    }
}
