//! Repair: what is damaged, and what brings it back. The store itself is only read.

use crate::blocks::{BlockIndex, BlocksFile};
use crate::checkpoint::{Checkpoint, checkpoints, verify_checkpoint};
use crate::layout::repair_beside;
use crate::lock::StoreLock;
use crate::log::{Held, Log, LogOptions, SEGMENT_BYTES_DEFAULT};
use crate::manifest::Manifest;
use crate::open::within_file_limit;
use crate::slot::RoutingKey;
use crate::verify::pair_hash;
use crate::{Error, ErrorKind, Result};
use shingle_shard::backend::{Backend, RocksBackend, RocksOptions, RocksShared};
use shingle_shard::{Version, key_hash};
use std::fs;
use std::path::{Path, PathBuf};

/// What examining a store found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct RepairReport {
    /// What is wrong with the manifest; then nothing else could be looked at.
    pub manifest: Option<String>,
    /// What is wrong with the block index.
    pub blocks: Option<String>,
    /// What is wrong with the commit log.
    pub log: Option<String>,
    /// Each shard.
    pub shards: Vec<ShardDiagnosis>,
    /// If anything is damaged: the newest checkpoint that is sound.
    pub checkpoint: Option<Checkpoint>,
    /// If anything is damaged: newer checkpoints, and why they are of no use.
    pub damaged_checkpoints: Vec<(String, String)>,
}

/// What examining a shard found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ShardDiagnosis {
    /// The shard's number.
    pub number: usize,
    /// Its directory.
    pub path: PathBuf,
    /// What is wrong with it; `None`: nothing.
    pub damage: Option<String>,
    /// What became of the attempt to repair a copy of it.
    pub repair: Option<ShardRepair>,
}

/// What RocksDB's repair made of a copy.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShardRepair {
    /// A shard that was verified: it can take the damaged one's place.
    Repaired {
        /// Its directory, beside the damaged one.
        copy: PathBuf,
    },
    /// Nothing of use. The copy is removed.
    Failed {
        /// Why.
        why: String,
    },
}

impl RepairReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let store = [&self.manifest, &self.blocks, &self.log].into_iter().all(Option::is_none);
        store && self.shards.iter().all(|shard| shard.damage.is_none())
    }
}

/// Examines the store in `dir`. Shards are examined as copies, which share their tables: opening an instance writes to it.
///
/// # Errors
/// No store, or one that is open; a full disk; I/O.
pub fn repair(dir: &Path, progress: &dyn Fn(&str)) -> Result<RepairReport> {
    if !Manifest::is_there(dir)? && checkpoints(dir)?.is_empty() {
        return Err(Error::not_a_store(dir));
    }
    let _lock = StoreLock::acquire(dir)?;
    let mut report = RepairReport::default();
    match Manifest::load(dir) {
        Ok(manifest) => examine(dir, &manifest, &mut report, progress)?,
        Err(error) => report.manifest = Some(damage(error)?),
    }
    if !report.is_sound() {
        for checkpoint in checkpoints(dir)?.into_iter().rev() {
            progress(&format!("checkpoint {}", checkpoint.name));
            match usable(&checkpoint) {
                Ok(()) => {
                    report.checkpoint = Some(checkpoint);
                    break;
                }
                Err(why) => report.damaged_checkpoints.push((checkpoint.name, why)),
            }
        }
    }
    Ok(report)
}

fn usable(checkpoint: &Checkpoint) -> Result<(), String> {
    let report = verify_checkpoint(&checkpoint.path, &|_| {}).map_err(|error| error.to_string())?;
    match report.damage.first() {
        Some(damage) => Err(format!("{}: {}", damage.path.display(), damage.what)),
        None => Ok(()),
    }
}

/// What is wrong with what was looked at. Anything else keeps it from being looked at.
fn damage(error: Error) -> Result<String> {
    let damaged = matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Mismatch | ErrorKind::NotAStore);
    if damaged { Ok(error.to_string()) } else { Err(error) }
}

fn examine(dir: &Path, manifest: &Manifest, report: &mut RepairReport, progress: &dyn Fn(&str)) -> Result<()> {
    progress("block index");
    let blocks = match BlocksFile::open(dir, manifest.store_id) {
        Ok((_, index)) => Some(index),
        Err(error) => {
            report.blocks = Some(damage(error)?);
            None
        }
    };
    let paths = manifest.shard_dirs(dir);
    let rocks = within_file_limit(&RocksOptions::default(), paths.len())?;
    let shared = RocksShared::new(&rocks, paths.len())?;
    let clinic = Clinic { manifest, blocks: blocks.as_ref(), rocks, shared };
    let mut marks = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        progress(&format!("shard {number}"));
        let mut diagnosis = ShardDiagnosis { number, path: path.clone(), damage: None, repair: None };
        match clinic.examine(number, path) {
            Ok(mark) => marks.push(mark),
            Err(error) => {
                // What was read is the copy, which is gone now.
                let copy = repair_beside(path);
                diagnosis.damage = Some(damage(error)?.replace(&*copy.to_string_lossy(), &path.to_string_lossy()));
                progress(&format!("shard {number}, repair"));
                diagnosis.repair = Some(clinic.try_repair(number, path)?);
            }
        }
        report.shards.push(diagnosis);
    }
    progress("commit log");
    let options = LogOptions {
        dir: manifest.log_dir(dir),
        store_id: manifest.store_id,
        segment_bytes: SEGMENT_BYTES_DEFAULT,
        recycled_max: 0,
    };
    // How far a damaged shard was flushed is not known: what the others have is not asked of the log.
    let by_any = marks.iter().copied().chain(blocks.map(|blocks| blocks.covers_through())).max().unwrap_or(0);
    let held = Held { by_all: marks.iter().copied().min().unwrap_or(by_any), by_any };
    if let Err(error) = Log::check(&options, held) {
        report.log = Some(damage(error)?);
    }
    Ok(())
}

