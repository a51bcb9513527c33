//! The manifest: what a store is, in the file `MANIFEST`.
//!
//! JSON, whose last member is the checksum of every byte before it. It is small and replaced whole.

use crate::layout::{
    FORMAT, FORMAT_REBALANCING, FORMAT_REBALANCING_AT_RATE, Layout, StoreId, parse_store_id, store_id_text,
};
use crate::rebalance::Unfinished;
use crate::slot::{RoutingKey, SHARDS_MAX, SLOTS_MAX, SlotMap, Slots};
use crate::{Error, Result, durable, sealed};
use serde::{Deserialize, Serialize};
use shingle_shard::Version;
use shingle_shard::backend::Identity;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The hash that keys are spread with; the only one there is.
pub(crate) const HASH: &str = "xxh3_64";

/// What a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) store_id: StoreId,
    /// How often the store was opened. Backends refuse writes of an earlier opening.
    pub(crate) epoch: u64,
    pub(crate) routing_key: RoutingKey,
    /// Each shard's directory, by number; relative to the store's where it lies inside.
    pub(crate) shards: Vec<PathBuf>,
    /// The log's directory; relative to the store's where it lies inside.
    pub(crate) log_dir: PathBuf,
    pub(crate) slot_map: SlotMap,
    /// The prune floor: snapshots below it are refused.
    pub(crate) floor: Version,
    /// The rebalancing under way.
    pub(crate) rebalance: Option<Unfinished>,
}

/// The manifest as it is written: a change here is a change of format.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    store_id: String,
    epoch: u64,
    hash: String,
    slots: u32,
    routing_key: RoutingKey,
    shards: Vec<PathBuf>,
    log_dir: PathBuf,
    floor: Version,
    slot_map: SlotMap,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rebalance: Option<Unfinished>,
}

/// What every format's manifest has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
    hash: Option<String>,
}

impl Manifest {
    /// Whether there is a store in `dir`.
    pub(crate) fn is_there(dir: &Path) -> Result<bool> {
        let path = Layout { dir }.manifest();
        match path.try_exists() {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
            found => found.map_err(|error| Error::io("look for", &path, error)),
        }
    }

    /// Reads the manifest of the store in `dir`; [`Error::NotAStore`] if there is none.
    pub(crate) fn load(dir: &Path) -> Result<Manifest> {
        let path = Layout { dir }.manifest();
        match std::fs::read(&path) {
            Ok(bytes) => parse(&path, &bytes),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(Error::not_a_store(dir))
            }
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    /// Replaces the manifest durably: after an error, or a crash at any moment, the old one or this one is there.
    pub(crate) fn store(&self, dir: &Path) -> Result<()> {
        let (path, new) = (Layout { dir }.manifest(), Layout { dir }.manifest_new());
        durable::write_contents(&new, self.to_text()?.as_bytes())?;
        fail::fail_point!("manifest::before_rename");
        std::fs::rename(&new, &path).map_err(|error| Error::io("rename", &new, error))?;
        fail::fail_point!("manifest::after_rename");
        durable::sync_name(&path).map_err(|error| Error::io("sync", dir, error))
    }

    /// The directories of the shards of the store in `dir`, by number.
    pub(crate) fn shard_dirs(&self, dir: &Path) -> Vec<PathBuf> {
        self.shards.iter().map(|shard| dir.join(shard)).collect()
    }

    /// What the instance of a shard must say that it is.
    pub(crate) fn identity(&self, shard: usize) -> Identity {
        Identity { store: store_id_text(&self.store_id), shard: shard as u32, format: FORMAT }
    }

    /// The directory of the log of the store in `dir`.
    pub(crate) fn log_dir(&self, dir: &Path) -> PathBuf {
        dir.join(&self.log_dir)
    }

    /// From a key to its slot.
    pub(crate) fn slots(&self) -> Slots {
        Slots { routing: self.routing_key, count: self.slot_map.slots() }
    }

    fn to_text(&self) -> Result<String> {
        let written = Written {
            format: match &self.rebalance {
                None => FORMAT,
                Some(unfinished) if unfinished.bytes_per_sec().is_none() => FORMAT_REBALANCING,
                Some(_) => FORMAT_REBALANCING_AT_RATE,
            },
            store_id: store_id_text(&self.store_id),
            epoch: self.epoch,
            hash: HASH.to_owned(),
            slots: self.slot_map.slots(),
            routing_key: self.routing_key,
            shards: self.shards.clone(),
            log_dir: self.log_dir.clone(),
            floor: self.floor,
            slot_map: self.slot_map.clone(),
            rebalance: self.rebalance.clone(),
        };
        // The one thing that JSON cannot hold is a path that is not UTF-8.
        let json = serde_json::to_string_pretty(&written)
            .map_err(|error| Error::InvalidArgument { what: format!("the manifest cannot be written: {error}") })?;
        Ok(sealed::seal(&json))
    }
}

/// `path` as it stands in a manifest: relative to the store's directory where it lies inside, so that a store can be
/// moved; absolute elsewhere.
pub(crate) fn relative_to_store(dir: &Path, path: &Path) -> Result<PathBuf> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Error::io("resolve", path, error));
    let (dir, path) = (absolute(dir)?, absolute(path)?);
    Ok(path.strip_prefix(&dir).map_or_else(|_| path.clone(), Path::to_path_buf))
}

