//! Beginning a rebalancing: new shards are made, and the barrier is set.

use super::check::check;
use super::status::{Figures, RebalancePhase};
use super::{Plan, Unfinished};
use crate::core::{Core, Disk};
use crate::layout::{Layout, shard_name};
use crate::manifest::{Manifest, relative_to_store};
use crate::open::{shard_options, within_file_limit};
use crate::shards::Topology;
use crate::{Error, Result, durable};
use shingle_shard::backend::{Backend, EmptyRun, MemoryBackend, RocksBackend};
use shingle_shard::{Shard, Version};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

impl Core {
    /// Begins what the plan says. From here on it happens, now or when the store is opened again, unless it is given up.
    ///
    /// 1. Whatever goes through all shards is kept away: checkpoints, prunings, flushes and with them rollbacks. A flush that did not know the new shards
    ///    would have the log let go of what they have not flushed.
    /// 2. New shards are made. Until 3 the manifest says that they are to be removed.
    /// 3. The manifest says where slots are going to.
    /// 4. The barrier: what is numbered from here on is written to both shards.
    pub(super) fn begin_rebalance(&self, plan: &Plan, bytes_per_sec: Option<u64>) -> Result<()> {
        let _one_at_a_time = self.rebalancer.beginning.lock();
        self.health.check()?;
        self.check_nothing_unfinished()?;
        let topology = self.shards.keep();
        let next = check(plan, &topology)?;
        let before = topology.all().len();
        let _no_checkpoint = self.checkpoints.exclude();
        let _no_pruning = self.pruner.exclude();
        self.flush_unhurried(&(0..before).collect())?;
        let _no_flush = self.flusher.exclude();
        let dirs = self.new_shard_dirs(plan, before)?;
        let mut shards = topology.all().to_vec();
        if let Some(disk) = self.disk.as_ref().filter(|_| !dirs.is_empty()) {
            disk.change_manifest(|manifest| {
                manifest.rebalance = Some(Unfinished::Removing { dirs: dirs.clone() });
            })?;
            fail::fail_point!("move::before_shards");
        }
        let most = before.max(plan.shards_after);
        let made = self
            .share_among(topology.all(), most)
            .and_then(|()| self.make_new_shards(&topology, plan.shards_after, &dirs));
        let unfinished =
            Unfinished::Copying { next, shards_before: before, shards_after: plan.shards_after, bytes_per_sec };
        let begun = made.and_then(|made| {
            fail::fail_point!("move::after_shards");
            shards.extend(made);
            let Some(disk) = &self.disk else { return Ok(()) };
            disk.change_manifest(|manifest| {
                manifest.shards.extend(dirs.iter().cloned());
                manifest.rebalance = Some(unfinished.clone());
            })
        });
        if let Err(error) = begun {
            self.forget_new_shards(&dirs);
            let _only_slower = self.share_among(topology.all(), before);
            return Err(error);
        }
        fail::fail_point!("move::before_barrier");
        unfinished.expect_strays(&shards, &topology.map);
        {
            let mut state = self.rebalancer.state.lock();
            state.begun += 1;
            state.figures = Some(Figures::of(&unfinished, &topology.map));
            state.unfinished = Some(unfinished.clone());
            (state.failure, state.give_up, state.handing_over, state.unread) = (None, false, false, false);
        }
        self.replace_topology(shards, topology.map.clone(), unfinished.next().cloned());
        fail::fail_point!("move::after_barrier");
        self.rebalancer.changed.notify_all();
        Ok(())
    }

    fn check_nothing_unfinished(&self) -> Result<()> {
        let state = self.rebalancer.state.lock();
        if state.stop {
            return Err(Error::Closed);
        }
        match (&state.unfinished, &state.figures) {
            (None, _) => Ok(()),
            (Some(_), figures) => Err(Error::RebalanceUnfinished {
                doing: match figures.as_ref().map(|figures| figures.phase) {
                    Some(RebalancePhase::Copying) | None => "it copies",
                    Some(RebalancePhase::HandingOver) => "it hands over",
                    Some(RebalancePhase::WaitingForReaders) => "it waits for snapshots from before it handed over",
                    Some(RebalancePhase::Cleaning | RebalancePhase::Removing) => "it cleans up",
                },
            }),
        }
    }

    /// Puts another topology in place, between two versions. Notes for how long nobody could be numbered.
    pub(super) fn replace_topology(
        &self,
        shards: Vec<Arc<Shard>>,
        map: crate::slot::SlotMap,
        next: Option<crate::slot::SlotMap>,
    ) {
        let sequencer = self.sequencer.lock();
        let began = Instant::now();
        self.shards.replace(shards, map, next);
        drop(sequencer);
        let micros = began.elapsed().as_micros() as u64;
        self.rebalancer.note(|figures| figures.barrier_micros_max = figures.barrier_micros_max.max(micros));
    }

