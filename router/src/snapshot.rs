//! Snapshots: the store as it was at one version, over all shards.

use crate::core::Core;
use crate::prune::Decision;
use crate::scan::Scan;
use crate::shards::Topology;
use crate::{Error, Result};
use parking_lot::Mutex;
use rayon::prelude::*;
use shingle_shard::{KeyRange, Version};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Below this many keys, a `multi_get` reads them one after the other: waking the workers costs more than it saves.
const PARALLEL_KEYS_MIN: usize = 64;

/// The same where it takes a thread, some 0.1 ms, to reach the workers.
const PARALLEL_KEYS_MIN_BY_THREAD: usize = 1024;

/// Which state of the store a snapshot shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest visible version.
    Newest,
    /// This version.
    Version(Version),
    /// The newest block whose height is at most this one. Heights above the newest block are refused.
    Height(u64),
    /// The newest block whose timestamp, in milliseconds, is at most this one.
    Time(u64),
}

/// The open snapshots, and the floor that they hold back.
#[derive(Debug)]
pub(crate) struct Snapshots {
    /// How many snapshots are open at each version. Pruning takes this lock to raise the floor, so that none slips below it.
    open: Mutex<BTreeMap<Version, OpenAt>>,
    floor: AtomicU64,
}

/// The snapshots that are open at one version.
#[derive(Debug)]
struct OpenAt {
    count: usize,
    /// Since when one or another was.
    since: Instant,
}

/// Snapshots that are open at one version, and keep what they see from being pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OpenSnapshots {
    /// The version.
    pub version: Version,
    /// How many there are.
    pub count: u64,
    /// How long one or another has been open, in milliseconds.
    pub open_ms: u64,
}

/// How many snapshots are open, and what they hold back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    /// The lowest version of one.
    pub(crate) oldest: Option<Version>,
    /// For how long a version has been held, at the most.
    pub(crate) longest: Option<Duration>,
}

impl Snapshots {
    pub(crate) fn new(floor: Version) -> Self {
        Snapshots { open: Mutex::default(), floor: AtomicU64::new(floor) }
    }

    /// The oldest version that can be read.
    pub(crate) fn floor(&self) -> Version {
        self.floor.load(Ordering::Acquire)
    }

    pub(crate) fn summary(&self) -> Summary {
        let open = self.open.lock();
        Summary {
            count: open.values().map(|at| at.count).sum(),
            oldest: open.keys().next().copied(),
            longest: open.values().map(|at| at.since).min().map(|since| since.elapsed()),
        }
    }

    /// The oldest `most` versions at which snapshots are open.
    pub(crate) fn oldest(&self, most: usize) -> Vec<OpenSnapshots> {
        let open = self.open.lock();
        let told = |(&version, at): (&Version, &OpenAt)| OpenSnapshots {
            version,
            count: at.count as u64,
            open_ms: at.since.elapsed().as_millis() as u64,
        };
        open.iter().take(most).map(told).collect()
    }

    /// Has `decide` say where the floor goes, told the floor and the oldest open snapshot, and with `raise` puts it there.
    pub(crate) fn decide_floor(
        &self,
        raise: bool,
        decide: impl FnOnce(Version, Option<(Version, Instant)>) -> Decision,
    ) -> Decision {
        let open = self.open.lock();
        let decision = decide(self.floor(), open.iter().next().map(|(version, at)| (*version, at.since)));
        if raise {
            self.floor.fetch_max(decision.floor, Ordering::AcqRel);
        }
        decision
    }

    /// The floor never passes the visible version, so the newest one can always be read.
    fn register_newest(&self, visible: impl FnOnce() -> Version) -> Version {
        let mut open = self.open.lock();
        let version = visible();
        enter(&mut open, version);
        version
    }

    fn register(&self, version: Version) -> Result<Version> {
        let mut open = self.open.lock();
        let floor = self.floor();
        if version < floor {
            return Err(Error::Pruned { asked: version, floor });
        }
        enter(&mut open, version);
        Ok(version)
    }

    fn release(&self, version: Version) {
        let mut open = self.open.lock();
        if let Some(at) = open.get_mut(&version) {
            at.count -= 1;
            if at.count == 0 {
                open.remove(&version);
            }
        }
    }
}

fn enter(open: &mut BTreeMap<Version, OpenAt>, version: Version) {
    open.entry(version).or_insert_with(|| OpenAt { count: 0, since: Instant::now() }).count += 1;
}

/// The store at one version. It never changes, and it answers exactly or with an error: [`Error::RolledBack`] once a
/// rollback has removed its version, [`Error::Damaged`](crate::ErrorKind::Damaged) where the disk is.
///
/// Cheap to clone. While one is open, nothing that it can see is pruned, and the store's files stay open.
#[derive(Clone, Debug)]
pub struct Snapshot {
    open: Arc<OpenSnapshot>,
}

#[derive(Debug)]
struct OpenSnapshot {
    core: Arc<Core>,
    version: Version,
    rollbacks_seen: usize,
    /// Loaded after the version was chosen.
    topology: Arc<Topology>,
}

impl Drop for OpenSnapshot {
    fn drop(&mut self) {
        self.core.snapshots.release(self.version);
    }
}

