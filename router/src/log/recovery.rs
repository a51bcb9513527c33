//! Reads a log back: which segments belong to it, which records are sound, and where it ends.
//!
//! Two rules tell a write that a power cut interrupted from damage:
//! - A segment is begun only after the one before it is durable to its end, so that only the newest segment can end in
//!   a torn write; a frame that is not sound in an older one is damage.
//! - In the newest segment a frame that is not sound is damage if a later header says that the log was durable beyond
//!   it. Otherwise it was never acknowledged as durable, nor was anything after it: the log ends there.

use super::disk::{Disk, DiskFile};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, frame_bytes};
use super::reader::{Later, Window, search_later};
use super::segment::{FRAMES_AT, HEADER_BYTES, HeaderError, SegmentHeader};
use super::{Frame, Kind, LogOptions, Recover, VERSIONS_RESERVED, payload_checksum};
use crate::layout::{FORMAT, LogFile, store_id_text};
use crate::{Error, Result};
use shingle_shard::Version;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

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
}

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

/// Where a log is not as it was written.
#[derive(Debug)]
pub(super) struct Damage {
    pub(super) segment: PathBuf,
    pub(super) offset: u64,
    pub(super) what: String,
}

impl Files {
    /// The highest number that a file has; 0 if there is none.
    pub(super) fn last_number(&self) -> u64 {
        self.segments.keys().chain(self.free.keys()).copied().max().unwrap_or(0)
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
    let mut bytes = [0; HEADER_BYTES];
    let read = file.read_at(&mut bytes, 0).map_err(|error| Error::io("read", path, error))?;
    let header = match SegmentHeader::decode(&bytes[..read]) {
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
    Ok(SegmentFile { bytes, header })
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
fn check_store(files: &Files, options: &LogOptions) -> Result<()> {
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

/// Reads the log, and hands every commit and rollback above `from` to `visit`.
pub(super) fn recover(
    disk: &dyn Disk,
    options: &LogOptions,
    recover: Recover,
    from: Version,
    visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
) -> Result<Recovery> {
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
    if damage.is_none() && state.last_version < from {
        damage = Some(Damage {
            segment: options.dir.join(LogFile::Segment(state.end.0).name()),
            offset: state.end_offset,
            what: format!("the log ends at version {}, but the shards hold version {from}", state.last_version),
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
        _ => first_version_never_given(&files, from),
    };
    Ok(Recovery {
        chain: state.chain,
        last_version: state.last_version.max(from),
        next_version: next_version.max(state.last_version + 1).max(from + 1),
        end: state.end,
        end_offset: state.end_offset,
        clean,
        torn: state.torn,
        damage,
        files,
    })
}

/// Beyond every version that any segment may hold. One whose header is lost reserved as many versions as any other,
/// beginning at the latest after those that the one before it reserved; that one may have been released.
fn first_version_never_given(files: &Files, from: Version) -> Version {
    let reserved_after = |version: Version| version.saturating_add(VERSIONS_RESERVED + 1);
    let header_lost = files.segments.values().any(|segment| segment.header.is_err());
    let start = if header_lost { reserved_after(from) } else { 0 };
    files.segments.values().fold(start, |first_free, segment| match &segment.header {
        Ok(header) => first_free.max(header.version_limit.saturating_add(1)),
        Err(_) => reserved_after(first_free),
    })
}

/// A part of the log, in order.
#[derive(Debug)]
enum Link {
    Segment(SegmentHeader),
    /// Something that should be a segment and is none.
    Lost(Damage),
}

/// From the newest segment back to the one that holds the first version above `from`. Segments that no link names
/// were given up by an earlier opening, or were due to be released.
fn chain(files: &Files, dir: &Path, from: Version) -> VecDeque<Link> {
    let mut links = VecDeque::new();
    let mut next = files.segments.keys().next_back().copied();
    while let Some(number) = next {
        let lost = |what: &str| {
            let segment = dir.join(LogFile::Segment(number).name());
            Link::Lost(Damage { segment, offset: 0, what: what.to_owned() })
        };
        let older = || files.segments.range(..number).next_back().map(|(&number, _)| number);
        next = match files.segments.get(&number).map(|segment| &segment.header) {
            Some(Ok(header)) => {
                links.push_front(Link::Segment(*header));
                if header.base_version <= from {
                    None
                } else if header.previous == 0 {
                    links.push_front(lost("the log begins after the versions that the shards hold"));
                    None
                } else {
                    Some(header.previous)
                }
            }
            Some(Err(what)) => {
                links.push_front(lost(what));
                older()
            }
            None => {
                links.push_front(lost("the segment is missing"));
                older()
            }
        };
    }
    links
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
        self.window.reset();
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
                self.window.reset();
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
