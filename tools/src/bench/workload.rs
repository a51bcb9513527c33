//! What every workload is, and how most begin: with the same keys in every store.

use super::contender::{Contender, Opening};
use super::figure::{Figure, Round};
use super::keys::KeySpace;
use super::store::Store;
use crate::args::{ClientsArgs, PaceArgs};
use crate::units::{count, rate};
use indicatif::ProgressBar;
use std::time::Instant;

/// A workload: prepared once for each store, then measured in rounds, the stores in turns.
pub(crate) trait Plan {
    /// As it stands in the results.
    fn name(&self) -> &'static str;

    fn figures(&self) -> &'static [Figure];

    /// The keys and values that all stores have.
    fn space(&self) -> &KeySpace;

    /// What a reader of the results must know about the workload.
    fn settings(&self) -> Vec<(&'static str, String)>;

    /// How stores are opened for it.
    fn opening(&self) -> Opening {
        Opening::default()
    }

    /// Brings a new store to the state in which it is measured.
    fn prepare(&self, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<()> {
        load(self.space(), contender.store()?, bar)
    }

    /// Measures round `number`, counted from 0, and fails if the store answers wrongly. A round of the same number is the same work
    /// for each store.
    fn round(&self, number: u64, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<Round>;
}

/// A setting of a workload that asks at a fixed rate.
pub(crate) fn due(per_second: f64, what: &str) -> (&'static str, String) {
    ("due", format!("{}{what}/s", rate(per_second)))
}

impl PaceArgs {
    /// The setting of one that asks for so many of `what`.
    pub(crate) fn due(&self, what: &str) -> Option<(&'static str, String)> {
        self.rate.map(|per_second| due(per_second, what))
    }
}

impl ClientsArgs {
    /// The settings of a workload that clients drive.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("threads", self.threads.to_string()),
            ("in flight per thread", count(self.in_flight)),
            ("round", format!("{} s", self.pace.seconds)),
        ]
    }
}

/// The height at which every key is loaded, and none written twice.
pub(crate) fn loaded_height(space: &KeySpace) -> u64 {
    space.keys.div_ceil(space.keys_per_block())
}

/// Writes every key once, in blocks from height 1 on, each value beginning with its key's number, and lets the store settle.
pub(crate) fn load(space: &KeySpace, store: &dyn Store, bar: &ProgressBar) -> anyhow::Result<()> {
    load_sized(space, store, bar, |_| space.value_bytes())
}

/// The same with values of the sizes that `value_bytes` chooses.
pub(crate) fn load_sized(
    space: &KeySpace,
    store: &dyn Store,
    bar: &ProgressBar,
    value_bytes: impl Fn(&mut rand::rngs::SmallRng) -> usize,
) -> anyhow::Result<()> {
    let mut choices = space.choices(u64::MAX);
    let per_block = space.keys_per_block();
    let (what, begun) = (bar.message(), Instant::now());
    bar.set_length(space.keys);
    for height in 1..=loaded_height(space) {
        let keys = (height - 1) * per_block..space.keys.min(height * per_block);
        let per_second = keys.start as f64 / begun.elapsed().as_secs_f64();
        bar.set_position(keys.start);
        bar.set_message(format!("{what}, {}/s", rate(per_second)));
        store.commit_block(height, &mut |writes| {
            for number in keys.clone() {
                let value_bytes = value_bytes(choices.rng());
                let (key, value) = choices.entry(number, number, value_bytes);
                writes.put(key, value);
            }
        })?;
    }
    bar.set_message(format!("{what}, settling"));
    store.settle().map(drop)
}

/// The sum of the numbers at the beginnings of all values, and the number of keys, after [`load`].
pub(crate) fn loaded_sum(space: &KeySpace) -> (u64, u64) {
    (space.keys, (0..space.keys).fold(0, |sum: u64, number| sum.wrapping_add(number)))
}

/// The number of keys in the store and the sum of the numbers at the beginnings of their values.
pub(crate) fn sum(store: &dyn Store) -> anyhow::Result<(u64, u64)> {
    let (mut keys, mut sum) = (0, 0_u64);
    store.reader()?.scan(&[0], usize::MAX, &mut |_, value| {
        keys += 1;
        sum = sum.wrapping_add(super::store::stamp(value).unwrap_or_default());
    })?;
    Ok((keys, sum))
}
