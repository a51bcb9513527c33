//! The newest records of an open log, for whoever copies them.

use super::disk::Disk;
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, frame_bytes};
use super::reader::Window;
use super::segment::{FRAMES_AT, HEADER_BYTES, SegmentHeader};
use super::{Frame, Kind, Log, payload_checksum};
use crate::layout::LogFile;
use crate::{Error, Result};
use shingle_shard::Version;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the records stand that the log held when it was asked. None of them changes as long as none is released: what is appended
/// later goes behind them.
#[derive(Debug)]
pub(crate) struct Tail {
    disk: Arc<dyn Disk>,
    segments: Vec<Stretch>,
    after: Version,
}

/// The records of one segment.
#[derive(Debug)]
struct Stretch {
    path: PathBuf,
    header: SegmentHeader,
    /// The position at which they end.
    end: u64,
}

impl Log {
    /// The commits and rollbacks above `after`. The log must not be released beyond `after` before they are read.
    pub(crate) fn tail(&self, after: Version) -> Result<Tail> {
        let mut segments = Vec::new();
        for sealed in self.sealed.iter().filter(|sealed| sealed.last_version > after) {
            let path = self.options.dir.join(LogFile::Segment(sealed.number).name());
            let header = read_header(self.disk.as_ref(), &path, after)?;
            segments.push(Stretch { path, header, end: self.end.position });
        }
        if let Some(active) = &self.active {
            segments.push(Stretch { path: active.path.clone(), header: active.header, end: active.position() });
        }
        // A segment ends where the next one begins; what else stands in its file is not of the log.
        for at in 1..segments.len() {
            segments[at - 1].end = segments[at].header.first_position;
        }
        Ok(Tail { disk: Arc::clone(&self.disk), segments, after })
    }
}

fn read_header(disk: &dyn Disk, path: &Path, last_good: Version) -> Result<SegmentHeader> {
    let mut bytes = [0; HEADER_BYTES];
    let read = disk.open(path).and_then(|file| file.read_at(&mut bytes, 0));
    let read = read.map_err(|error| Error::io("read", path, error))?;
    SegmentHeader::decode(&bytes[..read])
        .map_err(|_| damaged(path, 0, "the segment's header is broken".to_owned(), last_good))
}

fn damaged(segment: &Path, offset: u64, what: String, last_good: Version) -> Error {
    Error::LogDamaged { segment: segment.to_owned(), offset, what, last_good }
}

impl Tail {
    /// Hands the commits and rollbacks up to version `through` to `visit`, in order. Returns the version of the last one.
    pub(crate) fn read(
        &self,
        through: Version,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<Option<Version>> {
        let mut window = Window::default();
        let mut last = None;
        for stretch in &self.segments {
            let Stretch { path, header, end } = stretch;
            let unread = |error| Error::io("read", path, error);
            let file = self.disk.open(path).map_err(unread)?;
            window.reset(file.bytes().map_err(unread)?);
            let mut offset = FRAMES_AT;
            while header.position(offset) < *end {
                let broken =
                    || damaged(path, offset, "no sound record stands there".to_owned(), last.unwrap_or(self.after));
                let bytes = window.get(file.as_ref(), offset, FRAME_HEADER_BYTES).map_err(unread)?;
                let bytes = bytes.and_then(|bytes| bytes.first_chunk()).ok_or_else(broken)?;
                let frame = FrameHeader::decode(bytes, header.seal(), offset).ok_or_else(broken)?;
                let payload_at = offset + FRAME_HEADER_BYTES as u64;
                let payload = window.get(file.as_ref(), payload_at, frame.payload_bytes as usize).map_err(unread)?;
                let payload = payload.filter(|payload| payload_checksum(payload) == frame.payload_checksum);
                let payload = payload.ok_or_else(broken)?;
                if frame.version > through {
                    return Ok(last);
                }
                if frame.kind != Kind::Close && frame.version > self.after {
                    let FrameHeader { version, kind, payload_checksum: checksum, .. } = frame;
                    visit(Frame { version, kind, payload, checksum })?;
                    last = Some(version);
                }
                offset += frame_bytes(frame.payload_bytes);
            }
        }
        Ok(last)
    }
}
