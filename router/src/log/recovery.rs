//! Reads a log back: which segments belong to it, which records are sound, and where it ends.
//!
//! Two rules tell a write that a power cut interrupted from damage:
//! - A segment is begun only after the one before it is durable to its end, so that only the newest segment can end in
//!   a torn write; a frame that is not sound in an older one is damage.
//! - In the newest segment a frame that is not sound is damage if a later header says that the log was durable beyond
//!   it. Otherwise it was never acknowledged as durable, nor was anything after it: the log ends there.

use super::chain::{Damage, Link, chain};
use super::disk::{Disk, DiskFile};
use super::files::{Files, check_store, first_version_never_given, list_files};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, frame_bytes};
use super::reader::{Later, Window, search_later};
use super::segment::{FRAMES_AT, SegmentHeader};
use super::{Frame, Held, Kind, LogOptions, Recover, payload_checksum};
use crate::layout::LogFile;
use crate::{Error, Result};
use shingle_shard::Version;
use std::collections::VecDeque;
use std::path::Path;

/// What a log holds.
#[derive(Debug)]
pub(super) struct Recovery {
    pub(super) files: Files,
    /// The segments that the log consists of, oldest first: those that hold records above `from`.
    pub(super) chain: Vec<u64>,
    pub(super) last_version: Version,
    pub(super) next_version: Version,
    /// The number of the last segment, and where in the log it ends.
    pub(super) end: (u64, u64),
    /// Where in its file the last segment ends.
    pub(super) end_offset: u64,
    pub(super) clean: bool,
    /// Whether a power cut left parts of writes behind the end.
    pub(super) torn: bool,
    pub(super) damage: Option<Damage>,
}

/// Reads the log, and hands every commit and rollback above `held.by_all` to `visit`.
pub(super) fn recover(
    disk: &dyn Disk,
    options: &LogOptions,
    recover: Recover,
    held: Held,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
) -> Result<Recovery> {
    let from = held.by_all;
    let files = list_files(disk, &options.dir)?;
    check_store(&files, options)?;
    if files.segments.is_empty() {
        return Err(Error::LogMissing { dir: options.dir.clone() });
    }
    // What a killed process did to names must not be undone by a power cut after it was built upon.
    disk.sync_dir(&options.dir).map_err(|error| Error::io("sync", &options.dir, error))?;
    let links = chain(&files, &options.dir, from);
    let mut scan = Scan { disk, dir: &options.dir, from, visit, window: Window::default(), state: State::new(from) };
    let mut damage = scan.read(&links)?;
    let state = scan.state;
    if damage.is_none() && state.last_version < held.by_any {
        damage = Some(Damage {
            segment: options.dir.join(LogFile::Segment(state.end.0).name()),
            offset: state.end_offset,
            what: format!(
                "the log ends at version {}, but the shards hold version {}",
                state.last_version, held.by_any
            ),
        });
    }
    if let (Some(damage), Recover::Strict) = (&damage, recover) {
        return Err(Error::LogDamaged {
            segment: damage.segment.clone(),
            offset: damage.offset,
            what: damage.what.clone(),
            last_good: state.last_version.max(from),
        });
    }
    let clean = state.closed_with.is_some() && damage.is_none();
    let next_version = match state.closed_with {
        Some(next_version) if clean => next_version,
        _ => first_version_never_given(&files, held.by_any),
    };
    Ok(Recovery {
        chain: state.chain,
        last_version: state.last_version.max(from),
        next_version: next_version.max(state.last_version + 1).max(held.by_any + 1),
        end: state.end,
        end_offset: state.end_offset,
        clean,
        torn: state.torn,
        damage,
        files,
    })
}

/// What the scan has found so far.
#[derive(Debug)]
struct State {
    chain: Vec<u64>,
    last_version: Version,
    end: (u64, u64),
    end_offset: u64,
    /// If the last frame is a Close: the next version that it names.
    closed_with: Option<Version>,
    /// Whether something that was written stands behind the end.
    torn: bool,
}

impl State {
    fn new(from: Version) -> Self {
        State {
            chain: Vec::new(),
            last_version: from,
            end: (0, 0),
            end_offset: FRAMES_AT,
            closed_with: None,
            torn: false,
        }
    }
}

struct Scan<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    from: Version,
    visit: &'a mut dyn FnMut(Frame<'_>) -> Result<()>,
    window: Window,
    state: State,
}

