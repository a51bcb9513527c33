//! Checkpoints on their way to and from object storage: a directory, S3, Google Cloud Storage, Azure. It is how a new node gets its state.
//!
//! ```text
//! PLACE/files/HASH-BYTES       a file, named by its content: what is there need not be sent again, whatever checkpoint or store it is of
//! PLACE/checkpoints/NAME       the manifest of a checkpoint; written last, so that what it names is there
//! PLACE/LOCK                   in a directory: held by whoever exports to it
//! ```
//! Credentials and endpoints come from the environment, by the names that each cloud's own tools use: `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`,
//! `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME` and so on, as the crate `object_store` lists them.

mod error;
mod export;
mod import;
mod place;
mod staging;

pub use error::TransferError;

use futures_util::TryStreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use shingle_router::CheckpointFile;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// How many files travel at once.
const FILES_AT_ONCE: usize = 4;

/// A place that holds exported checkpoints.
#[derive(Clone, Debug)]
pub struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    /// A place on this machine.
    dir: Option<PathBuf>,
    place: String,
}

/// What an export or an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Transferred {
    /// Files of the checkpoint.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that travelled; the others were there.
    pub files_sent: u64,
    /// Bytes that travelled.
    pub bytes_sent: u64,
}

/// A checkpoint at a [`Remote`] place.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RemoteCheckpoint {
    /// Its name.
    pub name: String,
    /// When its manifest was written, in milliseconds since 1970.
    pub exported_ms: u64,
}

impl Remote {
    /// The place that `place` names: a directory, or a URL such as `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or
    /// `file:///directory`. Nothing is read or written yet.
    ///
    /// # Errors
    /// What is no such place.
    pub fn open(place: &str) -> Result<Self, TransferError> {
        let opened = place::open(place).map_err(|what| TransferError::Place { place: place.to_owned(), what })?;
        Ok(Remote { store: opened.store, prefix: opened.prefix, dir: opened.dir, place: place.to_owned() })
    }

    /// The checkpoints that are there, by name.
    ///
    /// # Errors
    /// A place that cannot be read.
    pub async fn checkpoints(&self) -> Result<Vec<RemoteCheckpoint>, TransferError> {
        // A bucket is empty or cannot be listed; a directory may also be missing, which lists as empty.
        if let Some(dir) = &self.dir {
            dir.read_dir().map_err(|cause| TransferError::io("list", dir, cause))?;
        }
        let found: Vec<_> = self.list("checkpoints").await?;
        let checkpoint = |object: ObjectMeta| {
            let name = object.location.filename()?.to_owned();
            Some(RemoteCheckpoint { name, exported_ms: object.last_modified.timestamp_millis().max(0) as u64 })
        };
        let mut found: Vec<_> = found.into_iter().filter_map(checkpoint).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    async fn list(&self, what: &str) -> Result<Vec<ObjectMeta>, TransferError> {
        let prefix = self.prefix.clone().join(what);
        self.store.list(Some(&prefix)).try_collect().await.map_err(|error| self.failed("list", &prefix, error))
    }

    /// The sizes of the files that are there, by their names.
    async fn files(&self) -> Result<HashMap<String, u64>, TransferError> {
        let found = self.list("files").await?;
        Ok(found.into_iter().filter_map(|object| Some((object.location.filename()?.to_owned(), object.size))).collect())
    }

    /// The text of a checkpoint's manifest, if it is there.
    async fn manifest(&self, name: &str) -> Result<Option<Vec<u8>>, TransferError> {
        let path = self.manifest_path(name);
        match self.store.get(&path).await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", &path, error)),
            Ok(found) => {
                let bytes = found.bytes().await.map_err(|error| self.failed("read", &path, error))?;
                Ok(Some(bytes.to_vec()))
            }
        }
    }

    fn manifest_path(&self, name: &str) -> ObjectPath {
        self.prefix.clone().join("checkpoints").join(name)
    }

    fn file_path(&self, file: &CheckpointFile) -> ObjectPath {
        self.prefix.clone().join("files").join(object_name(file))
    }

    fn failed(&self, action: &'static str, path: &ObjectPath, cause: object_store::Error) -> TransferError {
        let object = format!("{path} at {}", self.place);
        // Who has no credentials is taken for a machine in the cloud, which asks its host for them.
        let said = cause.to_string();
        if ["token request", "169.254.", "metadata.google", "/latest/api/token"].iter().any(|sign| said.contains(sign))
        {
            return TransferError::NoCredentials { action, object, cause: Arc::new(cause) };
        }
        TransferError::remote(action, object, cause)
    }
}

/// A file's name at the place, by its content.
fn object_name(file: &CheckpointFile) -> String {
    format!("{}-{}", file.xxh3, file.bytes)
}
