//! Other embedded stores under measurement, each configured as its own guide advises.

mod fjall;
mod fjall_transactional;
mod lmdb;
mod quiet;
mod redb;
mod surrealkv;

pub(super) use fjall::Fjall;
pub(super) use fjall_transactional::FjallTransactional;
pub(super) use lmdb::Lmdb;
pub(super) use redb::Redb;
pub(super) use surrealkv::Surrealkv;

use crate::args::{BenchOptions, DurabilityArg};

/// As it stands among a store's settings.
fn durability_text(bench: &BenchOptions, sync: &str, buffered: &str) -> (&'static str, String) {
    let text = match bench.durability {
        DurabilityArg::Sync => sync,
        DurabilityArg::Buffered => buffered,
    };
    ("durability", text.to_owned())
}
