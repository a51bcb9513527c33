//! The file `LOCK`: one process, and one handle in it, has a store open.

use crate::layout::Layout;
use crate::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Holds the store until it is dropped. The system gives the lock back when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct StoreLock {
    /// The lock belongs to this open file, so that a second one of the same process is refused like another's.
    file: File,
}

impl StoreLock {
    /// Refused with [`Error::Locked`], which names the holder, while another process or handle holds the store.
    pub(crate) fn acquire(dir: &Path) -> Result<StoreLock> {
        let path = Layout { dir }.lock();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(|error| Error::io("open", &path, error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(Error::Locked { path: dir.to_owned(), holder: read_holder(&mut file) });
            }
            Err(error) => return Err(Error::io("lock", &path, error.into())),
        }
        let lock = StoreLock { file };
        lock.announce(None);
        Ok(lock)
    }

    /// Tells those who find the store locked where they reach it; `None`: nowhere.
    pub(crate) fn announce(&self, address: Option<&str>) {
        self.describe(&describe_self(address));
    }

    /// The lock holds without it, and so does the store on a full disk: who holds it is only for the reader.
    fn describe(&self, holder: &str) {
        if self.file.set_len(0).is_ok() {
            self.file.write_all_at(holder.as_bytes(), 0).ok();
        }
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        // A file that stays is harmless; one that is removed could be locked by two.
        self.file.set_len(0).ok();
        // Closing is not enough: a process that is being started elsewhere in this one has a copy of the file until it runs its program.
        flock(&self.file, FlockOperation::Unlock).ok();
    }
}

/// The address first: a long command line is cut off.
fn describe_self(address: Option<&str>) -> String {
    let command: Vec<_> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let serving = address.map(|address| format!(", which serves it at {address}")).unwrap_or_default();
    format!("process {}{serving} ({})", std::process::id(), command.join(" "))
}

/// Whoever holds the lock may not have written who it is yet.
fn read_holder(file: &mut File) -> String {
    const SHOWN_BYTES: u64 = 400;
    let mut text = Vec::new();
    match file.take(SHOWN_BYTES).read_to_end(&mut text) {
        Ok(read) if read > 0 => String::from_utf8_lossy(&text).into_owned(),
        Ok(_) | Err(_) => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_handle_is_told_who_holds_the_store_until_it_is_given_back() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let first = StoreLock::acquire(dir.path())?;
        match StoreLock::acquire(dir.path()) {
            Err(Error::Locked { holder, .. }) => {
                assert!(holder.contains(&format!("process {}", std::process::id())), "{holder}");
            }
            other => panic!("locked twice: {other:?}"),
        }
        first.announce(Some("http://127.0.0.1:9"));
        let said = StoreLock::acquire(dir.path()).expect_err("it is locked").to_string();
        assert!(said.contains("serves it at http://127.0.0.1:9 "), "{said}");
        first.announce(None);
        let said = StoreLock::acquire(dir.path()).expect_err("it is locked").to_string();
        assert!(!said.contains("http"), "{said}");
        drop(first);
        StoreLock::acquire(dir.path()).map(drop)
    }

    #[test]
    fn what_a_killed_process_left_in_the_file_holds_nobody_up() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(Layout { dir: dir.path() }.lock(), "process 1 (somebody)").expect("a writable directory");
        StoreLock::acquire(dir.path()).map(drop)
    }
}
