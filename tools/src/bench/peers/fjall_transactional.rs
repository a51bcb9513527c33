//! fjall 3 with its optimistic, serializable transactions.

use super::fjall::{KEYSPACE, commit_block, configured, describe, keyspace_options, mode, settle};
use crate::args::BenchOptions;
use crate::bench::recorder::Recorder;
use crate::bench::store::{Client, Reader, Store, Writes, added};
use fjall::{Conflict, OptimisticTxDatabase, OptimisticTxKeyspace, Readable};
use std::path::Path;
use std::time::Instant;

pub(in crate::bench) struct FjallTransactional {
    db: OptimisticTxDatabase,
    keyspace: OptimisticTxKeyspace,
    bench: BenchOptions,
}

impl FjallTransactional {
    pub(in crate::bench) fn open(bench: &BenchOptions, dir: &Path) -> anyhow::Result<Self> {
        let db = configured!(OptimisticTxDatabase::builder(dir), bench).open()?;
        let keyspace = db.keyspace(KEYSPACE, || keyspace_options(bench))?;
        Ok(FjallTransactional { db, keyspace, bench: bench.clone() })
    }

    fn try_add(&self, keys: &[&[u8]], amounts: &[u64]) -> anyhow::Result<Result<(), Conflict>> {
        let mut txn = self.db.write_tx()?.durability(Some(mode(&self.bench)));
        for (key, amount) in keys.iter().zip(amounts) {
            let value = added(txn.get(&self.keyspace, key)?.as_deref(), *amount)?;
            txn.insert(&self.keyspace, *key, value);
        }
        Ok(txn.commit()?)
    }
}

impl Store for FjallTransactional {
    fn configuration(&self) -> Vec<(&'static str, String)> {
        let mut configuration = describe(&self.bench);
        configuration.push(("transactions", "OptimisticTxDatabase, each waited for".to_owned()));
        configuration
    }

    fn commit_block(&self, _height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()> {
        commit_block(self.db.inner(), self.keyspace.inner(), mode(&self.bench), fill)
    }

    fn settle(&self) -> anyhow::Result<Instant> {
        settle(self.db.inner(), self.keyspace.inner())
    }

    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>> {
        Ok(Box::new(self.keyspace.inner()))
    }

    fn reader_at(&self, _height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>> {
        Ok(None)
    }

    fn client(&self, _in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>> {
        Ok(Box::new(self))
    }
}

impl Client for &FjallTransactional {
    fn add(
        &mut self,
        keys: &[&[u8]],
        amounts: &[u64],
        due: Instant,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        while let Err(Conflict) = self.try_add(keys, amounts)? {
            recorder.conflict();
        }
        recorder.done(due, 0);
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8], due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let mut txn = self.db.write_tx()?.durability(Some(mode(&self.bench)));
        txn.insert(&self.keyspace, key, value);
        // It has read nothing that another could have written.
        let _ = txn.commit()?;
        recorder.done(due, 0);
        Ok(())
    }
}
