//! Examining a shard by a copy of it, and trying to repair that.

use super::copy::Copy;
use super::{ShardRepair, damage};
use crate::blocks::BlockIndex;
use crate::manifest::Manifest;
use crate::open::within_file_limit;
use crate::slot::RoutingKey;
use crate::verify::pair_hash;
use crate::{Error, Result};
use shingle_shard::backend::{Backend, RocksBackend, RocksOptions, RocksShared};
use shingle_shard::{Version, key_hash};
use std::path::Path;

/// A rollback that the log holds: shards that were not flushed beyond it are rolled back, again perhaps, when the store is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Undone {
    pub(super) keep: Version,
    pub(super) at: Version,
}

pub(super) struct Clinic<'a> {
    manifest: &'a Manifest,
    pub(super) blocks: Option<BlockIndex>,
    pub(super) undone: Vec<Undone>,
    rocks: RocksOptions,
    shared: RocksShared,
}

/// A copy of a shard that could be opened.
pub(super) struct Patient {
    number: usize,
    /// Closed before its files go.
    backend: RocksBackend,
    copy: Copy,
}

impl Patient {
    /// How far the shard was flushed.
    pub(super) fn mark(&self) -> Version {
        self.backend.applied_through()
    }
}

impl<'a> Clinic<'a> {
    pub(super) fn new(dir: &Path, manifest: &'a Manifest, blocks: Option<BlockIndex>) -> Result<Self> {
        let shards = manifest.shard_dirs(dir).len();
        let rocks = within_file_limit(&RocksOptions::default(), shards)?;
        let shared = RocksShared::new(&rocks, shards)?;
        Ok(Clinic { manifest, blocks, undone: Vec::new(), rocks, shared })
    }

    fn open(&self, number: usize, path: &Path) -> Result<RocksBackend> {
        Ok(RocksBackend::open(path, &self.manifest.identity(number), &self.rocks, &self.shared)?)
    }

    pub(super) fn admit(&self, number: usize, shard: &Path) -> Result<Patient> {
        let copy = Copy::of(number, shard)?;
        Ok(Patient { number, backend: self.open(number, &copy.path)?, copy })
    }

    /// Reads everything.
    pub(super) fn examine(&self, patient: Patient) -> Result<()> {
        self.verify(patient.number, &patient.copy.path, &patient.backend)
    }

    pub(super) fn try_repair(&self, number: usize, shard: &Path) -> Result<ShardRepair> {
        let copy = match Copy::of(number, shard) {
            Ok(copy) => copy,
            Err(error) => return Ok(ShardRepair::Failed { why: damage(error)? }),
        };
        let repaired = RocksBackend::repair(&copy.path, &self.rocks, &self.shared).map_err(Error::from);
        let verified = repaired.and_then(|()| self.verify(number, &copy.path, &self.open(number, &copy.path)?));
        match verified {
            Ok(()) => Ok(ShardRepair::Repaired { copy: copy.keep() }),
            // RocksDB says in many ways that it could not.
            Err(error) => {
                let why = error.to_string().replace(&*copy.path.to_string_lossy(), "its copy");
                Ok(ShardRepair::Failed { why })
            }
        }
    }

    /// The newest version that the next opening neither writes again nor takes back. Above it, what a killed process was at may be there in part.
    fn settled_through(&self, mark: Version) -> Version {
        let pending = self.undone.iter().filter(|undone| undone.at > mark);
        pending.map(|undone| undone.keep).fold(mark, Version::min)
    }

    fn verify(&self, number: usize, path: &Path, backend: &RocksBackend) -> Result<()> {
        let (slots, map) = (self.manifest.slots(), &self.manifest.slot_map);
        let settled = self.settled_through(backend.applied_through());
        // Below the floor no change names a row. What is on its way from shard to shard, or was, may be here in part.
        let floor = self.manifest.floor;
        let is_judged = |version: Version| version > floor && version <= settled;
        let may_stray = self.manifest.rebalance.as_ref().is_some_and(|unfinished| unfinished.other().is_some());
        let slot_of = |key: &[u8]| match slots.routing {
            RoutingKey::Whole => slots.slot_of_hash(key_hash(key)),
            RoutingKey::Prefix(_) => slots.slot_of(key),
        };
        let lives_here = |key: &[u8]| map.shard_of(slot_of(key)) == number;
        let was_rolled_back =
            |version| self.blocks.as_ref().is_some_and(|blocks| blocks.rolled_back(version).is_some());
        let (mut rows, mut changes, mut misplaced, mut rolled_back) = ((0_u64, 0_u64), (0_u64, 0_u64), 0_u64, 0_u64);
        backend.verify(
            &mut |row| {
                if may_stray && !lives_here(row.key) {
                    return Ok(());
                }
                if is_judged(row.version) {
                    rows = (rows.0 + 1, rows.1.wrapping_add(pair_hash(row.version, row.key)));
                }
                misplaced += u64::from(!lives_here(row.key));
                rolled_back += u64::from(row.version <= settled && was_rolled_back(row.version));
                Ok(())
            },
            &mut |version, key| {
                if is_judged(version) && (!may_stray || lives_here(key)) {
                    changes = (changes.0 + 1, changes.1.wrapping_add(pair_hash(version, key)));
                }
                Ok(())
            },
        )?;
        let what = if misplaced > 0 {
            format!("{misplaced} rows belong on another shard")
        } else if rolled_back > 0 {
            format!("{rolled_back} rows have a version that was rolled back")
        } else if rows != changes {
            format!("the index of changes names {} rows, and the rows are {}: they are not the same", changes.0, rows.0)
        } else {
            return Ok(());
        };
        Err(Error::Damaged { path: path.to_owned(), what })
    }
}
