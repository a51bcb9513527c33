//! Small files and directories that must be there whole or not at all, whatever ends the power.

use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Makes a file with its contents durable, and its name as well.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_contents(path, bytes)?;
    sync_name(path).map_err(|error| Error::io("sync", path, error))
}

/// Makes a file's contents durable. Its name may be gone after a power cut, until [`sync_name`].
pub(crate) fn write_contents(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| Error::io("write", path, error))
}

/// Makes `dir` and what is missing above it, durably.
pub(crate) fn create_dir_all(dir: &Path) -> io::Result<()> {
    let missing: Vec<_> = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    std::fs::create_dir_all(dir)?;
    // `dir` in any case: an attempt that was killed may have made it, and not more.
    missing.into_iter().chain([dir]).try_for_each(sync_name)
}

/// Makes `dir` if it is missing, durably; what is above it must be there.
pub(crate) fn create_dir(dir: &Path) -> io::Result<()> {
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_name(dir),
    }
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("sync", dir, error))
}

/// Makes a new, renamed or removed name durable: it is the directory above that has it.
pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_with_all_that_is_missing_above_them() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        for path in ["a/b/c", "a/b/c", "a/d"] {
            create_dir_all(&dir.path().join(path))?;
            assert!(dir.path().join(path).is_dir());
        }
        sync_name(Path::new("a name in the directory of this process"))?;
        sync_name(Path::new("/"))?;
        std::fs::write(dir.path().join("file"), "")?;
        assert!(create_dir_all(&dir.path().join("file/below")).is_err());
        Ok(())
    }
}
