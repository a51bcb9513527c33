//! The file `CHECKPOINT`: what a checkpoint consists of. It is written last, and a directory without it is none.

use crate::blocks::SealedBlock;
use crate::layout::{CHECKPOINT_STORE, CheckpointLayout, FORMAT, part_beside, shard_name};
use crate::{Error, Result, durable, sealed};
use serde::{Deserialize, Serialize};
use shingle_shard::Version;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// What a checkpoint is. A change here is a change of format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointManifest {
    pub(crate) format: u32,
    pub(crate) name: String,
    /// Made by the clock of blocks, and so one of those that are deleted when there are too many.
    pub(crate) automatic: bool,
    pub(crate) created_ms: u64,
    /// The store that it was made of.
    pub(crate) store_id: String,
    pub(crate) version: Version,
    /// The newest block at that version.
    pub(crate) block: Option<SealedBlock>,
    /// All shards' files hold everything up to here; the log holds the rest.
    pub(crate) applied_through: Version,
    /// Where each shard's files are, by number; relative to the checkpoint's directory where they lie inside.
    pub(crate) parts: Vec<PathBuf>,
    pub(crate) files: Vec<FileEntry>,
}

/// One file of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileEntry {
    /// The shard to which it belongs; none for the store's own files.
    pub(crate) shard: Option<usize>,
    /// Its path within the shard's part, or within the checkpoint.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// XXH3, 128 bits, in hex.
    pub(crate) xxh3: String,
}

/// The most that a checkpoint's files may have: sums of it fit a number.
const BYTES_MAX: u64 = u64::MAX / 4;

/// What every format's manifest has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
}

impl CheckpointManifest {
    /// Whether a whole checkpoint is in `dir`.
    pub(crate) fn is_there(dir: &Path) -> Result<bool> {
        let path = CheckpointLayout { dir }.manifest();
        path.try_exists().map_err(|error| Error::io("look for", &path, error))
    }

