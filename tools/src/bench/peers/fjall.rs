//! fjall 3, as its documentation advises: one keyspace, batches, `expect_point_read_hits` left off because absent keys are read too.

use super::{durability_text, quiet};
use crate::args::{BenchOptions, DurabilityArg};
use crate::bench::recorder::Recorder;
use crate::bench::shingle::WRITE_BUFFERS;
use crate::bench::store::{Client, Found, Reader, Store, Writes};
use crate::units;
use anyhow::bail;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use std::path::Path;
use std::time::Instant;

/// fjall refuses less.
const JOURNAL_BYTES_MIN: u64 = 64 << 20;

pub(super) const KEYSPACE: &str = "bench";

/// The builders of plain and transactional databases have one type each, and no common trait that can be named. The journal holds what
/// the memtables do, so it may grow as large.
macro_rules! configured {
    ($builder:expr, $bench:expr) => {
        $builder
            .cache_size($bench.cache)
            .worker_threads($bench.jobs as usize)
            .max_journaling_size($crate::bench::peers::fjall::journal_bytes($bench))
    };
}
pub(super) use configured;

pub(super) fn journal_bytes(bench: &BenchOptions) -> u64 {
    bench.memtables.max(JOURNAL_BYTES_MIN)
}

pub(in crate::bench) struct Fjall {
    db: Database,
    keyspace: Keyspace,
    bench: BenchOptions,
}

impl Fjall {
    pub(in crate::bench) fn open(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        let db = configured!(Database::builder(dir), bench).open()?;
        let keyspace = db.keyspace(KEYSPACE, || keyspace_options(bench))?;
        Ok(Fjall { db, keyspace, bench: bench.clone() })
    }
}

pub(super) fn keyspace_options(bench: &BenchOptions) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(bench.memtables / u64::from(WRITE_BUFFERS))
}

pub(super) fn mode(bench: &BenchOptions) -> PersistMode {
    match bench.durability {
        DurabilityArg::Sync => PersistMode::SyncData,
        DurabilityArg::Buffered => PersistMode::Buffer,
    }
}

pub(super) fn describe(bench: &BenchOptions) -> Vec<(&'static str, String)> {
    vec![
        ("versions", "the newest one only".to_owned()),
        durability_text(bench, "PersistMode::SyncData", "PersistMode::Buffer"),
        ("memtables", format!("of {}", units::bytes(bench.memtables / u64::from(WRITE_BUFFERS)))),
        ("journals", units::bytes(journal_bytes(bench))),
        ("block cache", units::bytes(bench.cache)),
        ("background threads", bench.jobs.to_string()),
        ("filters, compression, compaction", "fjall's own defaults: blooms, lz4 from level 2 on, levels".to_owned()),
    ]
}

/// Flushes, and waits until nothing is left to flush or compact.
pub(super) fn settle(db: &Database, keyspace: &Keyspace) -> anyhow::Result<Instant> {
    keyspace.rotate_memtable_and_wait()?;
    quiet::wait(|| {
        let work = (db.outstanding_flushes(), db.active_compactions());
        // Work that goes on makes a difference at every look.
        let busy = (work != (0, 0)).then(Instant::now);
        Ok((busy, db.compactions_completed(), keyspace.table_count()))
    })
}

struct Block<'a> {
    batch: OwnedWriteBatch,
    keyspace: &'a Keyspace,
}

impl Writes for Block<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.batch.insert(self.keyspace, key, value);
    }
}

pub(super) fn commit_block(
    db: &Database,
    keyspace: &Keyspace,
    mode: PersistMode,
    fill: &mut dyn FnMut(&mut dyn Writes),
) -> anyhow::Result<()> {
    let mut block = Block { batch: db.batch().durability(Some(mode)), keyspace };
    fill(&mut block);
    Ok(block.batch.commit()?)
}

impl Store for Fjall {
    fn configuration(&self) -> Vec<(&'static str, String)> {
        describe(&self.bench)
    }

    fn commit_block(&self, _height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        commit_block(&self.db, &self.keyspace, mode(&self.bench), fill)
    }

    fn settle(&self) -> anyhow::Result<Instant> {
        settle(&self.db, &self.keyspace)
    }

    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>> {
        Ok(Box::new(&self.keyspace))
    }

    fn reader_at(&self, _height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>> {
        Ok(None)
    }

    fn client(&self, _in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>> {
        Ok(Box::new(self))
    }
}

impl Reader for &Keyspace {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<Found>> {
        Ok(Keyspace::get(self, key)?.map(|value| Found::of(&value)))
    }

    fn scan(&mut self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
        for row in self.range(from..).take(limit) {
            let (key, value) = row.into_inner()?;
            each(&key, &value);
        }
        Ok(())
    }
}

impl Client for &Fjall {
    fn add(
        &mut self,
        _keys: &[&[u8]],
        _amounts: &[u64],
        _due: Instant,
        _recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        bail!("a plain fjall has no transactions")
    }

    fn put(&mut self, key: &[u8], value: &[u8], due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        commit_block(&self.db, &self.keyspace, mode(&self.bench), &mut |writes| writes.put(key, value))?;
        recorder.done(due, 0);
        Ok(())
    }
}