impl Snapshot {
    pub(crate) fn newest(core: &Arc<Core>) -> Self {
        // Before the version is chosen: a rollback between the two is then found when the snapshot reads.
        let rollbacks_seen = core.rollbacks.count();
        let version = core.snapshots.register_newest(|| core.visible());
        Self::at(core, version, rollbacks_seen)
    }

    pub(crate) fn open(core: &Arc<Core>, at: At) -> Result<Self> {
        let rollbacks_seen = core.rollbacks.count();
        let version = match at {
            At::Newest => return Ok(Self::newest(core)),
            At::Version(version) => {
                let newest = core.visible();
                if version > newest {
                    return Err(Error::AboveNewest { asked: version, newest });
                }
                core.check_never_removed(version)?;
                core.snapshots.register(version)?
            }
            At::Height(height) => {
                let blocks = core.blocks.read();
                let newest = blocks.newest().ok_or(Error::NoSuchHeight { height, newest: None })?;
                let at = blocks.at_or_below_height(height).filter(|_| height <= newest.height);
                let block = at.ok_or(Error::NoSuchHeight { height, newest: Some(newest.height) })?;
                // The index is looked into again below.
                drop(blocks);
                match core.snapshots.register(block.version) {
                    Err(Error::Pruned { floor, .. }) => {
                        return Err(Error::BlockPruned { height, oldest: core.oldest_height(floor) });
                    }
                    registered => registered?,
                }
            }
            At::Time(timestamp_ms) => {
                let blocks = core.blocks.read();
                let block = blocks.at_or_before_time(timestamp_ms).ok_or(Error::NoBlockBefore { timestamp_ms })?;
                core.snapshots.register(block.version)?
            }
        };
        Ok(Self::at(core, version, rollbacks_seen))
    }

    /// The version is registered.
    fn at(core: &Arc<Core>, version: Version, rollbacks_seen: usize) -> Self {
        let topology = core.shards.keep();
        Snapshot { open: Arc::new(OpenSnapshot { core: Arc::clone(core), version, rollbacks_seen, topology }) }
    }

    /// The version that the snapshot shows.
    #[must_use]
    pub fn version(&self) -> Version {
        self.open.version
    }

    /// The value of `key`, if it had one.
    ///
    /// # Errors
    /// A key out of bounds, a rollback below the snapshot, damage, I/O.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        let key = key.as_ref();
        shingle_shard::check_key(key)?;
        self.open.topology.count_read(key);
        let route = self.open.topology.route(key);
        let value = route.shard.get(key, route.key_hash, self.version())?;
        self.check()?;
        Ok(value)
    }

    /// The values of `keys`, in their order; many keys are read in parallel.
    ///
    /// # Errors
    /// As [`Snapshot::get`].
    pub fn multi_get<K: AsRef<[u8]> + Sync>(&self, keys: &[K]) -> Result<Vec<Option<Vec<u8>>>> {
        let readers = &self.core().workers.read;
        let parallel_min = if readers.takes_a_thread() { PARALLEL_KEYS_MIN_BY_THREAD } else { PARALLEL_KEYS_MIN };
        if keys.len() < parallel_min {
            keys.iter().map(|key| self.get(key)).collect()
        } else {
            let values = || keys.par_iter().with_min_len(PARALLEL_KEYS_MIN / 4).map(|key| self.get(key)).collect();
            readers.run(values)
        }
    }

    /// The keys of `range` and their values, in byte order; from both ends.
    pub fn range<K: AsRef<[u8]>>(&self, range: impl std::ops::RangeBounds<K>) -> Scan {
        self.scan(KeyRange {
            start: range.start_bound().map(|key| key.as_ref().to_vec()),
            end: range.end_bound().map(|key| key.as_ref().to_vec()),
        })
    }

    /// The keys that begin with `prefix`, and their values, in byte order; from both ends.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Scan {
        self.scan(KeyRange::prefix(prefix.as_ref()))
    }

    /// The keys of `range` and their values, in byte order; from both ends.
    #[must_use]
    pub fn scan(&self, range: KeyRange) -> Scan {
        Scan::new(self.clone(), range)
    }

    /// Refuses if a rollback has removed the snapshot's version. Called after a read: what was read before a rollback began is whole.
    pub(crate) fn check(&self) -> Result<()> {
        self.core().check_kept(self.version(), self.open.rollbacks_seen)
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.open.core
    }

    /// The shards and the slot map that it reads by.
    pub(crate) fn topology(&self) -> &Arc<Topology> {
        &self.open.topology
    }

    pub(crate) fn rollbacks_seen(&self) -> usize {
        self.open.rollbacks_seen
    }
}

impl Core {
    /// The newest value of `key`. Takes no snapshot: if the floor or a rollback passes the version while it reads, it reads again.
    pub(crate) fn get_newest(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        shingle_shard::check_key(key)?;
        loop {
            let rollbacks_seen = self.rollbacks.count();
            let version = self.visible();
            // After the version.
            let topology = self.shards.now();
            topology.count_read(key);
            let route = topology.route(key);
            let value = route.shard.get(key, route.key_hash, version)?;
            if self.rollbacks.count() == rollbacks_seen && self.snapshots.floor() <= version {
                return Ok(value);
            }
        }
    }
}
