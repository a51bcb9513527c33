//! `shingle bench prune`: removing one per cent of a store's versions, against reading all of them.

use super::contender::Opening;
use super::figure::{Figure, Round, Unit};
use super::keys::KeySpace;
use super::measure::Meter;
use super::report::{Measured, Report};
use super::scratch::Scratch;
use super::shingle::Shingle;
use super::store::Store;
use super::workload::loaded_height;
use crate::args::{Asked, PruneBenchArgs};
use crate::failure::Usage;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::{progress, units};
use anyhow::ensure;
use shingle::{Database, Retention};

/// A pruning removes one in so many of all versions.
const PART: u64 = 100;

const FIGURES: &[Figure] = &[
    Figure::cost("prune_to_full_read", "removal, in times of the full read", Unit::Ratio),
    Figure::cost("prune_s", "removing one per cent of the versions", Unit::Seconds),
    Figure::cost("full_read_s", "reading every version", Unit::Seconds),
    Figure::rate("removed_versions_per_second", "versions removed"),
    Figure::rate("read_versions_per_second", "versions read"),
    Figure::cost("cpu_per_removed_version_us", "processor time per version removed", Unit::Micros),
];

pub(super) fn run(asked: &Asked<PruneBenchArgs>, out: &mut Output) -> anyhow::Result<()> {
    let Asked { options, own } = asked;
    let [shards] = options.shards[..] else {
        return Err(Usage("it measures one store: name one --shards".to_owned()).into());
    };
    if !options.against.is_empty() {
        return Err(Usage("no other store removes versions so: --against has no meaning here".to_owned()).into());
    }
    let pass = Pass::new(KeySpace::new(options));
    let removed_blocks = (own.versions * pass.blocks).div_ceil(PART);
    if removed_blocks * options.rounds > (own.versions - 1) * pass.blocks {
        return Err(Usage(format!("{} rounds would remove more versions than are superseded", options.rounds)).into());
    }
    let scratch = Scratch::new(&options.scratch, options.keep)?;
    Interrupt::ends_at_once(scratch.remover())?;
    let dir = scratch.path().join("shingle");
    std::fs::create_dir_all(&dir)?;
    let shingle = Shingle::open(options, Opening::default(), shards, &dir)?;
    pass.write_all(own.versions, &shingle)?;
    // The first pass supersedes nothing: its changes go, and no version does.
    shingle.database().prune(&Retention::from_height(pass.blocks))?;
    let bar = progress::bar("measuring", options.rounds);
    let mut rounds = Vec::new();
    for number in 0..options.rounds {
        rounds.push(pass.round(number, removed_blocks, shingle.database())?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let settings = vec![
        ("versions of every key", units::count(own.versions)),
        (
            "removed each round",
            format!("{} blocks of {}", units::count(removed_blocks), units::count(own.versions * pass.blocks)),
        ),
        ("each version removed", "another key's".to_owned()),
        ("checked", "as many versions go as were superseded".to_owned()),
    ];
    let (name, configuration) = ("shingle".to_owned(), shingle.configuration());
    let stores = vec![Measured { name, shards: Some(shards), configuration, rounds }];
    let arguments = serde_json::to_value(asked)?;
    Report { workload: "prune", arguments, settings, figures: FIGURES, stores, options }.print(out)
}

/// All keys, in blocks: every key is written once in each pass, in the same order.
struct Pass {
    space: KeySpace,
    blocks: u64,
}

impl Pass {
    fn new(space: KeySpace) -> Self {
        let blocks = loaded_height(&space);
        Pass { space, blocks }
    }

    /// Keys of the block at `height`.
    fn keys(&self, height: u64) -> std::ops::Range<u64> {
        let (block, per_block) = ((height - 1) % self.blocks, self.space.keys_per_block());
        block * per_block..self.space.keys.min((block + 1) * per_block)
    }

    fn write_all(&self, passes: u64, store: &dyn Store) -> anyhow::Result<()> {
        let mut choices = self.space.choices(u64::MAX);
        let bar = progress::bar("loading", passes * self.blocks);
        for height in 1..=passes * self.blocks {
            store.commit_block(height, &mut |writes| {
                for number in self.keys(height) {
                    let (key, value) = choices.entry(number, height, self.space.value_bytes());
                    writes.put(key, value);
                }
            })?;
            bar.inc(1);
        }
        store.settle()?;
        bar.finish_and_clear();
        Ok(())
    }

    fn round(&self, number: u64, removed_blocks: u64, db: &Database) -> anyhow::Result<Round> {
        let meter = Meter::begin();
        let rows: u64 = db.verify(&|_| {})?.shards.iter().map(|shard| shard.rows).sum();
        let read = meter.end();

        let below = self.blocks + number * removed_blocks;
        let floor = below + removed_blocks;
        let meter = Meter::begin();
        let pruned = db.prune(&Retention::from_height(floor))?;
        let removal = meter.end();
        let expected: u64 = (below + 1..=floor).map(|height| self.keys(height)).map(|keys| keys.end - keys.start).sum();
        ensure!(pruned.versions == expected, "{} versions were removed instead of {expected}", pruned.versions);

        let (read_s, removal_s) = (read.elapsed.as_secs_f64(), removal.elapsed.as_secs_f64());
        let values = vec![
            Some(removal_s / read_s),
            Some(removal_s),
            Some(read_s),
            Some(expected as f64 / removal_s),
            Some(rows as f64 / read_s),
            removal.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / expected as f64),
        ];
        Ok(Round { values, traces: Vec::new() })
    }
}