    /// Reads the manifest of the checkpoint in `dir`.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let path = CheckpointLayout { dir }.manifest();
        match fs::read(&path) {
            Ok(bytes) => Self::parse(&path, &bytes),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(Error::NoSuchCheckpoint { path: dir.to_owned() })
            }
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let damaged = |what: String| Error::CheckpointDamaged { path: path.to_owned(), what };
        let json = sealed::unseal(bytes).map_err(damaged)?;
        let unreadable = |error: serde_json::Error| damaged(error.to_string());
        let AnyFormat { format } = serde_json::from_str(&json).map_err(unreadable)?;
        if format != FORMAT {
            let (made_with, asked) = (format.to_string(), FORMAT.to_string());
            return Err(Error::Mismatch { path: path.to_owned(), what: "format", made_with, asked });
        }
        let manifest: CheckpointManifest = serde_json::from_str(&json).map_err(unreadable)?;
        manifest.check().map_err(damaged)?;
        Ok(manifest)
    }

    /// A manifest that somebody else has sealed must not lead out of the checkpoint.
    fn check(&self) -> Result<(), String> {
        let inside = |name: &str| {
            !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
        };
        let mut names = HashSet::new();
        for file in &self.files {
            let is_somebodys = match file.shard {
                Some(shard) => shard < self.parts.len(),
                None => Path::new(&file.name).starts_with(CHECKPOINT_STORE),
            };
            let hash_sound = file.xxh3.len() == 32 && u128::from_str_radix(&file.xxh3, 16).is_ok();
            if !inside(&file.name) || !is_somebodys || !hash_sound {
                return Err(format!("it names a file {:?} that no checkpoint has", file.name));
            }
            if !names.insert((file.shard, &file.name)) {
                return Err(format!("it names the file {:?} twice", file.name));
            }
        }
        if self.files.iter().try_fold(0, |sum, file| file.bytes.checked_add(sum)).is_none_or(|sum| sum > BYTES_MAX) {
            return Err("it names more bytes than any disk has".to_owned());
        }
        // Beside a shard, under the checkpoint's name: what is deleted with it is nothing else.
        let is_beside =
            |part: &Path| part.parent().is_some_and(|above| part_beside(&above.with_extension(""), &self.name) == part);
        let leads_out = |part: &PathBuf| match part.is_absolute() {
            true => !is_beside(part),
            false => !part.to_str().is_some_and(inside),
        };
        if let Some(part) = self.parts.iter().find(|part| leads_out(part)) {
            return Err(format!("it names a directory {part:?} that no checkpoint has"));
        }
        if self.parts.is_empty() { Err("it has no shards".to_owned()) } else { Ok(()) }
    }

    pub(crate) fn to_text(&self) -> Result<String> {
        // The one thing that JSON cannot hold is a path that is not UTF-8.
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| Error::InvalidArgument { what: format!("the checkpoint cannot be written: {error}") })?;
        Ok(sealed::seal(&json))
    }

    /// Makes `dir` a checkpoint, durably: after an error, or a crash at any moment, it is one or not.
    pub(crate) fn store(&self, dir: &Path) -> Result<()> {
        let layout = CheckpointLayout { dir };
        let (path, new) = (layout.manifest(), layout.manifest_new());
        durable::write_contents(&new, self.to_text()?.as_bytes())?;
        fail::fail_point!("checkpoint::before_rename");
        fs::rename(&new, &path).map_err(|error| Error::io("rename", &new, error))?;
        fail::fail_point!("checkpoint::after_rename");
        durable::sync_name(&path).map_err(|error| Error::io("sync", dir, error))
    }

    /// Where a file of the checkpoint in `dir` is.
    pub(crate) fn path(&self, dir: &Path, file: &FileEntry) -> PathBuf {
        match file.shard {
            Some(shard) => dir.join(&self.parts[shard]).join(&file.name),
            None => dir.join(&file.name),
        }
    }

    /// The same checkpoint with all its files below one directory, wherever that may be.
    pub(crate) fn in_one_place(&self) -> Self {
        let parts = (0..self.parts.len()).map(|shard| Path::new("shards").join(shard_name(shard))).collect();
        CheckpointManifest { parts, ..self.clone() }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn manifest() -> CheckpointManifest {
        let xxh3 = format!("{:032x}", u128::MAX - 1);
        let file = |shard, name: &str| FileEntry { shard, name: name.to_owned(), bytes: 7, xxh3: xxh3.clone() };
        CheckpointManifest {
            format: FORMAT,
            name: "daily".to_owned(),
            automatic: false,
            created_ms: 5,
            store_id: "00".repeat(16),
            version: 9,
            block: Some(SealedBlock { height: 3, timestamp_ms: 4, version: 8 }),
            applied_through: 6,
            parts: vec![PathBuf::from("shards/000"), PathBuf::from("/mnt/001.checkpoints/daily")],
            files: vec![file(None, "store/MANIFEST"), file(Some(1), "000012.sst")],
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_every_flipped_bit_is_damage() -> Result<()> {
        let path = Path::new("CHECKPOINT");
        let text = manifest().to_text()?.into_bytes();
        assert_eq!(CheckpointManifest::parse(path, &text)?, manifest());
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let kind = CheckpointManifest::parse(path, &flipped).map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::Damaged), "bit {bit}");
        }
        Ok(())
    }

    #[test]
    fn a_sealed_manifest_leads_nowhere_else() -> Result<()> {
        for name in ["", "..", "../MANIFEST", "/etc/passwd", "log/../../x", "./x"] {
            let mut manifest = manifest();
            manifest.files[0].name = name.to_owned();
            let parsed = CheckpointManifest::parse(Path::new("CHECKPOINT"), manifest.to_text()?.as_bytes());
            assert_eq!(parsed.map_err(|error| error.kind()), Err(ErrorKind::Damaged), "{name:?}");
        }
        for part in
            ["", "..", "../other", "shards/../../x", "/", "/home/user", "/mnt/daily", "/mnt/x.checkpoints/other"]
        {
            let mut manifest = manifest();
            manifest.parts[0] = PathBuf::from(part);
            let parsed = CheckpointManifest::parse(Path::new("CHECKPOINT"), manifest.to_text()?.as_bytes());
            assert_eq!(parsed.map_err(|error| error.kind()), Err(ErrorKind::Damaged), "{part:?}");
        }
        for part in ["/mnt/001.checkpoints/../daily", "/mnt/.checkpoints/daily", "/.checkpoints/x/daily"] {
            let mut manifest = manifest();
            manifest.parts[1] = PathBuf::from(part);
            assert!(
                CheckpointManifest::parse(Path::new("CHECKPOINT"), manifest.to_text()?.as_bytes()).is_err(),
                "{part}"
            );
        }
        Ok(())
    }

    #[test]
    fn a_sealed_manifest_names_each_file_once_and_no_more_than_a_disk_holds() -> Result<()> {
        let refused = |change: &dyn Fn(&mut Vec<FileEntry>)| {
            let mut manifest = manifest();
            change(&mut manifest.files);
            let parsed = CheckpointManifest::parse(Path::new("CHECKPOINT"), manifest.to_text()?.as_bytes());
            assert_eq!(parsed.map_err(|error| error.kind()), Err(ErrorKind::Damaged), "{manifest:?}");
            Ok::<(), Error>(())
        };
        refused(&|files| files.push(files[1].clone()))?;
        refused(&|files| files[0].bytes = u64::MAX)?;
        refused(&|files| files.iter_mut().for_each(|file| file.bytes = u64::MAX / 2 + 1))?;
        // These have another place, where the shards' files or the manifest are.
        refused(&|files| files[0].name = "shards/001/000012.sst".to_owned())?;
        refused(&|files| files[0].name = "CHECKPOINT".to_owned())
    }
}
