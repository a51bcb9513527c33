//! `shingle delete`.

use super::put;
use crate::args::DeleteArgs;
use crate::output::Output;
use shingle::Batch;

pub(crate) fn run(args: &DeleteArgs, out: &mut Output) -> anyhow::Result<()> {
    let db = args.store.open()?;
    let mut batch = Batch::new();
    batch.delete(&args.key.0);
    let version = db.commit(batch)?;
    db.close()?;
    put::report(version, out)
}
