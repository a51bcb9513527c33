//! Writing sorted files and handing them to RocksDB whole: no log of RocksDB's, no memtable, no stall.

use super::RocksBackend;
use super::error::{classify, classify_io};
use super::layout::{VERSIONS, ingest_dir, ingest_file};
use super::presence::Additions;
use super::row::{encode_value, push_row_key};
use crate::Result;
use crate::backend::RowRef;
use rocksdb::{IngestExternalFileOptions, Options, SstFileWriter};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// A file ends at this many times `target_file_size_base`: each file counts at level 0, and a flush should be one there
/// unless it is far larger than others.
const FILE_TARGETS_MAX: u64 = 4;

/// Makes the directory for files on their way in, or empties it of what a crash left there.
pub(super) fn prepare_dir(shard: &Path) -> Result<()> {
    let dir = ingest_dir(shard);
    let empty = || -> io::Result<()> {
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(&dir)
    };
    empty().map_err(|e| classify_io(&dir, &e))
}

/// Files of one family in the making. They are deleted unless they are ingested.
pub(super) struct Ingestion<'a> {
    backend: &'a RocksBackend,
    family: &'static str,
    options: &'a Options,
    writer: Option<SstFileWriter<'a>>,
    present: Option<Additions<'a>>,
    /// Room for a row's key and tagged value.
    row: (Vec<u8>, Vec<u8>),
    files: Vec<PathBuf>,
    entries: u64,
    bytes: u64,
}

impl Drop for Ingestion<'_> {
    fn drop(&mut self) {
        self.writer = None;
        for file in &self.files {
            // Gone if it was ingested; what cannot be deleted now, the next opening deletes.
            let _ = fs::remove_file(file);
        }
    }
}

impl<'a> Ingestion<'a> {
    pub(super) fn new(backend: &'a RocksBackend, family: &'static str) -> Self {
        let options = backend.family_options(family);
        Ingestion {
            backend,
            family,
            options,
            writer: None,
            present: None,
            row: Default::default(),
            files: Vec::new(),
            entries: 0,
            bytes: 0,
        }
    }

    /// Adds a row. Row keys rise.
    pub(super) fn put_row(&mut self, row: RowRef<'_>) -> Result<()> {
        debug_assert_eq!(self.family, VERSIONS);
        self.present.get_or_insert_with(|| self.backend.presence.additions()).add(row.key);
        let (mut row_key, mut tagged) = std::mem::take(&mut self.row);
        row_key.clear();
        push_row_key(&mut row_key, row.key, row.version);
        encode_value(&mut tagged, row.value);
        let added = self.put(&row_key, &tagged);
        self.row = (row_key, tagged);
        added
    }

    /// Adds an entry, which is no row: those are [`Ingestion::put_row`]'s. Keys rise.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let path = &self.backend.path;
        self.writer()?.put(key, value).map_err(|e| classify(path, &e))?;
        self.added()
    }

    /// Adds the deletion of an entry. Keys rise.
    pub(super) fn delete(&mut self, key: &[u8]) -> Result<()> {
        let path = &self.backend.path;
        self.writer()?.delete(key).map_err(|e| classify(path, &e))?;
        self.added()
    }

    /// Adds the deletion of all entries from `begin` to before `end`.
    pub(super) fn delete_range(&mut self, begin: &[u8], end: &[u8]) -> Result<()> {
        let path = &self.backend.path;
        self.writer()?.delete_range(begin, end).map_err(|e| classify(path, &e))?;
        self.added()
    }

    /// Makes everything added visible and durable at once. Returns the bytes of the files.
    pub(super) fn ingest(mut self) -> Result<u64> {
        self.end_file()?;
        if self.files.is_empty() {
            return Ok(0);
        }
        // Before the rows can be seen.
        if let Some(present) = &mut self.present {
            present.finish();
        }
        let RocksBackend { db, path, .. } = self.backend;
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        db.ingest_external_file_cf_opts(super::family(db, self.family), &options, self.files.clone())
            .map_err(|e| classify(path, &e))?;
        self.backend.renew_iterators();
        Ok(self.bytes)
    }

    /// Bytes of the files so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes + self.writer.as_ref().map_or(0, SstFileWriter::file_size)
    }

    /// Entries added so far.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    fn writer(&mut self) -> Result<&mut SstFileWriter<'a>> {
        if self.writer.is_none() {
            let RocksBackend { path, next_file, .. } = self.backend;
            let file = ingest_file(path, self.family, next_file.fetch_add(1, Ordering::Relaxed));
            self.files.push(file.clone());
            let writer = SstFileWriter::create(self.options);
            writer.open(&file).map_err(|e| classify(path, &e))?;
            self.writer = Some(writer);
        }
        Ok(self.writer.as_mut().expect("made above"))
    }

    fn added(&mut self) -> Result<()> {
        self.entries += 1;
        let file_bytes = self.writer.as_ref().map_or(0, SstFileWriter::file_size);
        if file_bytes >= FILE_TARGETS_MAX * self.backend.target_file_size { self.end_file() } else { Ok(()) }
    }

    /// Makes what was added durable, where nobody reads it yet.
    pub(super) fn end_file(&mut self) -> Result<()> {
        if let Some(mut writer) = self.writer.take() {
            writer.finish().map_err(|e| classify(&self.backend.path, &e))?;
            self.bytes += writer.file_size();
        }
        Ok(())
    }
}
