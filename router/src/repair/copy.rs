//! Copies of shards, which can be opened: that writes.

use crate::layout::repair_beside;
use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What was said of a shard's copy, which is gone when it is read, as said of the shard.
pub(super) fn of_the_original(said: &str, shard: &Path) -> String {
    said.replace(&*repair_beside(shard).to_string_lossy(), &shard.to_string_lossy())
}

/// A copy of a shard's directory; removed when dropped.
pub(super) struct Copy {
    pub(super) path: PathBuf,
    kept: bool,
}

impl Copy {
    pub(super) fn of(number: usize, shard: &Path) -> Result<Self> {
        if !shard.try_exists().map_err(|error| Error::io("look for", shard, error))? {
            return Err(Error::MissingShard { shard: number, path: shard.to_owned() });
        }
        if !shard.is_dir() {
            return Err(Error::Damaged { path: shard.to_owned(), what: "it is no directory".to_owned() });
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

    pub(super) fn keep(mut self) -> PathBuf {
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