    /// Where new shards are to be, as it stands in the manifest; each place must be free.
    fn new_shard_dirs(&self, plan: &Plan, before: usize) -> Result<Vec<PathBuf>> {
        let Some(disk) = &self.disk else { return Ok(Vec::new()) };
        let layout = Layout { dir: &disk.dir };
        let place = |number: usize| match plan.new_dirs.as_slice() {
            [] => layout.shard(number),
            dirs => dirs[(number - before) % dirs.len()].join(shard_name(number)),
        };
        let mut found = Vec::new();
        for number in before..plan.shards_after {
            let place = place(number);
            if !crate::create::is_empty(&place)? {
                return Err(Error::Occupied { path: place, what: "the directory is not empty".into() });
            }
            found.push(relative_to_store(&disk.dir, &place)?);
        }
        Ok(found)
    }

    /// New shards hold nothing, and so everything through the version that all others have flushed: they keep nothing of the log, and nothing of it
    /// that may have gone to an earlier shard of their number is for them.
    fn make_new_shards(&self, topology: &Topology, after: usize, dirs: &[PathBuf]) -> Result<Vec<Arc<Shard>>> {
        let through = topology.all().iter().map(|shard| shard.flushed_through()).min().unwrap_or(0);
        let make = |number: usize| {
            let backend: Arc<dyn Backend> = match &self.disk {
                None => Arc::new(MemoryBackend::new()),
                Some(disk) => Arc::new(disk.make_backend(number, &dirs[number - topology.all().len()])?),
            };
            self.open_empty(number, backend, through, after)
        };
        (topology.all().len()..after).map(make).collect()
    }

    /// There are, or will be, so many shards: the files that may be open are shared among them.
    pub(super) fn share_among(&self, open: &[Arc<Shard>], shards: usize) -> Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let rocks = within_file_limit(&disk.engine.asked, shards)?;
        disk.engine.shared.set_shards(shards, rocks.max_open_files);
        Ok(open.iter().try_for_each(|shard| shard.backend().share_anew())?)
    }

    fn open_empty(
        &self,
        number: usize,
        backend: Arc<dyn Backend>,
        through: Version,
        shards: usize,
    ) -> Result<Arc<Shard>> {
        backend.apply(&EmptyRun, through, self.epoch())?;
        let options = shard_options(&self.options, shards, self.row_cache.clone());
        Ok(Arc::new(Shard::new(number, backend, options)))
    }

    /// Takes back what was made of shards that did not come to be; what is left of them goes at the next opening.
    fn forget_new_shards(&self, dirs: &[PathBuf]) {
        let Some(disk) = self.disk.as_ref().filter(|_| !dirs.is_empty()) else { return };
        let before = |manifest: &mut Manifest| {
            manifest.shards.retain(|shard| !dirs.contains(shard));
            manifest.rebalance = Some(Unfinished::Removing { dirs: dirs.to_vec() });
        };
        let removed = disk.change_manifest(before).and_then(|()| disk.remove_shards(dirs));
        let _at_next_open = removed.and_then(|()| disk.change_manifest(|manifest| manifest.rebalance = None));
    }
}

impl Disk {
    fn make_backend(&self, number: usize, dir: &Path) -> Result<RocksBackend> {
        let path = self.dir.join(dir);
        durable::create_dir_all(&path).map_err(|error| Error::io("create", &path, error))?;
        let identity = self.manifest.lock().identity(number);
        Ok(RocksBackend::create(&path, &identity, &self.engine.rocks, &self.engine.shared)?)
    }

    /// Removes shards that the manifest has forgotten: those with the numbers after its own. Whatever else has come to lie in their place stays.
    pub(super) fn remove_shards(&self, dirs: &[PathBuf]) -> Result<()> {
        let manifest = self.manifest.lock().clone();
        for (number, dir) in (manifest.shards.len()..).zip(dirs) {
            RocksBackend::remove(&self.dir.join(dir), &manifest.identity(number))?;
        }
        Ok(())
    }

    /// Replaces the manifest by a changed one, durably.
    pub(super) fn change_manifest(&self, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        let mut manifest = self.manifest.lock();
        let mut changed = manifest.clone();
        change(&mut changed);
        changed.store(&self.dir)?;
        *manifest = changed;
        Ok(())
    }
}
