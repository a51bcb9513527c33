//! Where the stores of a replay are made.

use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where the stores of a replay are made.
#[derive(Debug)]
pub(crate) enum Stores {
    /// Under this directory, and removed with their case.
    Temporary(PathBuf),
    /// Under a directory, where they stay.
    Kept(PathBuf),
}

/// The directory of one store.
#[derive(Debug)]
pub(crate) enum StoreDir {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Stores {
    /// Under `dir`, which has to be new or empty, or among the temporary files.
    pub(crate) fn new(dir: Option<&Path>) -> io::Result<Self> {
        let Some(dir) = dir else { return Ok(Self::Temporary(temporary_dir())) };
        std::fs::create_dir_all(dir)?;
        if std::fs::read_dir(dir)?.next().is_some() {
            let message = format!("{} is not empty", dir.display());
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, message));
        }
        Ok(Self::Kept(dir.to_owned()))
    }

    /// Makes the directory of a case's store.
    pub(crate) fn make(&self, file: &Path, case: &str) -> io::Result<StoreDir> {
        match self {
            Self::Temporary(dir) => TempDir::with_prefix_in("shingle-replay-", dir).map(StoreDir::Temporary),
            Self::Kept(dir) => {
                let dir = dir.join(file.file_stem().unwrap_or_default()).join(case.replace(['/', '\\'], "_"));
                std::fs::create_dir_all(&dir)?;
                Ok(StoreDir::Kept(dir))
            }
        }
    }
}

impl StoreDir {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }
}

/// Thousands of small files made, synced and removed are what a replay waits for on a disk. No store here has to outlive a
/// power cut, so memory serves as well, if there is enough of it and nobody has asked for another place.
fn temporary_dir() -> PathBuf {
    const MEMORY: &str = "/dev/shm";
    const FREE_BYTES_MIN: u64 = 1 << 30;
    let asked_for = std::env::var_os("TMPDIR").is_some();
    let free = rustix::fs::statvfs(MEMORY).map_or(0, |fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    if asked_for || free < FREE_BYTES_MIN { std::env::temp_dir() } else { PathBuf::from(MEMORY) }
}
