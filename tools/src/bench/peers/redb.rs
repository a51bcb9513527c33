//! redb 4: a copy-on-write tree, one writer at a time.

use super::durability_text;
use crate::args::{BenchOptions, DurabilityArg};
use crate::bench::recorder::Recorder;
use crate::bench::store::{Client, Found, Reader, Store, Writes, added};
use crate::units;
use anyhow::ensure;
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction,
};
use std::path::Path;
use std::time::Instant;

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bench");

pub(in crate::bench) struct Redb {
    db: Database,
    bench: BenchOptions,
}

impl Redb {
    pub(in crate::bench) fn open(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        let sync = bench.durability == DurabilityArg::Sync;
        ensure!(sync, "redb commits to disk or to its own memory; nothing in between is to be had");
        let db = Database::builder().set_cache_size(bench.cache as usize).create(dir.join("redb"))?;
        Ok(Redb { db, bench: bench.clone() })
    }

    fn write(&self, write: impl FnOnce(&mut Table<'_, &[u8], &[u8]>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut txn: WriteTransaction = self.db.begin_write()?;
        txn.set_durability(Durability::Immediate)?;
        write(&mut txn.open_table(TABLE)?)?;
        Ok(txn.commit()?)
    }
}

/// Keeps the first failure: filling a block cannot fail by itself.
struct Block<'a, 't> {
    table: &'a mut Table<'t, &'static [u8], &'static [u8]>,
    failed: Option<redb::StorageError>,
}

impl Writes for Block<'_, '_> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        if let Err(error) = self.table.insert(key, value) {
            self.failed.get_or_insert(error);
        }
    }
}

impl Store for Redb {
    fn configuration(&self) -> Vec<(&'static str, String)> {
        vec![
            ("versions", "the newest one only".to_owned()),
            durability_text(&self.bench, "Durability::Immediate", ""),
            ("cache", units::bytes(self.bench.cache)),
            ("writers", "one at a time".to_owned()),
            ("readers", "one read transaction for as long as the state stays the same".to_owned()),
        ]
    }

    fn commit_block(&self, _height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        self.write(|table| {
            let mut block = Block { table, failed: None };
            fill(&mut block);
            block.failed.map_or(Ok(()), |error| Err(error.into()))
        })
    }

    /// A commit leaves nothing behind.
    fn settle(&self) -> anyhow::Result<Instant> {
        Ok(Instant::now())
    }

    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>> {
        Ok(Box::new(RedbReader { table: self.db.begin_read()?.open_table(TABLE)?, db: &self.db }))
    }

    fn reader_at(&self, _height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>> {
        Ok(None)
    }

    fn client(&self, _in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>> {
        Ok(Box::new(self))
    }
}

struct RedbReader<'a> {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
    db: &'a Database,
}

impl Reader for RedbReader<'_> {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<Found>> {
        Ok(self.table.get(key)?.map(|value| Found::of(value.value())))
    }

    fn scan(&mut self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()> {
        for row in self.table.range(from..)?.take(limit) {
            let (key, value) = row?;
            each(key.value(), value.value());
        }
        Ok(())
    }

    fn refresh(&mut self) -> anyhow::Result<()> {
        self.table = self.db.begin_read()?.open_table(TABLE)?;
        Ok(())
    }
}

/// There is one writer at a time, so that transactions never conflict.
impl Client for &Redb {
    fn add(
        &mut self,
        keys: &[&[u8]],
        amounts: &[u64],
        due: Instant,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        self.write(|table| {
            for (key, amount) in keys.iter().zip(amounts) {
                let value = added(table.get(*key)?.as_ref().map(|value| value.value()), *amount)?;
                table.insert(*key, value.as_slice())?;
            }
            Ok(())
        })?;
        recorder.done(due, 0);
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8], due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.write(|table| {
            table.insert(key, value)?;
            Ok(())
        })?;
        recorder.done(due, 0);
        Ok(())
    }
}
