//! From the place: files first, the manifest last.

use super::{FILES_AT_ONCE, Remote, TransferError, Transferred};
use futures_util::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use shingle_router::{Checkpoint, CheckpointFile, CheckpointProgress, complete_checkpoint, parse_checkpoint};
use std::collections::HashSet;
use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xxhash_rust::xxh3::Xxh3;

/// What a file is called until all of it is there.
const UNFINISHED: &str = "part";

impl Remote {
    /// Fetches the checkpoint `name` into the directory `target`, which is new, empty, or left by an import that was cut short: what arrived whole then is
    /// not fetched again. Every file is compared with its hash. [`Database::restore`](crate::Database::restore) makes a store of it.
    ///
    /// # Errors
    /// No such checkpoint; a damaged one; something else in `target`, or a store around it; a place or a disk that fails.
    pub async fn import(
        &self,
        name: &str,
        target: &Path,
        progress: &(dyn Fn(CheckpointProgress) + Sync),
    ) -> Result<(Checkpoint, Transferred), TransferError> {
        let text = self
            .manifest(name)
            .await?
            .ok_or_else(|| TransferError::NoSuchCheckpoint { name: name.to_owned(), place: self.place.clone() })?;
        let files = parse_checkpoint(&text)?;
        TransferError::check_outside(target)?;
        std::fs::create_dir_all(target).map_err(|error| TransferError::io("create", target, error))?;
        let _alone = Alone::enter(target)?;
        // Another import may have completed it before this one was alone.
        TransferError::check_outside(target)?;
        check_free(target, &files)?;
        let total = files.iter().map(|file| file.bytes).sum();
        let (done, sent) = (AtomicU64::new(0), [AtomicU64::new(0), AtomicU64::new(0)]);
        let tell = |bytes: u64| {
            let bytes = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            progress(CheckpointProgress { bytes, bytes_total: total });
        };
        let downloads = files.iter().map(|file| async {
            if self.fetch(file, target, &tell).await? {
                sent[0].fetch_add(1, Ordering::Relaxed);
                sent[1].fetch_add(file.bytes, Ordering::Relaxed);
            }
            Ok::<(), TransferError>(())
        });
        futures_util::stream::iter(downloads).buffer_unordered(FILES_AT_ONCE).try_collect::<()>().await?;
        let checkpoint = complete_checkpoint(target, &text)?;
        let [files_sent, bytes_sent] = sent.map(AtomicU64::into_inner);
        Ok((checkpoint, Transferred { files: files.len() as u64, bytes: total, files_sent, bytes_sent }))
    }

    /// Whether the file had to be fetched.
    async fn fetch(
        &self,
        file: &CheckpointFile,
        target: &Path,
        tell: &(impl Fn(u64) + Sync),
    ) -> Result<bool, TransferError> {
        let path = target.join(&file.name);
        if is_there(file, &path).await? {
            tell(file.bytes);
            return Ok(false);
        }
        let written = |error| TransferError::io("write", &path, error);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).await.map_err(written)?;
        }
        let unfinished = unfinished(&path);
        let object = self.file_path(file);
        let failed = |error| self.failed("read", &object, error);
        let mut stream = self.store.get(&object).await.map_err(failed)?.into_stream();
        let mut out = File::create(&unfinished).await.map_err(written)?;
        let (mut hash, mut bytes) = (Xxh3::new(), 0);
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(failed)?;
            hash.update(&piece);
            bytes += piece.len() as u64;
            out.write_all(&piece).await.map_err(written)?;
            tell(piece.len() as u64);
        }
        out.sync_all().await.map_err(written)?;
        if bytes != file.bytes || format!("{:032x}", hash.digest128()) != file.xxh3 {
            let _overwritten_next_time = fs::remove_file(&unfinished).await;
            return Err(TransferError::Damaged { object: format!("{object} at {}", self.place) });
        }
        fs::rename(&unfinished, &path).await.map_err(written)?;
        Ok(true)
    }
}

/// A directory to which nobody else imports: two that write the same file would leave it as neither has checked it.
#[derive(Debug)]
struct Alone(std::fs::File);

impl Alone {
    fn enter(target: &Path) -> Result<Self, TransferError> {
        let dir = std::fs::File::open(target).map_err(|error| TransferError::io("open", target, error))?;
        match dir.try_lock() {
            Err(TryLockError::WouldBlock) => Err(TransferError::Busy { path: target.to_owned() }),
            // A file system without locks: whoever starts two there is not stopped.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Alone(dir)),
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // Closing is not enough: a process that is being started elsewhere in this one has a copy of the file until it runs its program.
        self.0.unlock().ok();
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    name.into()
}

/// Whether an earlier attempt has fetched the file, and nothing has happened to it since.
async fn is_there(file: &CheckpointFile, path: &Path) -> Result<bool, TransferError> {
    let unread = |error| TransferError::io("read", path, error);
    let mut found = match File::open(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        found => found.map_err(unread)?,
    };
    if found.metadata().await.map_err(unread)?.len() != file.bytes {
        return Ok(false);
    }
    let (mut hash, mut piece) = (Xxh3::new(), vec![0; 1 << 20]);
    loop {
        match found.read(&mut piece).await.map_err(unread)? {
            0 => return Ok(format!("{:032x}", hash.digest128()) == file.xxh3),
            read => hash.update(&piece[..read]),
        }
    }
}

/// Refuses a directory that holds anything that is not this checkpoint's.
fn check_free(target: &Path, files: &[CheckpointFile]) -> Result<(), TransferError> {
    let ours: HashSet<PathBuf> = files.iter().map(|file| target.join(&file.name)).collect();
    let mut dirs = vec![target.to_owned()];
    while let Some(dir) = dirs.pop() {
        let unread = |error| TransferError::io("list", &dir, error);
        let entries = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(unread)?,
        };
        for entry in entries {
            let entry = entry.map_err(unread)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(unread)?);
            let whole = if path.extension().is_some_and(|kind| kind == UNFINISHED) {
                path.with_extension("")
            } else {
                path.clone()
            };
            // What is written to a symbolic link goes elsewhere.
            if kind.is_dir() && ours.iter().any(|file| file.starts_with(&path)) {
                dirs.push(path);
            } else if !kind.is_file() || !ours.contains(&whole) {
                return Err(TransferError::Occupied { path });
            }
        }
    }
    Ok(())
}
