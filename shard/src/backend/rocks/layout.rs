//! Every name that a shard's directory and its meta family know. Written to disk, never renamed.

use std::path::{Path, PathBuf};

/// Identity, mark and epoch: the one family that is written through RocksDB's own log.
pub(super) const META: &str = rocksdb::DEFAULT_COLUMN_FAMILY_NAME;
/// `escape(key) ‖ !version` → tag and value; see [`super::row`].
pub(super) const VERSIONS: &str = "versions";
/// `version ‖ key` → the keys that follow it in that version; see [`super::change_part`].
pub(super) const CHANGES: &str = "changes";

/// In [`META`]: which shard of which store this is.
pub(super) const IDENTITY_KEY: &[u8] = b"identity";
/// In [`META`]: the version through which every run is applied.
pub(super) const MARK_KEY: &[u8] = b"applied_through";
/// In [`META`]: the highest epoch of the store that ever wrote here.
pub(super) const EPOCH_KEY: &[u8] = b"epoch";

/// Name of the prefix extractor, recorded by RocksDB in every file: another one needs another name.
pub(super) const PREFIX_EXTRACTOR: &str = "shingle.all_but_version";

/// The file that RocksDB names its newest manifest in; a directory without it holds no instance.
pub(super) fn current_file(shard: &Path) -> PathBuf {
    shard.join("CURRENT")
}

/// Says whose shard this was that is being removed: the identity, as the meta family had it.
pub(super) fn removing_file(shard: &Path) -> PathBuf {
    shard.join("REMOVING")
}

/// Where files are written before they are ingested: on the shard's own file system, so that ingestion is a rename.
pub(super) fn ingest_dir(shard: &Path) -> PathBuf {
    shard.join("ingest")
}

/// A file on its way into `family`.
pub(super) fn ingest_file(shard: &Path, family: &str, number: u64) -> PathBuf {
    ingest_dir(shard).join(format!("{family}-{number}.sst"))
}
