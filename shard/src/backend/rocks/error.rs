//! What RocksDB's errors mean to a caller: the one place that looks at their text, as their kinds don't tell.

use crate::Error;
use std::io;
use std::path::Path;

/// Turns RocksDB's error about the instance at `path` into a shard's.
pub(super) fn classify(path: &Path, error: &rocksdb::Error) -> Error {
    classify_text(path, error.as_ref())
}

/// Turns what RocksDB said about the instance at `path` into a shard's error.
pub(super) fn classify_text(path: &Path, what: &str) -> Error {
    let path = path.to_path_buf();
    let says = |text| what.contains(text);
    // The texts of errno come first: RocksDB wraps them in other kinds, a full table of descriptors in "Corruption" among them.
    if says("No space left on device") || says("Disk quota exceeded") {
        Error::NoSpace { path }
    } else if says("Too many open files") {
        Error::TooManyOpenFiles { path }
    } else if what.starts_with("Corruption") || what.starts_with("Not implemented") || says("No such file or directory")
    {
        // A file that the manifest names is gone, or one that was written here speaks of features that were never used.
        Error::Damaged { path, what: what.to_owned() }
    } else {
        Error::Io { path, what: what.to_owned() }
    }
}

/// Turns a failure of the system at `path` into a shard's error.
pub(super) fn classify_io(path: &Path, error: &io::Error) -> Error {
    /// `ENFILE` and `EMFILE`, which `std` has no kind for.
    const TOO_MANY_OPEN: [i32; 2] = [23, 24];
    let path = path.to_path_buf();
    match error.raw_os_error() {
        Some(code) if TOO_MANY_OPEN.contains(&code) => Error::TooManyOpenFiles { path },
        _ if [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded].contains(&error.kind()) => {
            Error::NoSpace { path }
        }
        _ => Error::Io { path, what: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Error {
        classify_text(Path::new("shard"), text)
    }

    #[test]
    fn texts_become_what_a_caller_can_act_on() {
        let full = "IO error: No space left on device: While appending to file: 000012.sst: No space left on device";
        assert!(matches!(of(full), Error::NoSpace { .. }));
        let files =
            "Corruption: Can't access /000012.sst: IO error: While open a file: 000012.sst: Too many open files";
        assert!(matches!(of(files), Error::TooManyOpenFiles { .. }));
        assert!(matches!(of("Corruption: block checksum mismatch"), Error::Damaged { .. }));
        assert!(matches!(of("IO error: No such file or directory: MANIFEST-000005"), Error::Damaged { .. }));
        assert!(matches!(of("IO error: Input/output error: While pread"), Error::Io { .. }));
    }

    #[test]
    fn errors_of_the_system_become_the_same() {
        let of = |code| classify_io(Path::new("shard"), &io::Error::from_raw_os_error(code));
        assert!(matches!(of(28), Error::NoSpace { .. }));
        assert!(matches!(of(24), Error::TooManyOpenFiles { .. }));
        assert!(matches!(of(5), Error::Io { .. }));
    }
}