struct Clinic<'a> {
    manifest: &'a Manifest,
    blocks: Option<&'a BlockIndex>,
    rocks: RocksOptions,
    shared: RocksShared,
}

impl Clinic<'_> {
    /// Reads everything of a copy of the shard. Returns its mark.
    fn examine(&self, number: usize, shard: &Path) -> Result<Version> {
        let copy = Copy::of(number, shard)?;
        self.verify(number, &copy.path)
    }

    fn try_repair(&self, number: usize, shard: &Path) -> Result<ShardRepair> {
        let copy = match Copy::of(number, shard) {
            Ok(copy) => copy,
            Err(error) => return Ok(ShardRepair::Failed { why: damage(error)? }),
        };
        let repaired = RocksBackend::repair(&copy.path, &self.rocks, &self.shared).map_err(Error::from);
        match repaired.and_then(|()| self.verify(number, &copy.path)) {
            Ok(_) => Ok(ShardRepair::Repaired { copy: copy.keep() }),
            // RocksDB says in many ways that it could not.
            Err(error) => {
                let why = error.to_string().replace(&*copy.path.to_string_lossy(), "its copy");
                Ok(ShardRepair::Failed { why })
            }
        }
    }

    fn verify(&self, number: usize, path: &Path) -> Result<Version> {
        let backend = RocksBackend::open(path, &self.manifest.identity(number), &self.rocks, &self.shared)?;
        let (slots, map) = (self.manifest.slots(), &self.manifest.slot_map);
        // Below the floor no change names a row. What is on its way from shard to shard, or was, may be here in part.
        let floor = self.manifest.floor;
        let may_stray = self.manifest.rebalance.as_ref().is_some_and(|unfinished| unfinished.other().is_some());
        let slot_of = |key: &[u8]| match slots.routing {
            RoutingKey::Whole => slots.slot_of_hash(key_hash(key)),
            RoutingKey::Prefix(_) => slots.slot_of(key),
        };
        let lives_here = |key: &[u8]| map.shard_of(slot_of(key)) == number;
        let (mut rows, mut changes, mut misplaced, mut rolled_back) = ((0_u64, 0_u64), (0_u64, 0_u64), 0_u64, 0_u64);
        backend.verify(
            &mut |row| {
                if may_stray && !lives_here(row.key) {
                    return Ok(());
                }
                if row.version > floor {
                    rows = (rows.0 + 1, rows.1.wrapping_add(pair_hash(row.version, row.key)));
                }
                misplaced += u64::from(!lives_here(row.key));
                rolled_back += u64::from(self.blocks.is_some_and(|blocks| blocks.rolled_back(row.version).is_some()));
                Ok(())
            },
            &mut |version, key| {
                if version > floor && (!may_stray || lives_here(key)) {
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
            return Ok(backend.applied_through());
        };
        Err(Error::Damaged { path: path.to_owned(), what })
    }
}

/// A copy of a shard's directory; removed when dropped.
struct Copy {
    path: PathBuf,
    kept: bool,
}

impl Copy {
    fn of(number: usize, shard: &Path) -> Result<Self> {
        if !shard.try_exists().map_err(|error| Error::io("look for", shard, error))? {
            return Err(Error::MissingShard { shard: number, path: shard.to_owned() });
        }
        let path = repair_beside(shard);
        // What an examination that was cut short has left, or one whose copy nobody wanted.
        let removed = match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        removed.and_then(|()| fs::create_dir(&path)).map_err(|error| Error::io("create", &path, error))?;
        let copy = Copy { path, kept: false };
        copy.fill(shard).map_err(|error| Error::io("copy", shard, error))?;
        Ok(copy)
    }

    fn fill(&self, shard: &Path) -> std::io::Result<()> {
        for entry in fs::read_dir(shard)? {
            let entry = entry?;
            let (from, to) = (entry.path(), self.path.join(entry.file_name()));
            if !entry.file_type()?.is_file() {
                continue;
            }
            // Tables never change, and nothing else may be shared.
            let is_table = from.extension().is_some_and(|extension| extension == "sst");
            if !(is_table && fs::hard_link(&from, &to).is_ok()) {
                fs::copy(&from, &to)?;
            }
        }
        Ok(())
    }

    fn keep(mut self) -> PathBuf {
        self.kept = true;
        self.path.clone()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if !self.kept {
            // The next one removes what is left.
            let _left = fs::remove_dir_all(&self.path);
        }
    }
}
