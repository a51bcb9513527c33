//! A store that takes part: opened, closed and opened again.

use super::rocks;
use super::shingle::Shingle;
use super::store::Store;
use crate::args::{BenchOptions, Peer};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// What a workload asks of how its stores are opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opening {
    /// Clients run transactions.
    pub(crate) transactions: bool,
    /// So much is committed, and nothing flushed before a store is told to, so that its log grows.
    pub(crate) long_log_bytes: Option<u64>,
}

/// Memtables are so many times as large as what must not be flushed: a store has several, and begins to flush before all are full.
const LONG_LOG_MEMTABLES: u64 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Shingle { shards: u64 },
    Peer(Peer),
}

/// A store that takes part in a benchmark.
pub(crate) struct Contender {
    place: usize,
    kind: Kind,
    name: String,
    dir: PathBuf,
    options: BenchOptions,
    opening: Opening,
    store: Option<Box<dyn Store>>,
}

impl Contender {
    /// Shingle with each number of shards first, then the others, each in a directory of its own in `dir`.
    pub(crate) fn all(options: &BenchOptions, opening: Opening, dir: &Path) -> Vec<Contender> {
        let mut options = options.clone();
        if let Some(bytes) = opening.long_log_bytes {
            options.memtables = options.memtables.max(bytes.saturating_mul(LONG_LOG_MEMTABLES));
        }
        let several = options.shards.len() > 1;
        let shingles = options.shards.iter().map(|&shards| {
            let name = match shards {
                _ if !several => "shingle".to_owned(),
                1 => "shingle, 1 shard".to_owned(),
                _ => format!("shingle, {shards} shards"),
            };
            (Kind::Shingle { shards }, name, format!("shingle-{shards}"))
        });
        let peers = options.against.iter().map(|&peer| {
            let name = peer.name();
            (Kind::Peer(peer), name.clone(), name)
        });
        let contenders = shingles.chain(peers).enumerate().map(|(place, (kind, name, dir_name))| Contender {
            place,
            kind,
            name,
            dir: dir.join(dir_name),
            options: options.clone(),
            opening,
            store: None,
        });
        contenders.collect()
    }

    /// As it stands in the results.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The number of shards, if it is Shingle.
    pub(crate) fn shards(&self) -> Option<u64> {
        match self.kind {
            Kind::Shingle { shards } => Some(shards),
            Kind::Peer(_) => None,
        }
    }

    /// Its place among the contenders, from 0 on.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The store; opened if it is not.
    pub(crate) fn store(&mut self) -> anyhow::Result<&dyn Store> {
        let store = match self.store.take() {
            Some(store) => store,
            None => self.open().with_context(|| format!("cannot open {}", self.dir.display()))?,
        };
        Ok(&**self.store.insert(store))
    }

    pub(crate) fn close(&mut self) {
        self.store = None;
    }

    /// Closes it and removes all that it has written.
    pub(crate) fn remove(&mut self) -> anyhow::Result<()> {
        self.close();
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn open(&self) -> anyhow::Result<Box<dyn Store>> {
        let (options, opening, dir) = (&self.options, self.opening, self.dir.as_path());
        std::fs::create_dir_all(dir)?;
        Ok(match self.kind {
            Kind::Shingle { shards } => Box::new(Shingle::open(options, opening, shards, dir)?),
            Kind::Peer(Peer::Rocksdb) if opening.transactions => Box::new(rocks::Rocks::transactional(options, dir)?),
            Kind::Peer(Peer::Rocksdb) => Box::new(rocks::Rocks::plain(options, dir)?),
            Kind::Peer(Peer::RocksdbVersioned) => Box::new(rocks::Versioned::open(options, opening, dir)?),
            #[cfg(feature = "peers")]
            Kind::Peer(Peer::Fjall) if opening.transactions => {
                Box::new(super::peers::FjallTransactional::open(options, dir)?)
            }
            #[cfg(feature = "peers")]
            Kind::Peer(Peer::Fjall) => Box::new(super::peers::Fjall::open(options, dir)?),
            #[cfg(feature = "peers")]
            Kind::Peer(Peer::Redb) => Box::new(super::peers::Redb::open(options, dir)?),
            #[cfg(feature = "peers")]
            Kind::Peer(Peer::Lmdb) => Box::new(super::peers::Lmdb::open(options, dir)?),
            #[cfg(feature = "peers")]
            Kind::Peer(Peer::Surrealkv) => Box::new(super::peers::Surrealkv::open(options, dir)?),
        })
    }
}
