//! To the place: files first, the manifest last.

use super::staging::Staging;
use super::{FILES_AT_ONCE, Remote, TransferError, Transferred, object_name};
use futures_util::{StreamExt, TryStreamExt};
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use shingle_router::{CheckpointFile, CheckpointInUse, CheckpointProgress, checkpoint_files};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use xxhash_rust::xxh3::Xxh3;

/// Files travel in parts of this size; S3 takes none below 5 MiB, but for the last.
const PART_BYTES: usize = 8 << 20;

impl Remote {
    /// Sends the checkpoint in the directory `checkpoint` under the name `name`. Only files that are not there yet travel; each is compared with its
    /// hash on the way. Once all are there, and of the right size, the manifest makes it a checkpoint. Nobody deletes it meanwhile.
    ///
    /// # Errors
    /// No checkpoint, or a damaged one; another one of this name at the place; a place within a store; a place or a disk that fails.
    pub async fn export(
        &self,
        checkpoint: &Path,
        name: &str,
        progress: &(dyn Fn(CheckpointProgress) + Sync),
    ) -> Result<Transferred, TransferError> {
        if let Some(dir) = &self.dir {
            TransferError::check_outside(dir)?;
        }
        let _in_use = CheckpointInUse::begin(checkpoint)?;
        let (files, text) = checkpoint_files(checkpoint)?;
        let _staging = self.dir.as_deref().map(Staging::enter).transpose()?;
        let place = || (name.to_owned(), self.place.clone());
        if self.manifest(name).await?.is_some_and(|there| there != text.as_bytes()) {
            let (name, place) = place();
            return Err(TransferError::Exists { name, place });
        }
        let there = self.files().await?;
        let mut missing: Vec<_> =
            files.iter().filter(|file| there.get(&object_name(file)) != Some(&file.bytes)).collect();
        missing.sort_by_key(|file| object_name(file));
        missing.dedup_by_key(|file| object_name(file));
        let sum = Transferred {
            files: files.len() as u64,
            bytes: files.iter().map(|file| file.bytes).sum(),
            files_sent: missing.len() as u64,
            bytes_sent: missing.iter().map(|file| file.bytes).sum(),
        };
        let sent = AtomicU64::new(0);
        let tell = |bytes: u64| {
            let bytes = sent.fetch_add(bytes, Ordering::Relaxed) + bytes;
            progress(CheckpointProgress { bytes, bytes_total: sum.bytes_sent });
        };
        let uploads = missing.iter().map(|file| self.send(file, &tell));
        futures_util::stream::iter(uploads).buffer_unordered(FILES_AT_ONCE).try_collect::<()>().await?;
        let there = self.files().await?;
        if let Some(lost) = files.iter().find(|file| there.get(&object_name(file)) != Some(&file.bytes)) {
            return Err(TransferError::Damaged { object: format!("{} at {}", self.file_path(lost), self.place) });
        }
        let path = self.manifest_path(name);
        let put = self.store.put(&path, PutPayload::from(text.into_bytes())).await;
        put.map_err(|error| self.failed("write", &path, error))?;
        Ok(sum)
    }

    async fn send(&self, file: &CheckpointFile, tell: &(impl Fn(u64) + Sync)) -> Result<(), TransferError> {
        let unopened = |error| TransferError::io("open", &file.path, error);
        // What a link leads to is not the checkpoint's, and what is no file may never end.
        if !tokio::fs::symlink_metadata(&file.path).await.map_err(unopened)?.is_file() {
            return Err(TransferError::Damaged { object: file.path.display().to_string() });
        }
        let mut source = File::open(&file.path).await.map_err(unopened)?;
        let path = self.file_path(file);
        let failed = |error| self.failed("write", &path, error);
        let mut hash = Xxh3::new();
        let mut part = next_part(file, &mut source, &mut hash).await?;
        let is_sound =
            |hash: &Xxh3, bytes: u64| bytes == file.bytes && format!("{:032x}", hash.digest128()) == file.xxh3;
        let damaged = || TransferError::Damaged { object: file.path.display().to_string() };
        if part.len() < PART_BYTES {
            let bytes = part.len() as u64;
            if !is_sound(&hash, bytes) {
                return Err(damaged());
            }
            self.store.put(&path, PutPayload::from(part)).await.map_err(failed)?;
            tell(bytes);
            return Ok(());
        }
        let mut upload = self.store.put_multipart(&path).await.map_err(failed)?;
        let mut bytes = 0;
        while !part.is_empty() {
            let length = part.len() as u64;
            if let Err(error) = upload.put_part(PutPayload::from(part)).await {
                return Err(self.abort(upload, failed(error)).await);
            }
            bytes += length;
            tell(length);
            part = match next_part(file, &mut source, &mut hash).await {
                Ok(part) => part,
                Err(error) => return Err(self.abort(upload, error).await),
            };
        }
        // Before it is completed nobody can see it: what is damaged never gets the name of what is sound.
        if !is_sound(&hash, bytes) {
            return Err(self.abort(upload, damaged()).await);
        }
        upload.complete().await.map(drop).map_err(failed)
    }

    async fn abort(&self, mut upload: Box<dyn MultipartUpload>, error: TransferError) -> TransferError {
        // What the place keeps of it nonetheless, a bucket removes by its own rules; in a directory the next export does.
        let _kept = upload.abort().await;
        error
    }
}

/// As many bytes as a part has, or as are left.
async fn next_part(file: &CheckpointFile, source: &mut File, hash: &mut Xxh3) -> Result<Vec<u8>, TransferError> {
    let mut part = Vec::with_capacity(PART_BYTES.min(file.bytes as usize + 1));
    let read = source.take(PART_BYTES as u64).read_to_end(&mut part).await;
    read.map_err(|error| TransferError::io("read", &file.path, error))?;
    hash.update(&part);
    Ok(part)
}
