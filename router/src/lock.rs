//! The file `LOCK`: one process, and one handle in it, has a store open.

use crate::layout::Layout;
use crate::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
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
        // The lock holds without it, and so does the store on a full disk: who holds it is only for the reader.
        if file.set_len(0).is_ok() {
            file.write_all(describe_self().as_bytes()).ok();
        }
        Ok(StoreLock { file })
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

fn describe_self() -> String {
    let command: Vec<_> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    format!("process {} ({})", std::process::id(), command.join(" "))
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
