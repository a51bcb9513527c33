//! LMDB, through heed: a memory-mapped copy-on-write tree, one writer at a time.

use super::durability_text;
use crate::args::{BenchOptions, DurabilityArg};
use crate::bench::recorder::Recorder;
use crate::bench::store::{Client, Found, Reader, Store, Writes, added};
use anyhow::ensure;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};
use std::ops::Bound;
use std::path::Path;
use std::time::Instant;

/// Address space, not memory: the file grows as it is written.
const MAP_BYTES: usize = 256 << 30;

/// Compiled into LMDB.
const KEY_BYTES_MAX: u64 = 511;

/// Threads that read at the same time, at most.
const READERS_MAX: u32 = 2048;

pub(in crate::bench) struct Lmdb {
    env: Env<WithoutTls>,
    table: Database<'static, Bytes, Bytes>,
    bench: BenchOptions,
}

impl Lmdb {
    #[expect(unsafe_code, reason = "LMDB trusts that its file is mapped once, and that its flags are understood")]
    pub(in crate::bench) fn open(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        ensure!(bench.key_bytes <= KEY_BYTES_MAX, "LMDB has keys of {KEY_BYTES_MAX} bytes at most");
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(MAP_BYTES).max_readers(READERS_MAX);
        if bench.durability == DurabilityArg::Buffered {
            // SAFETY: without syncs a power cut may destroy the file; a benchmark's file is not used after one.
            unsafe { options.flags(EnvFlags::NO_SYNC) };
        }
        // SAFETY: the directory is this process's own, and is opened once at a time.
        let env = unsafe { options.open(dir) }?;
        let table = env
            .create_databases_and_commit(env.write_txn()?, |opener, txn| {
                opener.create_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
            })?
            .unwrap_commit();
        Ok(Lmdb { env, table, bench: bench.clone() })
    }
}

/// Keeps the first failure: filling a block cannot fail by itself.
struct Block<'a, 'e> {
    table: Database<'static, Bytes, Bytes>,
    txn: &'a mut RwTxn<'e>,
    failed: Option<heed::Error>,
}

impl Writes for Block<'_, '_> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        if let Err(error) = self.table.put(self.txn, key, value) {
            self.failed.get_or_insert(error);
        }
    }
}

impl Store for Lmdb {
    fn configuration(&self) -> Vec<(&'static str, String)> {
        vec![
            ("versions", "the newest one only".to_owned()),
            durability_text(&self.bench, "its default: every commit is synced", "MDB_NOSYNC"),
            ("cache", "the system's page cache, of any size".to_owned()),
            ("writers", "one at a time".to_owned()),
            ("readers", "one read transaction for as long as the state stays the same".to_owned()),
        ]
    }

    fn commit_block(&self, _height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        let mut txn = self.env.write_txn()?;
        let mut block = Block { table: self.table, txn: &mut txn, failed: None };
        fill(&mut block);
        block.failed.map_or(Ok(()), Err)?;
        Ok(txn.commit()?)
    }

    /// A commit leaves nothing behind.
    fn settle(&self) -> anyhow::Result<Instant> {
        Ok(Instant::now())
    }

    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>> {
        Ok(Box::new(LmdbReader { store: self, txn: self.env.read_txn()? }))
    }

    fn reader_at(&self, _height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>> {
        Ok(None)
    }

    fn client(&self, _in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>> {
        Ok(Box::new(self))
    }
}

struct LmdbReader<'a> {
    store: &'a Lmdb,
    txn: RoTxn<'a, WithoutTls>,
}

impl Reader for LmdbReader<'_> {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<Found>> {
        Ok(self.store.table.get(&self.txn, key)?.map(Found::of))
    }

    fn scan(&mut self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
        let range = (Bound::Included(from), Bound::Unbounded);
        for row in self.store.table.range(&self.txn, &range)?.take(limit) {
            let (key, value) = row?;
            each(key, value);
        }
        Ok(())
    }

    fn refresh(&mut self) -> anyhow::Result<()> {
        self.txn = self.store.env.read_txn()?;
        Ok(())
    }
}

/// There is one writer at a time, so that transactions never conflict.
impl Client for &Lmdb {
    fn add(
        &mut self,
        keys: &[&[u8]],
        amounts: &[u64],
        due: Instant,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        let mut txn = self.env.write_txn()?;
        for (key, amount) in keys.iter().zip(amounts) {
            let value = added(self.table.get(&txn, key)?, *amount)?;
            self.table.put(&mut txn, key, &value)?;
        }
        txn.commit()?;
        recorder.done(due, 0);
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8], due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let mut txn = self.env.write_txn()?;
        self.table.put(&mut txn, key, value)?;
        txn.commit()?;
        recorder.done(due, 0);
        Ok(())
    }
}
