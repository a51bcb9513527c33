//! `shingle get`.

use crate::args::GetArgs;
use crate::bytes_text::Encoding;
use crate::failure::Negative;
use crate::output::Output;
use serde::Serialize;

#[derive(Serialize)]
struct Found {
    key: String,
    value: Option<String>,
    version: u64,
}

pub(crate) fn run(args: &GetArgs, out: &mut Output) -> anyhow::Result<()> {
    let db = args.store.open()?;
    let snapshot = args.at.snapshot(&db)?;
    let value = snapshot.get(&args.key.0)?;
    if out.json {
        out.document(&Found {
            key: args.encoding.show(&args.key.0),
            value: value.as_deref().map(|value| args.encoding.show(value)),
            version: snapshot.version(),
        })?;
    }
    let Some(value) = value else {
        if !out.json {
            eprintln!("shingle: no key {} at version {}", Encoding::Auto.show(&args.key.0), snapshot.version());
        }
        return Err(Negative.into());
    };
    match (out.json, args.raw) {
        (true, _) => Ok(()),
        (false, true) => out.bytes(&value),
        (false, false) => out.line(args.encoding.show(&value)),
    }
}
