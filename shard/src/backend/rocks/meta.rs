//! What an instance knows of itself: which shard it is, how far runs are applied, and which epoch wrote last.
//!
//! The meta family alone goes through RocksDB's log, and each write is synced before it counts.
//!
//! ```text
//! identity        → format (u32, big-endian) │ shard (u32, big-endian) │ store
//! epoch           → u64, big-endian
//! applied_through → mark (u64, big-endian) │ witness: nothing, or version (u64, big-endian) │ key
//! ```
//! The witness is a row of the last run. RocksDB takes a manifest that was cut short for one that a crash left, and forgets
//! the files that the lost end named; but then it has lost the last ingestion of all, and the witness is missing.

use super::error::classify;
use super::layout::{EPOCH_KEY, IDENTITY_KEY, MARK_KEY};
use crate::{Error, Result, Version};
use parking_lot::Mutex;
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
    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.format.to_be_bytes()[..], &self.shard.to_be_bytes(), self.store.as_bytes()].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first_chunk()?;
        let (shard, store) = rest.split_first_chunk()?;
        let store = String::from_utf8(store.to_vec()).ok()?;
        Some(Identity { store, shard: u32::from_be_bytes(*shard), format: u32::from_be_bytes(*format) })
    }

    /// How `found` differs, in words.
    pub(super) fn difference(&self, found: &Self) -> String {
        if self.store != found.store {
            format!("it belongs to store {}, not to {}", found.store, self.store)
        } else if self.shard != found.shard {
            format!("it is shard {}, not shard {}", found.shard, self.shard)
        } else {
            format!("it has format {}, not {}", found.format, self.format)
        }
    }
}

/// One row that is there as long as none is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Witness {
    pub(super) version: Version,
    pub(super) key: Vec<u8>,
}

/// The mark and the epoch, as they stand on disk. The one thread that applies or retracts changes them, after the disk has them.
#[derive(Debug)]
pub(super) struct Meta {
    mark: AtomicU64,
    epoch: AtomicU64,
    witness: Mutex<Option<Witness>>,
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
            None if create => rename(db, path, identity)?,
            None => {
                return Err(Error::Foreign {
                    path: path.into(),
                    what: "it says of no store that it belongs to it".into(),
                });
            }
        }
        let (mark, witness) = read_mark(db, path)?;
        let epoch = match read(db, path, EPOCH_KEY)? {
            Some(bytes) => split_number(&bytes).ok_or_else(|| damaged(path, "its epoch cannot be read"))?.0,
            None => 0,
        };
        Ok(Meta { mark: AtomicU64::new(mark), epoch: AtomicU64::new(epoch), witness: Mutex::new(witness) })
    }

    pub(super) fn mark(&self) -> Version {
        self.mark.load(Ordering::Acquire)
    }

    /// The row that must be there.
    pub(super) fn witness(&self) -> Option<Witness> {
        self.witness.lock().clone()
    }

    /// Makes the mark rise to `through`, durably, with a row of the run that was applied, if it had any.
    pub(super) fn raise_mark(&self, db: &DB, path: &Path, through: Version, row: Option<Witness>) -> Result<()> {
        let witness = row.or_else(|| self.witness());
        self.set_mark(db, path, through.max(self.mark()), witness)
    }

    /// Forgets a witness above `keep`, durably: its row is about to go.
    pub(super) fn dismiss_witness(&self, db: &DB, path: &Path, keep: Version) -> Result<()> {
        let witness = self.witness().filter(|witness| witness.version <= keep);
        self.set_mark(db, path, self.mark(), witness)
    }

    /// Forgets the witness, durably: its row is about to go.
    pub(super) fn release_witness(&self, db: &DB, path: &Path) -> Result<()> {
        self.set_mark(db, path, self.mark(), None)
    }

    fn set_mark(&self, db: &DB, path: &Path, mark: Version, witness: Option<Witness>) -> Result<()> {
        let mut current = self.witness.lock();
        if mark != self.mark() || witness != *current {
            let mut bytes = mark.to_be_bytes().to_vec();
            if let Some(Witness { version, key }) = &witness {
                bytes.extend_from_slice(&version.to_be_bytes());
                bytes.extend_from_slice(key);
            }
            write(db, path, MARK_KEY, &bytes)?;
            self.mark.store(mark, Ordering::Release);
            *current = witness;
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

/// Writes the identity, in place of any other.
pub(super) fn rename(db: &DB, path: &Path, identity: &Identity) -> Result<()> {
    write(db, path, IDENTITY_KEY, &identity.encode())?;
    // From the log into a file with a checksum, which the manifest names: it stays when the log is lost.
    db.flush().map_err(|e| classify(path, &e))
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::Damaged { path: path.into(), what: what.into() }
}

fn read(db: &DB, path: &Path, key: &[u8]) -> Result<Option<Vec<u8>>> {
    db.get(key).map_err(|e| classify(path, &e))
}

fn read_mark(db: &DB, path: &Path) -> Result<(Version, Option<Witness>)> {
    let Some(bytes) = read(db, path, MARK_KEY)? else { return Ok((0, None)) };
    let broken = || damaged(path, "its mark cannot be read");
    let (mark, rest) = split_number(&bytes).ok_or_else(broken)?;
    if rest.is_empty() {
        return Ok((mark, None));
    }
    let (version, key) = split_number(rest).ok_or_else(broken)?;
    Ok((mark, Some(Witness { version, key: key.to_vec() })))
}

fn split_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

fn write(db: &DB, path: &Path, key: &[u8], value: &[u8]) -> Result<()> {
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
    db.put_opt(key, value, &synced).map_err(|e| classify(path, &e))
}
