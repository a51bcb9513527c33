//! SurrealKV 1, versioned: the height of a block is the timestamp of its writes.

use super::{durability_text, quiet};
use crate::args::{BenchOptions, DurabilityArg};
use crate::bench::recorder::Recorder;
use crate::bench::shingle::WRITE_BUFFERS;
use crate::bench::store::{Client, Found, Reader, Store, Writes, added};
use crate::units;
use anyhow::{bail, ensure};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use surrealkv::{CompactRangeOptions, Durability, Error, LSMIterator, Mode, Options, Transaction, Tree, TreeBuilder};
use tokio::runtime::Runtime;

pub(in crate::bench) struct Surrealkv {
    tree: Tree,
    runtime: Runtime,
    dir: PathBuf,
    /// The newest block's, or that of the newest single write.
    height: AtomicU64,
    bench: BenchOptions,
}

impl Surrealkv {
    pub(in crate::bench) fn open(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(bench.jobs as usize).enable_all().build()?;
        let options = Options::new()
            .with_path(dir.to_owned())
            .with_max_memtable_size((bench.memtables / u64::from(WRITE_BUFFERS)) as usize)
            .with_block_cache_capacity(bench.cache)
            .with_versioning(true, 0)
            .with_wal_preallocation(true);
        let tree = {
            let _inside = runtime.enter();
            TreeBuilder::with_options(options).build()?
        };
        Ok(Surrealkv { tree, runtime, dir: dir.to_owned(), height: AtomicU64::new(0), bench: bench.clone() })
    }

    fn begin(&self, mode: Mode) -> anyhow::Result<Transaction> {
        let durability = match self.bench.durability {
            DurabilityArg::Sync => Durability::Immediate,
            DurabilityArg::Buffered => Durability::Eventual,
        };
        Ok(self.tree.begin_with_mode(mode)?.with_durability(durability))
    }

    fn next_height(&self) -> u64 {
        self.height.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn try_add(&self, keys: &[&[u8]], amounts: &[u64]) -> anyhow::Result<Result<(), Error>> {
        let mut txn = self.begin(Mode::ReadWrite)?;
        let height = self.next_height();
        for (key, amount) in keys.iter().zip(amounts) {
            let value = added(txn.get_for_update(*key)?.as_deref(), *amount)?;
            txn.set_at(*key, value, height)?;
        }
        Ok(self.runtime.block_on(txn.commit()))
    }
}

impl Drop for Surrealkv {
    fn drop(&mut self) {
        if let Err(error) = self.runtime.block_on(self.tree.close()) {
            eprintln!("shingle: surrealkv did not close: {error}");
        }
    }
}

/// Keeps the first failure: filling a block cannot fail by itself.
struct Block<'a> {
    txn: &'a mut Transaction,
    height: u64,
    failed: Option<Error>,
}

impl Writes for Block<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        if let Err(error) = self.txn.set_at(key, value, self.height) {
            self.failed.get_or_insert(error);
        }
    }
}

impl Store for Surrealkv {
    fn configuration(&self) -> Vec<(&'static str, String)> {
        vec![
            ("versions", "every one is kept: the height is the timestamp".to_owned()),
            durability_text(
                &self.bench,
                "Durability::Immediate, log preallocated",
                "Durability::Eventual, log preallocated",
            ),
            ("memtables", format!("of {}", units::bytes(self.bench.memtables / u64::from(WRITE_BUFFERS)))),
            ("block cache", units::bytes(self.bench.cache)),
            ("threads of its runtime", self.bench.jobs.to_string()),
            ("filters, compression, compaction", "SurrealKV's own defaults".to_owned()),
        ]
    }

    fn commit_block(&self, height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        let mut txn = self.begin(Mode::WriteOnly)?;
        let mut block = Block { txn: &mut txn, height, failed: None };
        fill(&mut block);
        block.failed.map_or(Ok(()), Err)?;
        self.runtime.block_on(txn.commit())?;
        self.height.fetch_max(height, Ordering::Relaxed);
        Ok(())
    }

    fn settle(&self) -> anyhow::Result<Instant> {
        // A compaction to level 0 is the flush alone; the others are the tree's own to do.
        let flush =
            CompactRangeOptions { flush_memtable: true, target_level: Some(0), ..CompactRangeOptions::default() };
        self.tree.compact_range(None, None, &flush)?;
        quiet::wait(|| quiet::files(&self.dir))
    }

    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>> {
        Ok(Box::new(SurrealkvReader { store: self, txn: self.begin(Mode::ReadOnly)?, height: None }))
    }

    fn reader_at(&self, height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>> {
        Ok(Some(Box::new(SurrealkvReader { store: self, txn: self.begin(Mode::ReadOnly)?, height: Some(height) })))
    }

    fn client(&self, _in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>> {
        Ok(Box::new(self))
    }
}

struct SurrealkvReader<'a> {
    store: &'a Surrealkv,
    txn: Transaction,
    /// The newest if it is `None`.
    height: Option<u64>,
}

impl Reader for SurrealkvReader<'_> {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<Found>> {
        let value = match self.height {
            None => self.txn.get(key)?,
            Some(height) => self.txn.get_at(key, height)?,
        };
        Ok(value.map(|value| Found::of(&value)))
    }

    fn scan(&mut self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
        ensure!(self.height.is_none(), "SurrealKV scans the newest state only");
        let mut rows = self.txn.scan(from..)?;
        let mut more = rows.seek_first()?;
        for _ in 0..limit {
            if !more {
                break;
            }
            each(rows.key().user_key(), &rows.value()?);
            more = rows.next()?;
        }
        Ok(())
    }

    fn refresh(&mut self) -> anyhow::Result<()> {
        if self.height.is_some() {
            bail!("an old height stays as it is");
        }
        self.txn = self.store.begin(Mode::ReadOnly)?;
        Ok(())
    }
}

impl Client for &Surrealkv {
    fn add(
        &mut self,
        keys: &[&[u8]],
        amounts: &[u64],
        due: Instant,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        while let Err(error) = self.try_add(keys, amounts)? {
            if !matches!(error, Error::TransactionWriteConflict | Error::TransactionRetry) {
                return Err(error.into());
            }
            recorder.conflict();
        }
        recorder.done(due, 0);
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8], due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        loop {
            let mut txn = self.begin(Mode::WriteOnly)?;
            txn.set_at(key, value, self.next_height())?;
            match self.runtime.block_on(txn.commit()) {
                Ok(()) => break,
                // It refuses a write even where nothing was read.
                Err(Error::TransactionWriteConflict | Error::TransactionRetry) => recorder.conflict(),
                Err(error) => return Err(error.into()),
            }
        }
        recorder.done(due, 0);
        Ok(())
    }
}
