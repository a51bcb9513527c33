//! Copying what lies below the barrier, slice by slice, in the order of changes first and then of rows: whatever row is on a disk, a rollback finds it.

use super::work::Work;
use super::{Interrupted, differing};
use crate::core::Core;
use crate::shards::Topology;
use parking_lot::Mutex;
use rayon::prelude::*;
use shingle_shard::Version;
use shingle_shard::backend::{Arriving, MovingCursor, Page, PageLimit};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows of one slice: some tens of milliseconds, for which a rollback waits. A file of it is synced in one go, and a commit's sync may have to wait for that.
const SLICE: PageLimit = PageLimit { rows: 1 << 15, bytes: 4 << 20 };

/// Changes of one slice: they are merged with those that the target has.
const SLICE_CHANGES: usize = 1 << 15;

/// A slice is about what the rate allows in so long a time.
const SLICES_PER_SEC: u64 = 10;

/// Fewer bytes are not worth a file.
const SLICE_BYTES_MIN: u64 = 64 << 10;

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
struct Source {
    shard: usize,
    targets: BTreeSet<usize>,
    changes: MovingCursor,
    rows: MovingCursor,
    work: Work,
    /// How much of `work` is done.
    done: f64,
}

/// What all that copy share.
struct Pass<'a> {
    topology: &'a Topology,
    through: Version,
    whole: f64,
    done: &'a Mutex<f64>,
    began: Instant,
}

impl Pass<'_> {
    /// Notes how far the source is. Returns how much of everything is done, from 0 to 1.
    fn advance(&self, source: &mut Source) -> f64 {
        let done = source.work.done(&source.changes, &source.rows, self.through);
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

    /// Copies until all is there, from several sources at a time. One that fails ends the others after their slices.
    pub(super) fn copy(&self, copying: &mut Copying) -> Result<(), Interrupted> {
        let Copying { topology, through, sources, whole, done } = copying;
        let pass = Pass { topology, through: *through, whole: *whole, done, began: Instant::now() };
        let before = self.rebalancer.state.lock().figures.as_ref().map_or(Duration::ZERO, |figures| figures.copying);
        self.workers.moving.run(|| {
            sources.par_iter_mut().with_max_len(1).try_for_each(|source| {
                while !(source.changes.finished && source.rows.finished) {
                    self.rebalancer.check_going()?;
                    for &target in &source.targets {
                        self.await_compaction(&topology.all()[target])?;
                    }
                    let began = Instant::now();
                    let bytes = self.copy_slice(&pass, source)?;
                    self.keep_rate(bytes, began)?;
                    self.rebalancer.note(|figures| figures.copying = before + pass.began.elapsed());
                }
                Ok(())
            })
        })
    }

    /// Copies one slice. Rollbacks, checkpoints and verifications are kept away, so that nothing is copied that a rollback has just removed.
    fn copy_slice(&self, pass: &Pass<'_>, source: &mut Source) -> Result<u64, Interrupted> {
        let _slice = self.rebalancer.slice();
        self.health.check()?;
        let Pass { topology, through, .. } = *pass;
        let shard = &topology.all()[source.shard];
        let number = source.shard;
        let target_of = |key: &[u8]| {
            let (owner, other, _) = topology.writers_of(key);
            other.filter(|_| owner == number)
        };
        let pick = |key: &[u8]| target_of(key).is_some();
        let mut arriving: BTreeMap<usize, Arriving> = BTreeMap::new();
        if !source.changes.finished {
            let mut cursor = source.changes.clone();
            let mut found = Vec::new();
            shard.backend().changed(&mut cursor, through, &pick, SLICE_CHANGES, &mut found)?;
            for change in found {
                let target = target_of(&change.1).expect("picked because it has one");
                arriving.entry(target).or_default().changes.push(change);
            }
            let (_, bytes) = self.bring_in(topology, &arriving, through)?;
            source.changes = cursor;
            let fraction = pass.advance(source);
            self.rebalancer.note(|figures| figures.copied(0, bytes, fraction));
            return Ok(bytes);
        }
        let (mut cursor, mut page) = (source.rows.clone(), Page::default());
        let rate = self.rebalancer.state.lock().bytes_per_sec().unwrap_or(u64::MAX);
        let bytes = (rate / SLICES_PER_SEC).clamp(SLICE_BYTES_MIN, SLICE.bytes as u64) as usize;
        shard.backend().rows(&mut cursor, through, &pick, PageLimit { bytes, ..SLICE }, &mut page)?;
        for row in (0..page.len()).filter_map(|row| page.get(row)) {
            let target = target_of(row.key).expect("picked because it has one");
            arriving.entry(target).or_default().rows.push(row);
        }
        let (rows, bytes) = self.bring_in(topology, &arriving, through)?;
        source.rows = cursor;
        let fraction = pass.advance(source);
        self.rebalancer.note(|figures| figures.copied(rows, bytes, fraction));
        fail::fail_point!("move::after_slice");
        Ok(bytes)
    }

    fn bring_in(
        &self,
        topology: &Topology,
        arriving: &BTreeMap<usize, Arriving>,
        through: Version,
    ) -> Result<(u64, u64), Interrupted> {
        fail::fail_point!("move::before_bringing_in");
        let (mut rows, mut bytes) = (0, 0);
        for (&target, arriving) in arriving {
            let applied = topology.all()[target].bring_in(arriving, through, self.epoch())?;
            rows += applied.rows;
            bytes += applied.bytes;
        }
        Ok((rows, bytes))
    }
}