impl Scan<'_> {
    /// Reads the links in order, up to the first damage.
    fn read(&mut self, links: &VecDeque<Link>) -> Result<Option<Damage>> {
        if let Some(Link::Segment(first)) = links.front() {
            self.state.last_version = first.base_version;
        }
        for (at, link) in links.iter().enumerate() {
            let header = match link {
                Link::Segment(header) => header,
                Link::Lost(Damage { segment, offset, what }) => {
                    return Ok(Some(Damage { segment: segment.clone(), offset: *offset, what: what.clone() }));
                }
            };
            let end = match links.get(at + 1) {
                Some(Link::Segment(next)) => End::At(next.first_position),
                Some(Link::Lost(_)) => End::Unknown,
                None => End::Newest,
            };
            if let Some(damage) = self.read_segment(header, end)? {
                return Ok(Some(damage));
            }
        }
        Ok(None)
    }

    fn read_segment(&mut self, header: &SegmentHeader, end: End) -> Result<Option<Damage>> {
        let path = self.dir.join(LogFile::Segment(header.number).name());
        let mut file = self.disk.open(&path).map_err(|error| Error::io("open", &path, error))?;
        let file_bytes = file.bytes().map_err(|error| Error::io("measure", &path, error))?;
        if matches!(end, End::Newest) {
            // After a failed sync the system may hold pages that it takes for written. What is served from here on
            // must be what the disk holds.
            file.sync().and_then(|()| file.drop_cache()).map_err(|error| Error::io("sync", &path, error))?;
        }
        self.state.chain.push(header.number);
        self.state.closed_with = None;
        self.state.last_version = self.state.last_version.max(header.base_version);
        self.window.reset(file_bytes);
        let segment = Segment { header, file: file.as_ref(), file_bytes, path: &path };
        let mut offset = FRAMES_AT;
        loop {
            self.state.end = (header.number, header.position(offset));
            self.state.end_offset = offset;
            let ended = match end {
                End::At(position) => header.position(offset) >= position,
                // Nothing is written to a segment after a Close.
                End::Newest | End::Unknown => self.state.closed_with.is_some(),
            };
            if ended {
                return Ok(None);
            }
            match self.read_frame(&segment, offset)? {
                Ok(bytes) => offset += bytes,
                Err(what) => return self.judge(&segment, offset, end, what),
            }
        }
    }

    /// Reads one frame and hands it on. Returns its size, or why it is not sound.
    fn read_frame(&mut self, segment: &Segment<'_>, offset: u64) -> Result<Result<u64, &'static str>> {
        let header =
            self.window.get(segment.file, offset, FRAME_HEADER_BYTES).map_err(|error| segment.unread(error))?;
        let Some(header) = header.and_then(|bytes| bytes.first_chunk()) else {
            return Ok(Err("the file ends before the log does"));
        };
        let Some(header) = FrameHeader::decode(header, segment.header.seal(), offset) else {
            return Ok(Err("no record's header stands there"));
        };
        if header.payload_bytes > segment.file_bytes.saturating_sub(offset) {
            return Ok(Err("the file ends within a record"));
        }
        let payload_at = offset + FRAME_HEADER_BYTES as u64;
        let payload = self.window.get(segment.file, payload_at, header.payload_bytes as usize);
        let Some(payload) = payload.map_err(|error| segment.unread(error))? else {
            return Ok(Err("the file ends within a record"));
        };
        if payload_checksum(payload) != header.payload_checksum {
            self.state.torn = true;
            return Ok(Err("a record's contents do not match their checksum"));
        }
        if header.version < self.state.last_version || header.version > segment.header.version_limit {
            return Ok(Err("a record's version is out of order"));
        }
        match header.kind {
            Kind::Close => {
                let Ok(next_version) = payload.try_into().map(Version::from_le_bytes) else {
                    return Ok(Err("a closing record names no version"));
                };
                self.state.closed_with = Some(next_version);
            }
            Kind::Commit | Kind::Rollback => {
                self.state.closed_with = None;
                if header.version > self.from {
                    let checksum = header.payload_checksum;
                    (self.visit)(Frame { version: header.version, kind: header.kind, payload, checksum })?;
                }
            }
        }
        self.state.last_version = header.version;
        Ok(Ok(frame_bytes(header.payload_bytes)))
    }

    /// What it means that no sound frame stands at `offset`.
    fn judge(&mut self, segment: &Segment<'_>, offset: u64, end: End, what: &str) -> Result<Option<Damage>> {
        let damage = |what: String| Ok(Some(Damage { segment: segment.path.to_owned(), offset, what }));
        match end {
            End::At(_) => damage(format!("{what}, and a later segment follows")),
            // What was lost after this segment is reported as lost.
            End::Unknown => Ok(None),
            End::Newest => {
                self.window.reset(segment.file_bytes);
                let position = segment.header.position(offset);
                let later = search_later(&mut self.window, segment.file, segment.header.seal(), offset, position)
                    .map_err(|error| segment.unread(error))?;
                match later {
                    Later::SyncedBeyond(later) => {
                        return damage(format!("{what}, but the record at byte {later} proves that it was durable"));
                    }
                    Later::Unsynced => self.state.torn = true,
                    Later::Nothing => {}
                }
                Ok(None)
            }
        }
    }
}

/// The segment that is being read.
struct Segment<'a> {
    header: &'a SegmentHeader,
    file: &'a dyn DiskFile,
    file_bytes: u64,
    path: &'a Path,
}

impl Segment<'_> {
    fn unread(&self, error: std::io::Error) -> Error {
        Error::io("read", self.path, error)
    }
}

/// How the end of a segment is known.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The next segment says where in the log it begins.
    At(u64),
    /// The next segment is lost.
    Unknown,
    /// It is the newest segment.
    Newest,
}
