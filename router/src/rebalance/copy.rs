//! Copying what lies below the barrier, slice by slice, in the order of changes first and then of rows: whatever row is on a disk, a rollback finds it.

use super::work::Work;
use super::{Interrupted, differing};
use crate::core::Core;
use crate::shards::Topology;
use shingle_shard::Version;
use shingle_shard::backend::{Arriving, MovingCursor, Page, PageLimit};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows of one slice: some tens of milliseconds, for which a flush or a rollback waits.
const SLICE: PageLimit = PageLimit { rows: 1 << 16, bytes: 8 << 20 };

/// Changes of one slice: they are merged with those that the target has.
const SLICE_CHANGES: usize = 1 << 15;

/// A target with this many files at level 0 takes no slice until compaction has caught up. RocksDB's own `level0_slowdown_writes_trigger`.
const LEVEL0_FILES_MAX: u64 = 20;

/// How long it rests before it looks again.
const RETRY: Duration = Duration::from_millis(20);

/// How long it rests at most before it looks whether the rate has changed.
const LOOK: Duration = Duration::from_millis(50);

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
}

impl Copying {
    /// How much is done, from 0 to 1.
    fn fraction(&self) -> f64 {
        let whole: f64 = self.sources.iter().map(|source| source.work.whole()).sum();
        let done = |source: &Source| source.work.done(&source.changes, &source.rows, self.through);
        self.sources.iter().map(done).sum::<f64>() / whole.max(1.0)
    }
}

#[derive(Debug, Default)]
struct Source {
    shard: usize,
    targets: BTreeSet<usize>,
    changes: MovingCursor,
    rows: MovingCursor,
    work: Work,
}

impl Core {
    /// Everything up to a version from which on all writes go to both shards is put on the sources' disks, and the targets let go of it in memory.
    pub(super) fn begin_copying(&self) -> Result<Copying, Interrupted> {
        {
            // From here on every row above the floor is named by a change, and none at or below it is.
            let _no_pruning = self.pruner.exclude();
            self.complete_pruning()?;
        }
        let topology = self.shards.keep();
        // What was numbered before the barrier is applied, or has failed.
        self.wait_for_numbered();
        self.health.check()?;
        let through = *self.boundary.lock();
        self.flush_all()?;
        let mut sources: BTreeMap<usize, Source> = BTreeMap::new();
        for (_, from, to) in topology.next.iter().flat_map(|next| differing(&topology.map, next)) {
            let source = sources.entry(from).or_insert_with(|| Source { shard: from, ..Source::default() });
            source.targets.insert(to);
        }
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
        let sources = sources.into_values().map(weigh).collect();
        Ok(Copying { topology, through, sources })
    }

    /// Copies until all is there.
    pub(super) fn copy(&self, copying: &mut Copying) -> Result<(), Interrupted> {
        for index in 0..copying.sources.len() {
            while !(copying.sources[index].changes.finished && copying.sources[index].rows.finished) {
                self.rebalancer.check_going()?;
                self.wait_for_targets(copying, index)?;
                let began = Instant::now();
                let bytes = self.copy_slice(copying, index)?;
                self.keep_rate(bytes, began)?;
            }
        }
        Ok(())
    }

    /// Copies one slice. Rollbacks, checkpoints and verifications are kept away, so that nothing is copied that a rollback has just removed.
    fn copy_slice(&self, copying: &mut Copying, index: usize) -> Result<u64, Interrupted> {
        let _alone = self.rebalancer.exclude();
        self.health.check()?;
        let Copying { topology, through, sources, .. } = copying;
        let source = &mut sources[index];
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
            shard.backend().changed(&mut cursor, *through, &pick, SLICE_CHANGES, &mut found)?;
            for change in found {
                let target = target_of(&change.1).expect("picked because it has one");
                arriving.entry(target).or_default().changes.push(change);
            }
            let (_, bytes) = self.bring_in(topology, &arriving, *through)?;
            source.changes = cursor;
            let fraction = copying.fraction();
            self.rebalancer.note(|figures| figures.copied(0, bytes, fraction));
            return Ok(bytes);
        }
        let (mut cursor, mut page) = (source.rows.clone(), Page::default());
        let rate = self.rebalancer.state.lock().bytes_per_sec.unwrap_or(u64::MAX);
        let bytes = (rate / SLICES_PER_SEC).clamp(SLICE_BYTES_MIN, SLICE.bytes as u64) as usize;
        shard.backend().rows(&mut cursor, *through, &pick, PageLimit { bytes, ..SLICE }, &mut page)?;
        for row in (0..page.len()).filter_map(|row| page.get(row)) {
            let target = target_of(row.key).expect("picked because it has one");
            arriving.entry(target).or_default().rows.push(row);
        }
        let (rows, bytes) = self.bring_in(topology, &arriving, *through)?;
        source.rows = cursor;
        let fraction = copying.fraction();
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
        let (mut rows, mut bytes) = (0, 0);
        for (&target, arriving) in arriving {
            let applied = topology.all()[target].bring_in(arriving, through, self.epoch())?;
            rows += applied.rows;
            bytes += applied.bytes;
        }
        Ok((rows, bytes))
    }

    fn wait_for_targets(&self, copying: &Copying, index: usize) -> Result<(), Interrupted> {
        let targets = &copying.sources[index].targets;
        let lags =
            |&target: &usize| copying.topology.all()[target].backend().pressure().level0_files >= LEVEL0_FILES_MAX;
        let mut lagged = false;
        while targets.iter().any(lags) {
            lagged = true;
            self.rebalancer
                .note(|figures| (figures.waits_for_compaction, figures.copying) = (true, figures.copying + RETRY));
            self.rebalancer.rest(RETRY)?;
            self.health.check()?;
        }
        if lagged {
            self.rebalancer.note(|figures| figures.waits_for_compaction = false);
        }
        Ok(())
    }

    /// Rests for as long as `bytes` may take.
    fn keep_rate(&self, bytes: u64, began: Instant) -> Result<(), Interrupted> {
        let mut noted = Duration::ZERO;
        loop {
            let took = began.elapsed();
            self.rebalancer.note(|figures| figures.copying += took - noted);
            noted = took;
            // It may be changed meanwhile.
            let Some(rate) = self.rebalancer.state.lock().bytes_per_sec else { break };
            let due = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
            let left = due.saturating_sub(took);
            if left.is_zero() {
                break;
            }
            self.rebalancer.rest(left.min(LOOK))?;
        }
        Ok(())
    }
}
