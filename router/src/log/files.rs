//! What stands in the log's directory.

use super::disk::Disk;
use super::frame::{FRAME_HEADER_BYTES, FrameHeader};
use super::segment::{FRAMES_AT, HEAD_BYTES, HeaderError, SegmentHeader};
use super::{LogOptions, VERSIONS_RESERVED};
use crate::layout::{FORMAT, LogFile, store_id_text};
use crate::{Error, Result};
use shingle_shard::Version;
use std::collections::BTreeMap;
use std::path::Path;

/// What stands in the log's directory.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Segments by number.
    pub(super) segments: BTreeMap<u64, SegmentFile>,
    /// Files waiting to become segments: number in the name, and size.
    pub(super) free: BTreeMap<u64, u64>,
}

/// A file with the name of a segment.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) bytes: u64,
    /// Why it is no segment, if it is none.
    pub(super) header: Result<SegmentHeader, &'static str>,
    /// The segment that continues it, if it says so.
    successor: Option<u64>,
}

impl Files {
    /// The highest number that a file has; 0 if there is none.
    pub(super) fn last_number(&self) -> u64 {
        self.newest().into_iter().chain(self.free.keys().copied()).max().unwrap_or(0)
    }

    /// The newest segment that was begun, which may be gone.
    pub(super) fn newest(&self) -> Option<u64> {
        let (&number, newest) = self.segments.last_key_value()?;
        Some(newest.successor.unwrap_or(number))
    }
}

/// Reads the directory and every segment's header.
pub(super) fn list_files(disk: &dyn Disk, dir: &Path) -> Result<Files> {
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::io("list", dir, error)),
    };
    let mut files = Files::default();
    for name in names {
        let path = dir.join(&name);
        match LogFile::parse(&name) {
            Some(LogFile::Segment(number)) => {
                files.segments.insert(number, read_header(disk, &path, number)?);
            }
            Some(LogFile::Free(number)) => {
                let bytes =
                    disk.open(&path).and_then(|file| file.bytes()).map_err(|error| Error::io("open", &path, error))?;
                files.free.insert(number, bytes);
            }
            None => {}
        }
    }
    Ok(files)
}

fn read_header(disk: &dyn Disk, path: &Path, number: u64) -> Result<SegmentFile> {
    let file = disk.open(path).map_err(|error| Error::io("open", path, error))?;
    let mut head = [0; HEAD_BYTES];
    let read = file.read_at(&mut head, 0).map_err(|error| Error::io("read", path, error))?;
    let header = match SegmentHeader::decode(&head[..read]) {
        Ok(header) if header.number != number => Err("it is a copy of another segment"),
        Ok(header) => Ok(header),
        Err(HeaderError::Format(format)) => {
            return Err(Error::Mismatch {
                path: path.to_owned(),
                what: "format of this log segment",
                made_with: format.to_string(),
                asked: FORMAT.to_string(),
            });
        }
        Err(HeaderError::Broken) => Err("the segment's header is broken"),
    };
    let bytes = file.bytes().map_err(|error| Error::io("measure", path, error))?;
    let successor = header.as_ref().ok().and_then(|header| header.decode_successor(&head[..read]));
    Ok(SegmentFile { bytes, header, successor })
}

/// Whether a segment, of whatever store, holds a record or may have held one.
pub(super) fn may_hold_records(disk: &dyn Disk, path: &Path) -> Result<bool> {
    let mut bytes = vec![0; FRAMES_AT as usize + FRAME_HEADER_BYTES];
    let read = disk.open(path).and_then(|file| file.read_at(&mut bytes, 0));
    let read = read.map_err(|error| Error::io("read", path, error))?;
    let Ok(header) = SegmentHeader::decode(&bytes[..read]) else { return Ok(true) };
    let first = bytes[..read].get(FRAMES_AT as usize..).and_then(|bytes| bytes.first_chunk());
    Ok(header.previous != 0
        || first.is_some_and(|first| FrameHeader::decode(first, header.seal(), FRAMES_AT).is_some()))
}

/// Refuses another store's log.
pub(super) fn check_store(files: &Files, options: &LogOptions) -> Result<()> {
    let foreign = files.segments.iter().find_map(|(&number, file)| {
        let header = file.header.as_ref().ok()?;
        (header.store_id != options.store_id).then_some((number, header.store_id))
    });
    let Some((number, store_id)) = foreign else { return Ok(()) };
    Err(Error::Mismatch {
        path: options.dir.join(LogFile::Segment(number).name()),
        what: "store of this log segment",
        made_with: store_id_text(&store_id),
        asked: store_id_text(&options.store_id),
    })
}

/// Beyond every version that any segment may hold. One that is lost, or its header, reserved as many versions as any other,
/// beginning at the latest after those that the one before it reserved; that one may have been released.
pub(super) fn first_version_never_given(files: &Files, from: Version) -> Version {
    let reserved_after = |version: Version| version.saturating_add(VERSIONS_RESERVED + 1);
    let header_lost = files.segments.values().any(|segment| segment.header.is_err());
    let start = if header_lost { reserved_after(from) } else { 0 };
    let first_free = files.segments.values().fold(start, |first_free, segment| match &segment.header {
        Ok(header) => first_free.max(header.version_limit.saturating_add(1)),
        Err(_) => reserved_after(first_free),
    });
    let newest_lost = files.newest().is_some_and(|newest| !files.segments.contains_key(&newest));
    if newest_lost { reserved_after(first_free) } else { first_free }
}
