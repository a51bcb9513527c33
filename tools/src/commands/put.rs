//! `shingle put`.

use crate::args::PutArgs;
use crate::bytes_text::Value;
use crate::output::Output;
use anyhow::Context;
use serde::Serialize;
use shingle::Batch;
use std::io::Read;

#[derive(Serialize)]
struct Committed {
    version: u64,
}

pub(crate) fn run(args: &PutArgs, out: &mut Output) -> anyhow::Result<()> {
    let value = match &args.value {
        Value::Stdin => read_stdin()?,
        Value::Given(value) => value.clone(),
    };
    let db = args.store.open_or_create(args.create)?;
    let mut batch = Batch::new();
    batch.put(&args.key.0, value);
    let version = db.commit(batch)?;
    db.close()?;
    report(version, out)
}

/// Says which version a write became.
pub(super) fn report(version: u64, out: &mut Output) -> anyhow::Result<()> {
    if out.json { out.document(&Committed { version }) } else { out.line(format_args!("version {version}")) }
}

fn read_stdin() -> anyhow::Result<Vec<u8>> {
    let mut value = Vec::new();
    std::io::stdin().lock().read_to_end(&mut value).context("cannot read the value from standard input")?;
    Ok(value)
}
