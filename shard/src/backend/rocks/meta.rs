//! What an instance knows of itself: which shard it is, how far runs are applied, and which epoch wrote last.
//!
//! The meta family alone goes through RocksDB's log, and each write is synced before it counts.

use super::error::classify;
use super::layout::{EPOCH_KEY, IDENTITY_KEY, MARK_KEY};
use crate::{Error, Result, Version};
use rocksdb::{DB, WriteOptions};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which shard of which store an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The store's id.
    pub store: String,
    /// The shard's number.
    pub shard: u32,
    /// The format of everything in the shard's directory.
    pub format: u32,
}

impl Identity {
    /// `format (u32, big-endian) │ shard (u32, big-endian) │ store`
    fn encode(&self) -> Vec<u8> {
        [&self.format.to_be_bytes()[..], &self.shard.to_be_bytes(), self.store.as_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first_chunk()?;
        let (shard, store) = rest.split_first_chunk()?;
        let store = String::from_utf8(store.to_vec()).ok()?;
        Some(Identity { store, shard: u32::from_be_bytes(*shard), format: u32::from_be_bytes(*format) })
    }

    /// How `found` differs, in words.
    fn difference(&self, found: &Self) -> String {
        if self.store != found.store {
            format!("it belongs to store {}, not to {}", found.store, self.store)
        } else if self.shard != found.shard {
            format!("it is shard {}, not shard {}", found.shard, self.shard)
        } else {
            format!("it has format {}, not {}", found.format, self.format)
        }
    }
}

/// The mark and the epoch, as they stand on disk.
#[derive(Debug)]
pub(super) struct Meta {
    /// Written by the one thread that applies or retracts, after the disk has it.
    mark: AtomicU64,
    epoch: AtomicU64,
}

impl Meta {
    /// Checks the identity and reads the rest. Writes the identity if there is none and `create` says so.
    pub(super) fn open(db: &DB, path: &Path, identity: &Identity, create: bool) -> Result<Self> {
        match read(db, path, IDENTITY_KEY)? {
            Some(found) => {
                let found = Identity::decode(&found).ok_or_else(|| damaged(path, "its identity cannot be read"))?;
                if found != *identity {
                    return Err(Error::Foreign { path: path.into(), what: identity.difference(&found) });
                }
            }
            None if create => write(db, path, IDENTITY_KEY, &identity.encode())?,
            None => {
                return Err(Error::Foreign {
                    path: path.into(),
                    what: "it says of no store that it belongs to it".into(),
                });
            }
        }
        Ok(Meta {
            mark: AtomicU64::new(read_number(db, path, MARK_KEY)?),
            epoch: AtomicU64::new(read_number(db, path, EPOCH_KEY)?),
        })
    }

    pub(super) fn mark(&self) -> Version {
        self.mark.load(Ordering::Acquire)
    }

    /// Makes `mark` durable. Returns once it is.
    pub(super) fn set_mark(&self, db: &DB, path: &Path, mark: Version) -> Result<()> {
        if mark != self.mark() {
            write(db, path, MARK_KEY, &mark.to_be_bytes())?;
            self.mark.store(mark, Ordering::Release);
        }
        Ok(())
    }

    /// Refuses an epoch below the highest seen, and makes a higher one durable before anything of it is written.
    pub(super) fn enter_epoch(&self, db: &DB, path: &Path, epoch: u64) -> Result<()> {
        let newest = self.epoch.load(Ordering::Acquire);
        if epoch < newest {
            return Err(Error::StaleEpoch { path: path.into(), given: epoch, newest });
        }
        if epoch > newest {
            write(db, path, EPOCH_KEY, &epoch.to_be_bytes())?;
            self.epoch.store(epoch, Ordering::Release);
        }
        Ok(())
    }
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::Damaged { path: path.into(), what: what.into() }
}

fn read(db: &DB, path: &Path, key: &[u8]) -> Result<Option<Vec<u8>>> {
    db.get(key).map_err(|e| classify(path, &e))
}

fn read_number(db: &DB, path: &Path, key: &[u8]) -> Result<u64> {
    let Some(bytes) = read(db, path, key)? else { return Ok(0) };
    let bytes = bytes.try_into().map_err(|_| damaged(path, "its mark or epoch has not eight bytes"))?;
    Ok(u64::from_be_bytes(bytes))
}

fn write(db: &DB, path: &Path, key: &[u8], value: &[u8]) -> Result<()> {
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
    db.put_opt(key, value, &synced).map_err(|e| classify(path, &e))
}
