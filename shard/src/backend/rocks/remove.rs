//! Removing an instance for good: only if it is the one that is meant, and only what is a part of one.

use super::error::{classify, classify_io};
use super::layout::{IDENTITY_KEY, current_file, ingest_dir, removing_file};
use super::meta::Identity;
use crate::{Error, Result};
use rocksdb::{DB, IteratorMode, Options};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Removes the instance at `path`, which nobody has open, and its directory. Refuses, and removes nothing, if the instance is another, or if anything
/// lies there that is no part of one.
///
/// 1. It is looked whose it is, and what lies there.
/// 2. A file says that it is being removed: from here on nothing else can say whose it was, should this be cut short. What never had an identity needs none: it stays
///    what it is, whatever of it is gone, once RocksDB does not find it any more.
/// 3. Everything else goes, then that file, then the directory.
pub(super) fn remove(path: &Path, identity: &Identity) -> Result<()> {
    fail::fail_point!("remove::before_looking", |_| Err(stopped(path)));
    let io = |error: io::Error| classify_io(path, &error);
    let foreign = |what: String| Error::Foreign { path: path.into(), what };
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
        Ok(found) if !found.is_dir() => return Err(foreign("it is not a directory".into())),
        Ok(_) => {}
    }
    let link = fs::symlink_metadata(path).map_err(io)?.is_symlink();
    let dir = fs::canonicalize(path).map_err(io)?;
    let marker = removing_file(&dir);
    let entries = entries(&dir).map_err(io)?;
    if !entries.is_empty() {
        if let Some(stranger) = stranger(&dir, &entries).map_err(io)? {
            return Err(foreign(format!("it holds {}, which is no part of a shard", stranger.display())));
        }
        match check_owner(&dir, &entries, identity)? {
            Found::Shard => make_room_and_mark(&marker, &entries, identity).map_err(io)?,
            Found::Beginning => remove_if_there(&current_file(&dir)).map_err(io)?,
        }
        fail::fail_point!("remove::after_the_mark", |_| {
            fs::remove_file(current_file(&dir)).map_err(io)?;
            Err(stopped(path))
        });
        entries.iter().filter(|entry| **entry != marker).try_for_each(|entry| remove_entry(entry)).map_err(io)?;
        File::open(&dir).and_then(|dir| dir.sync_all()).map_err(io)?;
        fail::fail_point!("remove::before_the_mark_goes", |_| Err(stopped(path)));
        remove_if_there(&marker).map_err(io)?;
    }
    fs::remove_dir(&dir).map_err(io)?;
    if link { fs::remove_file(path).map_err(io) } else { Ok(()) }
}

#[cfg(feature = "failpoints")]
fn stopped(path: &Path) -> Error {
    Error::Io { path: path.into(), what: "stopped at a failpoint".into() }
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

/// Something that neither RocksDB nor this crate has put there.
fn stranger(dir: &Path, entries: &[PathBuf]) -> io::Result<Option<PathBuf>> {
    for entry in entries {
        if fs::symlink_metadata(entry)?.is_dir() {
            if *entry != ingest_dir(dir) {
                return Ok(Some(entry.clone()));
            }
            if let Some(stranger) = self::entries(entry)?.into_iter().find(|file| !is_table(file)) {
                return Ok(Some(stranger));
            }
        } else if *entry != removing_file(dir) && !is_rocksdb_file(entry) {
            return Ok(Some(entry.clone()));
        }
    }
    Ok(None)
}

fn is_table(file: &Path) -> bool {
    file.extension().is_some_and(|kind| kind == "sst" || kind == "blob")
}

/// RocksDB's names for its files.
fn is_rocksdb_file(file: &Path) -> bool {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return false };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if ["CURRENT", "IDENTITY", "LOCK"].contains(&name) || is_information_log(file) {
        return true;
    }
    match name.split_once('.') {
        Some((stem, "sst" | "blob" | "log")) => number(stem),
        Some((stem, "dbtmp")) => number(stem) || numbered(stem, "OPTIONS-").is_some_and(number),
        _ => ["MANIFEST-", "OPTIONS-"].into_iter().filter_map(|kind| numbered(name, kind)).any(number),
    }
}

fn numbered<'a>(name: &'a str, kind: &str) -> Option<&'a str> {
    name.strip_prefix(kind)
}

/// What lies in the directory.
enum Found {
    /// The shard that is meant.
    Shard,
    /// A shard that was being made: it says nothing of itself, and there is nothing in it.
    Beginning,
}

/// Refuses what is not `identity`.
fn check_owner(dir: &Path, entries: &[PathBuf], identity: &Identity) -> Result<Found> {
    let foreign = |what: String| Err(Error::Foreign { path: dir.into(), what });
    let found = match fs::read(removing_file(dir)) {
        // An empty or cut one was not yet durable, and nothing was removed.
        Ok(bytes) if bytes == identity.encode() => return Ok(Found::Shard),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(classify_io(dir, &error)),
        _ if current_file(dir).exists() => {
            let db = DB::open_for_read_only(&Options::default(), dir, false).map_err(|e| classify(dir, &e))?;
            let found = db.get(IDENTITY_KEY).map_err(|e| classify(dir, &e))?;
            if found.is_none() && db.iterator(IteratorMode::Start).next().is_some() {
                return foreign("it says of no store that it belongs to it".into());
            }
            found
        }
        _ => None,
    };
    match found {
        Some(bytes) => match Identity::decode(&bytes) {
            Some(found) if found == *identity => Ok(Found::Shard),
            Some(found) => foreign(identity.difference(&found)),
            None => foreign("its identity cannot be read".into()),
        },
        None if entries.iter().any(|entry| is_table(entry)) => {
            foreign("it says of no store that it belongs to it".into())
        }
        None => Ok(Found::Beginning),
    }
}

/// A full disk may be why the shard goes: RocksDB's information logs, which say nothing of whose it is, make way for the mark.
fn make_room_and_mark(marker: &Path, entries: &[PathBuf], identity: &Identity) -> io::Result<()> {
    match mark(marker, identity) {
        Err(error) if error.kind() == ErrorKind::StorageFull => {
            entries.iter().filter(|entry| is_information_log(entry)).try_for_each(|log| remove_if_there(log))?;
            mark(marker, identity)
        }
        outcome => outcome,
    }
}

fn is_information_log(file: &Path) -> bool {
    file.file_name().and_then(|name| name.to_str()).is_some_and(|name| name == "LOG" || name.starts_with("LOG.old."))
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn mark(marker: &Path, identity: &Identity) -> io::Result<()> {
    let mut file = File::create(marker)?;
    file.write_all(&identity.encode())?;
    file.sync_all()?;
    marker.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn remove_entry(entry: &Path) -> io::Result<()> {
    match fs::symlink_metadata(entry) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(entry),
        Ok(_) => fs::remove_file(entry),
        // It made way for the mark.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
