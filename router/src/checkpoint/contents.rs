//! The bytes of a checkpoint's files: their hashes, and copies of them.

use super::CheckpointProgress;
use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use xxhash_rust::xxh3::Xxh3;

/// How much is read at once.
const PIECE_BYTES: usize = 1 << 20;

/// A file's length and hash, as a manifest holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) bytes: u64,
    pub(crate) xxh3: String,
}

/// How far reading or copying is, and whether it is to end.
pub(crate) struct Work<'a> {
    pub(crate) done: AtomicU64,
    pub(crate) total: u64,
    pub(crate) tell: &'a (dyn Fn(CheckpointProgress) + Sync),
    pub(crate) stop: &'a AtomicBool,
}

impl Work<'_> {
    fn advance(&self, bytes: u64) -> Result<()> {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.tell)(CheckpointProgress { bytes: done, bytes_total: self.total.max(done) });
        if self.stop.load(Ordering::Relaxed) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Notes what need not be read.
    pub(crate) fn skip(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Reads a file and hashes it.
pub(crate) fn digest(path: &Path, work: &Work<'_>) -> Result<Digest> {
    each_piece(path, work, |_| Ok(()))
}

/// Copies a file durably; its new name is not synced. Returns what was copied.
pub(crate) fn copy(from: &Path, to: &Path, work: &Work<'_>) -> Result<Digest> {
    let written = |error| Error::io("write", to, error);
    let mut target = File::create_new(to).map_err(written)?;
    let digest = each_piece(from, work, |piece| target.write_all(piece).map_err(written))?;
    target.sync_all().map_err(|error| Error::io("sync", to, error))?;
    Ok(digest)
}

/// Makes `to` another name of the file `from`. Whether it did: not all file systems can, and none across its border.
pub(crate) fn link(from: &Path, to: &Path) -> Result<bool> {
    use rustix::io::Errno;
    match fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error) => {
            let impossible = [Errno::XDEV, Errno::PERM, Errno::OPNOTSUPP, Errno::MLINK].map(Errno::raw_os_error);
            match error.raw_os_error() {
                Some(code) if impossible.contains(&code) => Ok(false),
                _ => Err(Error::io("link", to, error)),
            }
        }
    }
}

fn each_piece(path: &Path, work: &Work<'_>, mut visit: impl FnMut(&[u8]) -> Result<()>) -> Result<Digest> {
    let unread = |error| Error::io("read", path, error);
    let mut file = File::open(path).map_err(unread)?;
    let mut piece = vec![0; PIECE_BYTES];
    let (mut hash, mut bytes) = (Xxh3::new(), 0);
    loop {
        let read = file.read(&mut piece).map_err(unread)?;
        if read == 0 {
            return Ok(Digest { bytes, xxh3: format!("{:032x}", hash.digest128()) });
        }
        hash.update(&piece[..read]);
        visit(&piece[..read])?;
        bytes += read as u64;
        work.advance(read as u64)?;
    }
}
