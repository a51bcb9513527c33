//! What an export that was killed leaves in a directory.
//!
//! `object_store` writes a file under its name with `#1` behind it, or the next free number, and renames it once it is whole. Such a file is never listed and
//! never read, but it takes room.

use super::TransferError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Held, shared, by whoever exports to the directory. On a file system of several machines it holds for all of them.
const LOCK: &str = "LOCK";

/// A directory while something is exported to it: what is being written there is left alone by others.
#[derive(Debug)]
pub(super) struct Staging {
    /// `None`: the file system has no locks, so that nobody can tell what is being written, and nobody removes it.
    _lock: Option<File>,
}

impl Staging {
    /// Removes what earlier exports have left, unless another one is under way: whose it is could not be told then.
    pub(super) fn enter(place: &Path) -> Result<Self, TransferError> {
        fs::create_dir_all(place).map_err(|error| TransferError::io("create", place, error))?;
        let path = place.join(LOCK);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let lock = opened.map_err(|error| TransferError::io("open", &path, error))?;
        match lock.try_lock() {
            Ok(()) => remove_left(place)?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return Ok(Staging { _lock: None }),
        }
        // One that removes what was left is waited for: it does not take long.
        let shared = lock.lock_shared().map(|()| lock);
        Ok(Staging { _lock: shared.ok() })
    }
}

fn remove_left(place: &Path) -> Result<(), TransferError> {
    for dir in ["files", "checkpoints"].map(|dir| place.join(dir)) {
        let cannot = |error: io::Error| TransferError::io("list", &dir, error);
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.map_err(cannot)?,
        };
        for entry in entries {
            let entry = entry.map_err(cannot)?;
            if entry.file_name().to_str().is_some_and(is_staged) {
                let path = entry.path();
                fs::remove_file(&path).map_err(|error| TransferError::io("remove", &path, error))?;
            }
        }
    }
    Ok(())
}

/// As `object_store` names them. No object of ours has such a name.
fn is_staged(name: &str) -> bool {
    name.split_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(place: &Path, name: &str) {
        let path = place.join(name);
        fs::create_dir_all(path.parent().expect("below the place")).expect("a writable directory");
        fs::write(path, "some").expect("a writable directory");
    }

    #[test]
    fn what_was_left_goes_unless_somebody_writes() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let place = dir.path().join("new/backup");
        let writing = Staging::enter(&place).expect("a writable directory");
        for name in [
            "files/ab-4#1",
            "files/ab-4#12",
            "files/ab-4",
            "files/ab-4#x",
            "files/#",
            "checkpoints/one#1",
            "checkpoints/one",
            "theirs#1",
        ] {
            put(&place, name);
        }
        drop(Staging::enter(&place).expect("a writable directory"));
        assert!(place.join("files/ab-4#1").exists(), "it may be what the first one writes");
        drop(writing);
        drop(Staging::enter(&place).expect("a writable directory"));
        let exists = |name: &&str| place.join(name).exists();
        let gone = ["files/ab-4#1", "files/ab-4#12", "checkpoints/one#1"];
        let stays = ["files/ab-4", "files/ab-4#x", "files/#", "checkpoints/one", "theirs#1"];
        assert!(!gone.iter().any(exists) && stays.iter().all(exists));
    }
}
