//! `shingle scan`.

use crate::args::ScanArgs;
use crate::bytes_text::Bytes;
use crate::output::Output;
use serde::Serialize;
use shingle::{Scan, Snapshot};
use std::ops::Bound;

#[derive(Serialize)]
struct Entry {
    key: String,
    value: String,
}

pub(crate) fn run(args: &ScanArgs, out: &mut Output) -> anyhow::Result<()> {
    let db = args.store.open()?;
    let snapshot = args.at.snapshot(&db)?;
    let scan = scan(args, &snapshot);
    let entries: Box<dyn Iterator<Item = _>> = if args.reverse { Box::new(scan.rev()) } else { Box::new(scan) };
    for entry in entries.take(args.limit.map_or(usize::MAX, |limit| limit as usize)) {
        let (key, value) = entry?;
        let (key, value) = (args.encoding.show(&key), args.encoding.show(&value));
        if out.json {
            out.document(&Entry { key, value })?;
        } else {
            out.line(format_args!("{key}\t{value}"))?;
        }
    }
    Ok(())
}

fn scan(args: &ScanArgs, snapshot: &Snapshot) -> Scan {
    if let Some(prefix) = &args.prefix {
        return snapshot.prefix(&prefix.0);
    }
    let key = |key: &Option<Bytes>| key.as_ref().map(|key| key.0.clone());
    let from = key(&args.from).map_or(Bound::Unbounded, Bound::Included);
    let to = key(&args.to).map_or(Bound::Unbounded, Bound::Excluded);
    snapshot.range((from, to))
}
