//! One store from its making to its end, operation by operation.

mod history;
mod prune;
mod rebalance;

use super::oracle::{Oracle, Writes};
use super::pool::{Pool, value};
use super::reads::{self, View};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use shingle::{
    At, Batch, Block, Config, Database, Durability, ErrorKind, Isolation, RestoreOptions, RoutingKey, SealedBlock,
    Snapshot, Transaction,
};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Disk,
    Memory,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) place: Place,
    pub(crate) shards: usize,
    pub(crate) routing_key: RoutingKey,
}

/// Snapshots that stay open over whatever happens; older ones are dropped first.
const KEPT_SNAPSHOTS: usize = 6;

pub(crate) struct Run {
    rng: SmallRng,
    pool: Pool,
    oracle: Oracle,
    shape: Shape,
    config: Config,
    kept: Vec<Snapshot>,
    /// `None` only while the store is being reopened.
    db: Option<Database>,
    dir: TempDir,
    ops: u64,
}

impl Run {
    pub(crate) fn new(seed: u64, shape: Shape) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let pool = Pool::new(&mut rng);
        let config = random_config(&mut rng);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut run =
            Run { rng, pool, oracle: Oracle::default(), shape, config, kept: Vec::new(), db: None, dir, ops: 0 };
        run.open();
        run
    }

    /// Runs at least `ops` operations and returns how many there were.
    pub(crate) fn execute(mut self, ops: u64) -> u64 {
        while self.ops < ops {
            self.step();
        }
        self.check_everything();
        if matches!(self.shape.place, Place::Disk) {
            self.reopen();
            self.check_everything();
        }
        self.ops
    }

    /// Runs, and then commits what `change` makes of a key that is there, without a word to the oracle. The check that follows must fail.
    pub(crate) fn execute_wrongly(mut self, ops: u64, change: fn(&[u8], &mut Batch)) {
        while self.ops < ops {
            self.step();
        }
        self.check_everything();
        let (key, _) = self.db().prefix("").next().expect("not all is deleted").expect("a sound store");
        let mut batch = Batch::new();
        change(&key, &mut batch);
        let version = self.db().commit(batch).expect("a sound batch");
        self.oracle.commit(version, Writes::new());
        let check = std::panic::AssertUnwindSafe(|| self.check_everything());
        assert!(std::panic::catch_unwind(check).is_err(), "the check has overlooked it");
    }

    fn db(&self) -> &Database {
        self.db.as_ref().expect("open outside of `reopen`")
    }

    fn open(&mut self) {
        let builder = Database::builder(self.dir.path().join("store"))
            .routing_key(self.shape.routing_key)
            .config(self.config.clone());
        // A store that was there before may have another number by now.
        let builder = if self.oracle.visible == 0 { builder.shards(self.shape.shards) } else { builder };
        let opened = match self.shape.place {
            Place::Disk => builder.open(),
            Place::Memory => builder.in_memory(),
        };
        self.db = Some(opened.expect("a sound store opens"));
    }

    fn step(&mut self) {
        match self.rng.random_range(0..1005) {
            0..120 => self.commit(),
            120..170 => self.commit_block(),
            170..190 => self.seal_block(),
            190..290 => self.transaction(),
            290..560 => self.read_newest(),
            560..700 => self.read_kept_snapshot(),
            700..850 => self.read_history(),
            850..890 => self.keep_snapshot(),
            890..930 => self.compare_changes(),
            930..950 => self.compare_diff(),
            950..985 => self.compare_blocks(),
            985..989 => self.flush(),
            989..992 => self.prune(),
            992..995 => self.roll_back(),
            995 => self.check_everything(),
            996 => self.read_below_the_floor(),
            997 => self.sync(),
            998 if self.rng.random_ratio(1, 3) => self.go_on_from_a_checkpoint(),
            1000..1003 => self.rebalance(),
            1003 => self.give_up_rebalance(),
            _ if self.rng.random_ratio(1, 4) => self.reopen(),
            _ => {}
        }
    }

    fn writes(&mut self, most: usize) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let count = self.rng.random_range(0..=most);
        (0..count)
            .map(|_| {
                let key = self.pool.key(&mut self.rng);
                let value = (!self.rng.random_ratio(1, 4)).then(|| value(&mut self.rng));
                (key, value)
            })
            .collect()
    }

    /// A batch, and what the oracle shall make of it.
    fn batch(&mut self) -> (Batch, Writes) {
        let most = if self.rng.random_ratio(1, 50) { 400 } else { 25 };
        let writes = self.writes(most);
        self.ops += writes.len() as u64;
        let mut batch = Batch::new();
        for (key, value) in &writes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            };
        }
        assert_eq!((batch.len(), batch.is_empty()), (writes.len(), writes.is_empty()));
        if self.rng.random_ratio(7, 8) {
            batch.set_durability(Durability::Buffered);
        }
        (batch, writes.into_iter().collect())
    }

    fn commit(&mut self) {
        let many = if self.rng.random_ratio(1, 10) { self.rng.random_range(2..8) } else { 1 };
        let batches: Vec<_> = (0..many).map(|_| self.batch()).collect();
        let handles: Vec<_> = batches
            .into_iter()
            .map(|(batch, writes)| (self.db().submit(batch).expect("a sound batch"), writes))
            .collect();
        for (handle, writes) in handles {
            let promised = handle.version();
            let version = handle.wait().expect("a sound commit");
            assert_eq!(version, promised);
            self.oracle.commit(version, writes);
        }
        self.ops += many;
    }

    fn next_block(&mut self) -> Block {
        let (height, timestamp_ms) = self.oracle.blocks.last().map_or((0, 0), |b| (b.height, b.timestamp_ms));
        let step = *[1, 1, 1, 2, 7, 1000].choose(&mut self.rng).expect("not empty");
        Block { height: height + step, timestamp_ms: timestamp_ms + self.rng.random_range(0..4) * 500 }
    }

    fn commit_block(&mut self) {
        let block = self.next_block();
        let (batch, writes) = self.batch();
        let version = self.db().commit_block(block, batch).expect("a block that rises");
        self.oracle.commit(version, writes);
        self.sealed(block, version);
    }

    fn seal_block(&mut self) {
        let block = self.next_block();
        let version = self.db().seal_block(block).expect("a block that rises");
        self.oracle.commit(version, Writes::new());
        self.sealed(block, version);
    }

    fn sealed(&mut self, block: Block, version: u64) {
        let sealed = SealedBlock { height: block.height, timestamp_ms: block.timestamp_ms, version };
        self.oracle.blocks.push(sealed);
        self.ops += 1;
    }

    /// A transaction, sometimes with another commit between its begin and its end. It must fail if what it read is no longer so, and must
    /// not if nothing that it touched was written.
    fn transaction(&mut self) {
        let isolation = if self.rng.random_ratio(1, 3) { Isolation::Snapshot } else { Isolation::Serializable };
        let mut txn = self.db().begin_with(isolation);
        let began = self.oracle.visible;
        assert_eq!(txn.version(), began);
        let mut own = Writes::new();
        let (mut keys_read, mut ranges_read) = (Vec::new(), Vec::new());
        for _ in 0..self.rng.random_range(0..12) {
            self.ops += 1;
            match self.rng.random_range(0..8) {
                0..3 => {
                    let key = self.pool.key(&mut self.rng);
                    let value = (!self.rng.random_ratio(1, 3)).then(|| value(&mut self.rng));
                    match &value {
                        Some(value) => txn.put(&key, value).expect("in bounds"),
                        None => txn.delete(&key).expect("in bounds"),
                    }
                    own.insert(key, value);
                }
                3..6 => {
                    let key = self.pool.any_key(&mut self.rng);
                    let found = txn.get(&key).expect("a sound key");
                    match own.get(&key) {
                        Some(written) => assert_eq!(&found, written, "own write of {key:?}"),
                        None => {
                            assert_eq!(found.as_ref(), self.oracle.get(&key, began), "get {key:?} in a transaction");
                            keys_read.push(key);
                        }
                    }
                }
                _ => {
                    let range = self.pool.range(&mut self.rng);
                    let mut expected: Writes =
                        self.oracle.range(&range, began).map(|(k, v)| (k.clone(), Some(v.clone()))).collect();
                    let inside = |key: &Vec<u8>| std::ops::RangeBounds::contains(&range, key);
                    expected.extend(own.iter().filter(|(k, _)| inside(k)).map(|(k, v)| (k.clone(), v.clone())));
                    let mut expected = expected.into_iter().filter_map(|(k, v)| Some((k, v?)));
                    let mut scan = txn.range(range.clone());
                    loop {
                        let forward = self.rng.random();
                        let (row, wanted) = if forward {
                            (scan.next(), expected.next())
                        } else {
                            (scan.next_back(), expected.next_back())
                        };
                        assert_eq!(row.transpose().expect("sound"), wanted, "{range:?} in a transaction");
                        if wanted.is_none() {
                            break;
                        }
                    }
                    drop(scan);
                    ranges_read.push(range);
                }
            }
        }
        if self.rng.random_ratio(1, 3) {
            self.commit();
        }
        if self.rng.random_ratio(1, 8) {
            txn.abort();
            return;
        }
        let writes_touched = own.keys().any(|key| self.oracle.written_after(key, began));
        let reads_touched = keys_read.iter().any(|key| self.oracle.written_after(key, began))
            || ranges_read.iter().any(|range| self.oracle.range_written_after(range, began));
        let now = self.oracle.visible;
        let stale = match isolation {
            Isolation::Snapshot => own.keys().any(|key| self.oracle.get(key, began) != self.oracle.get(key, now)),
            Isolation::Serializable => {
                keys_read.iter().any(|key| self.oracle.get(key, began) != self.oracle.get(key, now))
                    || ranges_read
                        .iter()
                        .any(|range| !self.oracle.range(range, began).eq(self.oracle.range(range, now)))
            }
        };
        self.finish(txn, own, stale, writes_touched || (reads_touched && isolation == Isolation::Serializable));
    }

    fn finish(&mut self, txn: Transaction, own: Writes, must_conflict: bool, may_conflict: bool) {
        match txn.commit() {
            Ok(version) if own.is_empty() => assert!(version <= self.oracle.visible, "it only read"),
            Ok(version) => {
                assert!(!must_conflict, "a transaction committed though what it saw had changed");
                self.oracle.commit(version, own);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                assert!(may_conflict, "nothing that the transaction touched was written: {error}");
            }
        }
    }

    fn read_newest(&mut self) {
        assert_eq!(self.db().version(), self.oracle.visible);
        let db = self.db.as_ref().expect("open outside of `reopen`");
        self.ops += reads::check(&View::Newest(db), self.oracle.visible, &self.oracle, &self.pool, &mut self.rng);
    }

    fn keep_snapshot(&mut self) {
        if self.kept.len() == KEPT_SNAPSHOTS {
            self.kept.remove(0);
        }
        let snapshot = self.db().snapshot();
        assert_eq!(snapshot.version(), self.oracle.visible);
        self.kept.push(snapshot);
        self.ops += 1;
    }

    fn read_kept_snapshot(&mut self) {
        let Some(snapshot) = self.kept.choose(&mut self.rng).cloned() else { return };
        let at = snapshot.version();
        if self.oracle.is_retracted(at) {
            let key = self.pool.key(&mut self.rng);
            let kind = snapshot.get(key).expect_err("its version was rolled back").kind();
            assert_eq!(kind, ErrorKind::RolledBack);
            let kind = snapshot.prefix("").next().map(|row| row.expect_err("its version was rolled back").kind());
            assert!(matches!(kind, None | Some(ErrorKind::RolledBack)), "{kind:?}");
            self.ops += 2;
        } else {
            self.ops += reads::check(&View::Snapshot(&snapshot), at, &self.oracle, &self.pool, &mut self.rng);
        }
    }

    fn flush(&mut self) {
        self.db().flush().expect("room on the disk");
        self.ops += 1;
    }

    fn sync(&mut self) {
        self.db().sync().expect("a sound disk");
        self.ops += 1;
    }

    /// Back by a few blocks, as a reorganisation goes; seldom far back.
    fn roll_back(&mut self) {
        let blocks = self.oracle.blocks.len();
        let depth = if self.rng.random_ratio(1, 10) { blocks } else { blocks.min(5) };
        let Some(block) = blocks.checked_sub(self.rng.random_range(0..=depth)).and_then(|n| self.oracle.blocks.get(n))
        else {
            let nowhere = self.oracle.blocks.last().map_or(1, |block| block.height + 1);
            let refused = self.db().rollback_to(nowhere).expect_err("there is no such block");
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
            return;
        };
        let block = *block;
        if block.version < self.oracle.floor {
            assert_eq!(self.db().rollback_to(block.height).expect_err("it was pruned").kind(), ErrorKind::Pruned);
            return;
        }
        let now = self.db().rollback_to(block.height).expect("a retained block");
        if self.oracle.visible == block.version {
            assert_eq!(now, block.version, "there was nothing to roll back");
        } else {
            self.oracle.roll_back(block.version, now);
        }
        assert_eq!(self.db().version(), self.oracle.visible);
        self.ops += 1;
    }

    fn reopen(&mut self) {
        if matches!(self.shape.place, Place::Memory) {
            return;
        }
        self.kept.clear();
        let db = self.db.take().expect("open outside of `reopen`");
        if self.rng.random() {
            db.close().expect("a sound disk");
        } else {
            drop(db);
        }
        self.open();
        assert_eq!(self.db().version(), self.oracle.visible, "after reopening");
        self.ops += 1;
    }

    /// From here on the run is with the store that was restored.
    fn go_on_from_a_checkpoint(&mut self) {
        if matches!(self.shape.place, Place::Memory) {
            return;
        }
        self.kept.clear();
        let [store, restored] = ["store", "restored"].map(|name| self.dir.path().join(name));
        let db = self.db.take().expect("open outside of `reopen`");
        let checkpoint = db.checkpoint("model").expect("room on the disk");
        assert_eq!((checkpoint.version, checkpoint.block), (db.version(), db.head()));
        db.close().expect("a sound disk");
        Database::restore(&checkpoint.path, &restored, &RestoreOptions::default(), &|_| {})
            .expect("a sound checkpoint");
        std::fs::remove_dir_all(&store).expect("nobody has it open");
        std::fs::rename(&restored, &store).expect("the place is free");
        self.open();
        assert_eq!(self.db().version(), self.oracle.visible, "after restoring");
        self.ops += 1;
    }

    fn check_everything(&mut self) {
        reads::check_all(&self.db().snapshot(), self.oracle.visible, &self.oracle);
        let report = self.db().verify(&|_| {}).expect("room on the disk");
        assert!(report.is_sound(), "{report:?}");
        for block in self.oracle.blocks.iter().rev().take(3).filter(|block| block.version >= self.oracle.floor) {
            let snapshot = self.db().snapshot_at(At::Height(block.height)).expect("a retained block");
            reads::check_all(&snapshot, block.version, &self.oracle);
        }
        self.ops += 1;
    }
}

/// Budgets so small that flushes and evictions happen all the time, or so large that they do not.
fn random_config(rng: &mut SmallRng) -> Config {
    let mut config = Config::default();
    if rng.random_ratio(2, 3) {
        config.rocksdb.write_buffer_size = *[64 << 10, 256 << 10, 1 << 20].choose(rng).expect("three sizes");
        config.rocksdb.max_write_buffer_number = 2;
        config.log.segment_bytes = 1 << 20;
    }
    // From a handful of rows, and filters that are given up, to more than there is.
    config.row_cache_size = *[0, 8 << 10, 64 << 10, 8 << 20].choose(rng).expect("four sizes");
    config.rocksdb.block_cache_size = *[1 << 20, 32 << 20].choose(rng).expect("two sizes");
    config.flush.blocks_per_flush = *[1, 5, 100].choose(rng).expect("three steps");
    config.flush.keep_recent_versions = *[0, 10, 1000].choose(rng).expect("three windows");
    config.flush.flush_on_start = rng.random();
    config.prune.reorg_window_blocks = *[0, 1, 5].choose(rng).expect("three windows");
    config
}