/// A store id that no store had before, as far as chance can tell.
pub(crate) fn new_store_id() -> Result<StoreId> {
    let path = Path::new("/dev/urandom");
    let mut id = StoreId::default();
    let read = File::open(path).and_then(|mut file| io::Read::read_exact(&mut file, &mut id));
    read.map_err(|error| Error::io("read", path, error))?;
    Ok(id)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Manifest> {
    let damaged = |what: String| Error::ManifestDamaged { path: path.to_owned(), what };
    let json = sealed::unseal(bytes).map_err(damaged)?;
    let unreadable = |error: serde_json::Error| damaged(error.to_string());
    let any: AnyFormat = serde_json::from_str(&json).map_err(unreadable)?;
    let mismatch = |what, made_with, asked| Error::Mismatch { path: path.to_owned(), what, made_with, asked };
    if ![FORMAT, FORMAT_REBALANCING, FORMAT_REBALANCING_AT_RATE].contains(&any.format) {
        return Err(mismatch("format", any.format.to_string(), FORMAT.to_string()));
    }
    if any.hash.as_deref() != Some(HASH) {
        return Err(mismatch("hash", any.hash.unwrap_or_default(), HASH.to_owned()));
    }
    let written: Written = serde_json::from_str(&json).map_err(unreadable)?;
    let manifest = Manifest {
        store_id: parse_store_id(&written.store_id).ok_or_else(|| damaged("the store id is no id".to_owned()))?,
        epoch: written.epoch,
        routing_key: written.routing_key,
        shards: written.shards,
        log_dir: written.log_dir,
        slot_map: written.slot_map,
        floor: written.floor,
        rebalance: written.rebalance,
    };
    check(&manifest, written.slots).map_err(damaged)?;
    Ok(manifest)
}

fn check(manifest: &Manifest, slots: u32) -> Result<(), String> {
    let shards = manifest.shards.len();
    if shards == 0 || shards > SHARDS_MAX {
        return Err(format!("it has {shards} shards; a store has between 1 and {SHARDS_MAX}"));
    }
    if slots != manifest.slot_map.slots() || slots > SLOTS_MAX {
        return Err(format!("it has {slots} slots, but its slot map has {}", manifest.slot_map.slots()));
    }
    match manifest.slot_map.iter().find(|&shard| shard >= shards) {
        Some(shard) => Err(format!("its slot map names shard {shard}, but there are {shards}")),
        None => manifest.rebalance.as_ref().map_or(Ok(()), |unfinished| unfinished.check(shards, slots)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn manifest() -> Manifest {
        Manifest {
            store_id: *b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\xff",
            epoch: 7,
            routing_key: RoutingKey::Prefix(20),
            shards: vec![PathBuf::from("shards/000"), PathBuf::from("/mnt/fast/001"), PathBuf::from("shards/\"002\"")],
            log_dir: PathBuf::from("log"),
            slot_map: SlotMap::even(4096, 3),
            floor: u64::MAX,
            rebalance: None,
        }
    }

    fn load_text(dir: &Path, text: &[u8]) -> Result<Manifest> {
        std::fs::write(Layout { dir }.manifest(), text).expect("a writable directory");
        Manifest::load(dir)
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_is_json() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(matches!(Manifest::load(dir.path()), Err(Error::NotAStore { .. })));
        for routing_key in [RoutingKey::Whole, RoutingKey::Prefix(20)] {
            let manifest = Manifest { routing_key, ..manifest() };
            manifest.store(dir.path())?;
            assert_eq!(Manifest::load(dir.path())?, manifest);
        }
        let bytes = std::fs::read(Layout { dir: dir.path() }.manifest()).expect("just written");
        let json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(json["hash"], HASH);
        Ok(())
    }

    /// Each is written in the oldest format that can tell it, and code of that format knows every member of it.
    #[test]
    fn a_rebalancing_without_a_rate_is_read_as_it_was_written_before_there_were_rates() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (bytes_per_sec, format) in [(None, 2), (Some(1 << 20), 3)] {
            let next = SlotMap::even(4096, 2);
            let copying = Unfinished::Copying { next, shards_before: 3, shards_after: 2, bytes_per_sec };
            let manifest = Manifest { rebalance: Some(copying), ..manifest() };
            manifest.store(dir.path())?;
            assert_eq!(Manifest::load(dir.path())?, manifest);
            let bytes = std::fs::read(Layout { dir: dir.path() }.manifest()).expect("just written");
            let json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            assert_eq!(json["format"], format);
            let rebalance = json["rebalance"].as_object().expect("an object");
            let members: std::collections::BTreeSet<_> = rebalance.keys().map(String::as_str).collect();
            let mut expected = std::collections::BTreeSet::from(["next", "shards_after", "shards_before", "state"]);
            expected.extend(bytes_per_sec.map(|_| "bytes_per_sec"));
            assert_eq!(members, expected);
        }
        Ok(())
    }

    #[test]
    fn every_flipped_bit_and_every_shortening_is_damage() -> Result<()> {
        let path = Path::new("MANIFEST");
        let text = manifest().to_text()?.into_bytes();
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let kind = parse(path, &flipped).map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::Damaged), "bit {bit}");
        }
        for bytes in 0..text.len() {
            let kind = parse(path, &text[..bytes]).map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::Damaged), "{bytes} bytes");
        }
        Ok(())
    }

    #[test]
    fn contradictions_and_unknown_members_are_refused_though_the_checksum_matches() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let text = manifest().to_text()?;
        let body = text.split_once(",\n  \"checksum\"").expect("written so").0;
        assert_eq!(load_text(dir.path(), sealed::seal(body).as_bytes())?, manifest());
        for (was, becomes, kind) in [
            ("\"format\": 1", "\"format\": 4", ErrorKind::Mismatch),
            ("xxh3_64", "xxh32", ErrorKind::Mismatch),
            ("\"slots\": 4096", "\"slots\": 4095", ErrorKind::Damaged),
            ("\"/mnt/fast/001\",", "", ErrorKind::Damaged),
            ("\"format\": 1", "\"format\": 1,\n  \"unknown\": 1", ErrorKind::Damaged),
        ] {
            assert!(body.contains(was), "{was}");
            let changed = load_text(dir.path(), sealed::seal(&body.replace(was, becomes)).as_bytes());
            assert_eq!(changed.map_err(|error| error.kind()), Err(kind), "{becomes}");
        }
        Ok(())
    }

    #[test]
    fn directories_inside_the_store_are_kept_relative() -> Result<()> {
        let dir = Path::new("/data/state");
        assert_eq!(relative_to_store(dir, Path::new("/data/state/shards/000"))?, Path::new("shards/000"));
        assert_eq!(relative_to_store(dir, Path::new("/mnt/fast"))?, Path::new("/mnt/fast"));
        Ok(())
    }
}
