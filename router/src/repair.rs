//! Repair: what is damaged, and what brings it back. The store itself is only read.

mod clinic;
mod copy;

use crate::blocks::{BlockIndex, BlocksFile};
use crate::checkpoint::{Checkpoint, checkpoints, verify_checkpoint};
use crate::lock::StoreLock;
use crate::log::{Frame, Held, Kind, Log, LogOptions, RollbackRecord, SEGMENT_BYTES_DEFAULT};
use crate::manifest::Manifest;
use crate::{Error, ErrorKind, Result};
use clinic::{Clinic, Patient, Undone};
use shingle_shard::Version;
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
    /// If the commit log is damaged: the last good version, where it can be cut off; `None`: it cannot.
    pub log_last_good: Option<Version>,
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

/// 1. A copy of each shard is opened: that tells how far it was flushed.
/// 2. From there on, the log holds what the shards do not have, be the store's end what it was.
/// 3. Of each shard is judged what the log will not do again.
fn examine(dir: &Path, manifest: &Manifest, report: &mut RepairReport, progress: &dyn Fn(&str)) -> Result<()> {
    progress("block index");
    let blocks = match BlocksFile::open(dir, manifest.store_id) {
        Ok((_, index)) => Some(index),
        Err(error) => {
            report.blocks = Some(damage(error)?);
            None
        }
    };
    let mut clinic = Clinic::new(dir, manifest, blocks)?;
    let mut patients = Vec::new();
    for (number, path) in manifest.shard_dirs(dir).into_iter().enumerate() {
        progress(&format!("shard {number}, copy"));
        let opened = clinic.admit(number, &path);
        patients.push((path, opened));
    }
    progress("commit log");
    let marks: Vec<_> = patients.iter().filter_map(|(_, opened)| Some(opened.as_ref().ok()?.mark())).collect();
    // How far a damaged shard was flushed is not known: what the others have is not asked of the log.
    let by_any = marks.iter().copied().chain(clinic.blocks.as_ref().map(BlockIndex::covers_through)).max().unwrap_or(0);
    let held = Held { by_all: marks.into_iter().min().unwrap_or(by_any), by_any };
    if let Err(error) = read_log(dir, manifest, held, &mut clinic.undone) {
        if let Error::LogDamaged { last_good, .. } = error {
            report.log_last_good = Some(last_good);
        }
        report.log = Some(damage(error)?);
    }
    for (number, (path, opened)) in patients.into_iter().enumerate() {
        progress(&format!("shard {number}"));
        let mut diagnosis = ShardDiagnosis { number, path, damage: None, repair: None };
        if let Err(error) = opened.and_then(|patient: Patient| clinic.examine(patient)) {
            let path = &diagnosis.path;
            diagnosis.damage = Some(copy::of_the_original(&damage(error)?, path));
            progress(&format!("shard {number}, repair"));
            diagnosis.repair = Some(clinic.try_repair(number, path)?);
        }
        report.shards.push(diagnosis);
    }
    Ok(())
}

/// Checks the log, and notes what the next opening will take back.
fn read_log(dir: &Path, manifest: &Manifest, held: Held, undone: &mut Vec<Undone>) -> Result<()> {
    let options = LogOptions {
        dir: manifest.log_dir(dir),
        store_id: manifest.store_id,
        segment_bytes: SEGMENT_BYTES_DEFAULT,
        recycled_max: 0,
    };
    Log::check(&options, held, &mut |frame: Frame<'_>| {
        if frame.kind == Kind::Rollback {
            let record = RollbackRecord::decode(frame.payload);
            let keep = record.ok_or(Error::UnreadableCommit { version: frame.version })?.keep_version;
            undone.push(Undone { keep, at: frame.version });
        }
        Ok(())
    })
}
