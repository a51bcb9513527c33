//! What every workload is, and how all begin: with the same keys in every store.

use super::figure::{Figure, Round};
use super::keys::KeySpace;
use super::store::Store;
use indicatif::ProgressBar;
use serde_json::Value;

/// Keys that one block of the loading writes.
const LOAD_BLOCK: u64 = 10_000;

/// A workload: prepared once for each store, then measured in rounds, the stores in turns.
pub(crate) trait Plan {
    /// As it stands in the results.
    fn name(&self) -> &'static str;

    fn figures(&self) -> &'static [Figure];

    /// Its arguments, for scripts.
    fn arguments(&self) -> serde_json::Result<Value>;

    /// What a reader of the results must know about the workload.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// Brings a new store to the state in which it is measured.
    fn prepare(&self, store: &dyn Store, bar: &ProgressBar) -> anyhow::Result<()>;

    /// Measures round `number`, counted from 0. A round of the same number is the same work for each store.
    fn round(&self, number: u64, store: &dyn Store, bar: &ProgressBar) -> anyhow::Result<Round>;
}

/// The height at which every key is loaded, and none written twice.
pub(crate) fn loaded_height(space: &KeySpace) -> u64 {
    space.keys.div_ceil(LOAD_BLOCK)
}

/// Writes every key once, in blocks from height 1 on, and lets the store settle.
pub(crate) fn load(space: &KeySpace, store: &dyn Store, bar: &ProgressBar) -> anyhow::Result<()> {
    let mut choices = space.choices(u64::MAX);
    bar.set_length(space.keys);
    for height in 1..=loaded_height(space) {
        let keys = (height - 1) * LOAD_BLOCK..space.keys.min(height * LOAD_BLOCK);
        bar.set_position(keys.start);
        store.commit_block(height, &mut |writes| {
            for number in keys.clone() {
                let value = choices.value();
                writes.put(choices.key(number), value);
            }
        })?;
    }
    store.settle().map(drop)
}
