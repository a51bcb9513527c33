//! Copying what lies below the barrier: changes first, slice by slice, and then rows, run by run. Whatever row is on a disk, a rollback finds it.

use super::work::Work;
use super::{Interrupted, differing};
use crate::core::Core;
use crate::shards::Topology;
use parking_lot::Mutex;
use rayon::prelude::*;
use shingle_shard::Version;
use shingle_shard::backend::MovingCursor;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Changes of one slice, for which a rollback waits: they are merged with those that the target has.
const SLICE_CHANGES: usize = 1 << 15;

/// How far the copying is. What a failure has interrupted goes on here; after a crash it begins anew.
#[derive(Debug)]
pub(super) struct Copying {
    topology: Arc<Topology>,
    /// Everything above it is written to both shards.
    through: Version,
    sources: Vec<Source>,
    /// All the work of it, and how much of that is done.
    whole: f64,
    done: Mutex<f64>,
}

#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) shard: usize,
    targets: BTreeSet<usize>,
    changes: MovingCursor,
    /// What lies before it can be read on its targets.
    pub(super) rows: MovingCursor,
    /// A rollback has cut its last run short.
    pub(super) was_cut_short: bool,
    work: Work,
    /// How much of `work` is done.
    done: f64,
}

/// What all that copy share.
pub(super) struct Pass<'a> {
    pub(super) topology: &'a Topology,
    pub(super) through: Version,
    whole: f64,
    done: &'a Mutex<f64>,
    began: Instant,
}

impl Pass<'_> {
    /// The shard that gets a key of `source`, if one does.
    pub(super) fn target_of(&self, source: usize, key: &[u8]) -> Option<usize> {
        let (owner, other, _) = self.topology.writers_of(key);
        other.filter(|_| owner == source)
    }

    /// Notes how far the source is, rows up to `rows`. Returns how much of everything is done, from 0 to 1.
    pub(super) fn advance(&self, source: &mut Source, rows: &MovingCursor) -> f64 {
        // A run that begins anew has been here before.
        let done = source.work.done(&source.changes, rows, self.through).max(source.done);
        let mut all = self.done.lock();
        *all += done - std::mem::replace(&mut source.done, done);
        *all / self.whole.max(1.0)
    }
}

impl Core {
    /// Everything up to a version from which on all writes go to both shards is put on the sources' disks, and the targets let go of it in memory.
    pub(super) fn begin_copying(&self) -> Result<Copying, Interrupted> {
        {
            // From here on every row above the floor is named by a change, and none at or below it is.
            let _no_pruning = self.pruner.exclude();
            self.complete_pruning()?;
        }
        self.rebalancer.pace.forgive();
        let topology = self.shards.keep();
        // What was numbered before the barrier is applied, or has failed.
        self.wait_for_numbered();
        self.health.check()?;
        let through = *self.boundary.lock();
        let mut sources: BTreeMap<usize, Source> = BTreeMap::new();
        for (_, from, to) in topology.next.iter().flat_map(|next| differing(&topology.map, next)) {
            let source = sources.entry(from).or_insert_with(|| Source { shard: from, ..Source::default() });
            source.targets.insert(to);
        }
        let concerned: BTreeSet<usize> =
            sources.values().flat_map(|source| source.targets.iter().copied().chain([source.shard])).collect();
        self.flush_unhurried(&concerned)?;
        {
            let _no_rollback = self.rebalancer.exclude();
            for &target in sources.values().flat_map(|source| &source.targets) {
                topology.all()[target].settle(through);
            }
        }
        let floor = self.snapshots.floor();
        let weigh = |source: Source| {
            let work = Work::of(&topology.all()[source.shard].backend().stats(), floor);
            Source { work, ..source }
        };
        let sources: Vec<_> = sources.into_values().map(weigh).collect();
        let whole = sources.iter().map(|source| source.work.whole()).sum();
        Ok(Copying { topology, through, sources, whole, done: Mutex::default() })
    }

    /// Copies until all is there, from several sources at a time. One that fails ends the others where they are.
    pub(super) fn copy(&self, copying: &mut Copying) -> Result<(), Interrupted> {
        let Copying { topology, through, sources, whole, done } = copying;
        let pass = Pass { topology, through: *through, whole: *whole, done, began: Instant::now() };
        let before = self.rebalancer.state.lock().figures.as_ref().map_or(Duration::ZERO, |figures| figures.copying);
        let tell = || self.rebalancer.note(|figures| figures.copying = before + pass.began.elapsed());
        self.workers.moving.run(|| {
            sources.par_iter_mut().with_max_len(1).try_for_each(|source| {
                while !source.changes.finished {
                    self.rebalancer.check_going()?;
                    self.await_targets(&pass, source)?;
                    let began = Instant::now();
                    let bytes = self.copy_changes(&pass, source)?;
                    self.keep_rate(bytes, began)?;
                    tell();
                }
                while !source.rows.finished {
                    self.await_targets(&pass, source)?;
                    self.copy_run(&pass, source, &tell)?;
                    tell();
                }
                Ok(())
            })
        })
    }

    fn await_targets(&self, pass: &Pass<'_>, source: &Source) -> Result<(), Interrupted> {
        source.targets.iter().try_for_each(|&target| self.await_compaction(&pass.topology.all()[target]))
    }

    /// Copies one slice. Rollbacks, checkpoints and verifications are kept away, so that nothing is copied that a rollback has just removed.
    fn copy_changes(&self, pass: &Pass<'_>, source: &mut Source) -> Result<u64, Interrupted> {
        let _slice = self.rebalancer.slice();
        self.health.check()?;
        let mut cursor = source.changes.clone();
        let mut found = Vec::new();
        let pick = |key: &[u8]| pass.target_of(source.shard, key).is_some();
        let backend = pass.topology.all()[source.shard].backend();
        backend.changed(&mut cursor, pass.through, &pick, SLICE_CHANGES, &mut found)?;
        let mut arriving: BTreeMap<usize, Vec<(Version, Vec<u8>)>> = BTreeMap::new();
        for change in found {
            let target = pass.target_of(source.shard, &change.1).expect("picked because it has one");
            arriving.entry(target).or_default().push(change);
        }
        fail::fail_point!("move::before_bringing_in");
        let mut bytes = 0;
        for (target, changes) in arriving {
            bytes += pass.topology.all()[target].bring_in_changes(&changes, pass.through, self.epoch())?;
        }
        source.changes = cursor;
        let fraction = pass.advance(source, &source.rows.clone());
        self.rebalancer.note(|figures| figures.copied(0, bytes, fraction));
        Ok(bytes)
    }
}
