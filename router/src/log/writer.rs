//! Writes the log: groups of frames into the active segment, a new segment when it is full.

use super::disk::{Disk, DiskFile, RealDisk};
use super::frame::{FRAME_ALIGN, FRAME_HEADER_BYTES, FrameHeader, Seal, frame_bytes};
use super::recovery::{self, Recovery};
use super::segment::{FRAMES_AT, SegmentHeader, new_salt};
use super::{Cut, Frame, Kind, LogOptions, LogStats, Recover, Recovered, VERSIONS_RESERVED, payload_checksum};
use crate::layout::LogFile;
use crate::{Error, Result};
use shingle_shard::Version;
use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

/// A new segment is begun when fewer versions than this are left of those that the active one reserved: more than are
/// ever on their way to the log, so that whatever was given out lies within what is reserved.
const VERSIONS_IN_FLIGHT: u64 = 1 << 16;

/// Payloads below this are copied next to their headers; larger ones are written from where they are.
const COPIED_PAYLOAD_MAX: usize = 4 << 10;

/// The log, open for writing. There is one for each store.
#[derive(Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    /// Segments that take no more records, oldest first.
    sealed: VecDeque<Sealed>,
    /// `None` until the first append after opening.
    active: Option<Active>,
    /// Where the log ends while no segment is active.
    end: LogEnd,
    /// Files waiting for reuse: number in the name, and size.
    free: BTreeMap<u64, u64>,
    /// The number of the next segment: above that of every file.
    next_number: u64,
    written: Version,
    synced: Version,
    /// A version above all that were given out, as far as the log knows.
    next_version: Version,
    /// The position up to which the log is durable.
    synced_to: u64,
    /// The failure after which nobody knows what is on disk. Nothing is written after it.
    failed: Option<Error>,
    /// Headers and small payloads of the group that is being written.
    scratch: Vec<u8>,
    counts: LogStats,
}

/// A segment that takes no more records.
#[derive(Debug)]
struct Sealed {
    number: u64,
    bytes: u64,
    last_version: Version,
}

/// The segment that takes records.
#[derive(Debug)]
struct Active {
    header: SegmentHeader,
    seal: Seal,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    file_bytes: u64,
    /// Where the next frame goes.
    offset: u64,
    /// Whether the remains of a group that failed stand behind the end: they could pass for records if they were
    /// partly overwritten, so the segment takes no more.
    full: bool,
}

/// The end of a log that has no active segment.
#[derive(Debug)]
struct LogEnd {
    /// The last segment's number; 0 if there is none.
    previous: u64,
    position: u64,
    /// Whether the last frame is a Close, so that closing again writes nothing.
    closed: bool,
    /// The last segment's unused rest, cut off once the next segment exists.
    spare: Option<Spare>,
}

#[derive(Debug)]
struct Spare {
    path: PathBuf,
    keep_bytes: u64,
}

impl Log {
    /// Makes the empty log of a store whose newest version is `base`: 0 for a new store.
    pub(crate) fn create(options: LogOptions, base: Version) -> Result<Log> {
        Log::create_on(Arc::new(RealDisk), options, base)
    }

    /// Opens the log and hands every commit and rollback above `from` to `visit`, in order. `from` is a version that
    /// all shards have on disk; it never falls from one opening to the next.
    ///
    /// Nothing is written before the first append, unless damage is cut off. The visitor may have been called for a
    /// part of the log when an error is returned.
    pub(crate) fn open(
        options: LogOptions,
        recover: Recover,
        from: Version,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<(Log, Recovered)> {
        Log::open_on(Arc::new(RealDisk), options, recover, from, visit)
    }

    pub(super) fn create_on(disk: Arc<dyn Disk>, options: LogOptions, base: Version) -> Result<Log> {
        disk.create_dir(&options.dir).map_err(|error| Error::io("create", &options.dir, error))?;
        let files = recovery::list_files(disk.as_ref(), &options.dir)?;
        for &number in files.segments.keys() {
            // A segment without a record is what an interrupted creation leaves.
            let path = options.dir.join(LogFile::Segment(number).name());
            if recovery::may_hold_records(disk.as_ref(), &path)? {
                return Err(Error::Occupied { path: options.dir, what: "it holds a commit log".to_owned() });
            }
            disk.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
        }
        let end = LogEnd { previous: 0, position: 0, closed: false, spare: None };
        let mut log = Log {
            disk,
            sealed: VecDeque::new(),
            active: None,
            end,
            next_number: files.last_number() + 1,
            free: files.free,
            written: base,
            synced: base,
            next_version: base + 1,
            synced_to: 0,
            failed: None,
            scratch: Vec::new(),
            counts: LogStats::default(),
            options,
        };
        log.remove_useless_free()?;
        log.begin_segment(0, base)?;
        Ok(log)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        recover: Recover,
        from: Version,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<(Log, Recovered)> {
        let recovery = recovery::recover(disk.as_ref(), &options, recover, from, visit)?;
        let recovered = recovery.report(&options);
        let mut log = Log::after(disk, options, &recovery);
        if recovery.damage.is_some() {
            // 1. The segment that says where the log goes on is durable before 2. what was given up is removed, so that
            // a crash in between leaves one log or the other.
            log.begin_segment(0, recovery.last_version)?;
        }
        log.remove_dead(&recovery)?;
        log.remove_useless_free()?;
        Ok((log, recovered))
    }

    fn after(disk: Arc<dyn Disk>, options: LogOptions, recovery: &Recovery) -> Log {
        let segments = &recovery.files.segments;
        let (previous, position) = recovery.end;
        let last_path = options.dir.join(LogFile::Segment(previous).name());
        // Damage is left where it is until the segment is released: somebody may want to look at it.
        let spare = (previous != 0 && recovery.damage.is_none())
            .then_some(Spare { path: last_path, keep_bytes: recovery.end_offset });
        // Before the first segment that was read stand those that were due to be released. Within the log, no segment
        // has newer versions than the base of the next.
        let first_read = recovery.chain.first().copied();
        let base_version = |number: &u64| segments[number].header.as_ref().map_or(0, |header| header.base_version);
        let due = segments.range(..first_read.unwrap_or(0)).map(|(&number, file)| {
            let last_version = first_read.map_or(0, |first| base_version(&first));
            Sealed { number, bytes: file.bytes, last_version }
        });
        let read = recovery.chain.iter().enumerate().map(|(at, number)| {
            let last_version = recovery.chain.get(at + 1).map_or(recovery.last_version, base_version);
            Sealed { number: *number, bytes: segments[number].bytes, last_version }
        });
        Log {
            sealed: due.chain(read).collect(),
            active: None,
            end: LogEnd { previous, position, closed: recovery.clean, spare },
            free: recovery.files.free.clone(),
            next_number: recovery.files.last_number() + 1,
            written: recovery.last_version,
            synced: recovery.last_version,
            next_version: recovery.next_version,
            synced_to: position,
            failed: None,
            scratch: Vec::new(),
            counts: LogStats::default(),
            disk,
            options,
        }
    }

    /// Removes the segments that are newer than where the log was cut off, and those that an interrupted opening left.
    fn remove_dead(&mut self, recovery: &Recovery) -> Result<()> {
        let first_read = recovery.chain.first().copied().unwrap_or(u64::MAX);
        let alive = |number: &u64| recovery.chain.contains(number) || *number < first_read && first_read != u64::MAX;
        let dead: Vec<u64> = recovery.files.segments.keys().copied().filter(|number| !alive(number)).collect();
        for &number in &dead {
            self.remove(LogFile::Segment(number))?;
        }
        if dead.is_empty() { Ok(()) } else { self.sync_dir() }
    }

    /// Removes files that no segment can be made of: those of another size, and those beyond what may be kept.
    fn remove_useless_free(&mut self) -> Result<()> {
        let fits = |(&number, &bytes): (&u64, &u64)| (bytes == self.options.segment_bytes).then_some(number);
        let kept: Vec<u64> = self.free.iter().filter_map(fits).take(self.options.recycled_max).collect();
        let useless: Vec<u64> = self.free.keys().copied().filter(|number| !kept.contains(number)).collect();
        for number in useless {
            self.remove(LogFile::Free(number))?;
            self.free.remove(&number);
        }
        Ok(())
    }

    /// Appends the frames as one group, not durable before [`Log::sync`]. After [`Error::Poisoned`] nobody knows what
    /// of it is in the log, and every later call fails alike. After any other error, such as a full disk, nothing of
    /// it is or will be in the log, and the log can be used on.
    pub(crate) fn append(&mut self, frames: &[Frame<'_>]) -> Result<()> {
        self.check_usable()?;
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(()) };
        debug_assert!(first.version >= self.written && frames.is_sorted_by_key(|frame| frame.version), "versions fall");
        let bytes = frames.iter().map(|frame| frame_bytes(frame.payload.len() as u64)).sum();
        let begun = match &self.active {
            Some(active) if active.has_room(bytes, last.version) => Ok(()),
            Some(_) | None => self.begin_segment(bytes, last.version),
        };
        // Given out, whatever becomes of it.
        self.next_version = self.next_version.max(last.version + 1);
        begun?;
        self.write_group(frames, bytes)?;
        self.written = last.version;
        self.counts.groups += 1;
        self.counts.commits += frames.len() as u64;
        self.counts.appended_bytes += bytes;
        Ok(())
    }

    /// Makes everything that was appended durable. An error is final: [`Error::Poisoned`].
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.check_usable()?;
        let Some(active) = &mut self.active else { return Ok(()) };
        let synced_to = active.header.position(active.offset);
        if synced_to == self.synced_to {
            return Ok(());
        }
        let synced = failpoint_sync_before(&active.path)
            .and_then(|()| active.file.sync().map_err(|error| Error::io("sync", &active.path, error)));
        self.counts.syncs += 1;
        if let Err(error) = synced {
            return Err(self.fail(error));
        }
        fail::fail_point!("log::sync::after");
        self.synced_to = synced_to;
        self.synced = self.written;
        Ok(())
    }

    /// The newest version that was appended.
    #[cfg(test)]
    pub(crate) fn written(&self) -> Version {
        self.written
    }

    /// The newest version that is durable.
    #[cfg(test)]
    pub(crate) fn synced(&self) -> Version {
        self.synced
    }

    /// Gives up the segments that hold no version above `through`: all shards have those on disk. The last segment is
    /// kept in any case.
    pub(crate) fn release(&mut self, through: Version) -> Result<()> {
        let kept = usize::from(self.active.is_none());
        let mut released = false;
        while self.sealed.len() > kept {
            let Some(oldest) = self.sealed.pop_front_if(|oldest| oldest.last_version <= through) else { break };
            released = true;
            if oldest.bytes == self.options.segment_bytes && self.free.len() < self.options.recycled_max {
                let (segment, free) = (LogFile::Segment(oldest.number), LogFile::Free(oldest.number));
                self.rename(segment, free)?;
                self.free.insert(oldest.number, oldest.bytes);
            } else {
                self.remove(LogFile::Segment(oldest.number))?;
            }
            fail::fail_point!("log::release");
        }
        // A file must have lost its old name for good before it is written to as another segment.
        if released { self.sync_dir() } else { Ok(()) }
    }

    /// Sizes, and counts since the log was opened.
    pub(crate) fn stats(&self) -> LogStats {
        let sealed: u64 = self.sealed.iter().map(|sealed| sealed.bytes).sum();
        let active = self.active.as_ref().map_or(0, |active| active.file_bytes);
        LogStats {
            bytes: sealed + active + self.free.values().sum::<u64>(),
            segments: self.sealed.len() as u64 + u64::from(self.active.is_some()),
            recycled: self.free.len() as u64,
            ..self.counts
        }
    }

    /// Makes everything durable and marks the log as closed in order.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.sync()?;
        if self.active.is_none() && self.end.closed {
            return Ok(());
        }
        let payload = self.next_version.to_le_bytes();
        let checksum = payload_checksum(&payload);
        self.append(&[Frame { version: self.written, kind: Kind::Close, payload: &payload, checksum }])?;
        self.sync()?;
        match &mut self.active {
            Some(active) => {
                active.file.truncate(active.offset).map_err(|error| Error::io("shorten", &active.path, error))
            }
            None => Ok(()),
        }
    }

    /// Seals the active segment and begins the next one, with room for a group of `bytes` up to version `last`.
    fn begin_segment(&mut self, bytes: u64, last: Version) -> Result<()> {
        // That a segment exists says that the one before it is durable to its end.
        self.sync()?;
        // A number is used once, also if this fails.
        let number = self.next_number;
        self.next_number += 1;
        let (previous, first_position) = match &self.active {
            Some(active) => (active.header.number, active.header.position(active.offset)),
            None => (self.end.previous, self.end.position),
        };
        let header = SegmentHeader {
            store_id: self.options.store_id,
            number,
            previous,
            first_position,
            base_version: self.written,
            version_limit: reserve(self.next_version, last),
            salt: new_salt(),
        };
        let (free, mut file, file_bytes) =
            self.take_file(number, (FRAMES_AT + bytes).max(self.options.segment_bytes))?;
        let path = self.path(LogFile::Segment(number));
        // The name comes last: whatever has a segment's name has a durable header. What is left after an error is a
        // file waiting for its use.
        file.write_at(&mut [IoSlice::new(&header.encode())], 0)
            .and_then(|()| file.sync())
            .map_err(|error| Error::io("write", &path, error))?;
        fail::fail_point!("log::segment::before_rename");
        // Once renamed the segment may be found: an error must not lead to another one in its place.
        let named = self.rename(free, LogFile::Segment(number)).and_then(|()| self.sync_dir());
        named.map_err(|error| self.fail(error))?;
        fail::fail_point!("log::segment::created");
        self.free.retain(|&number, _| LogFile::Free(number) != free);
        let active = Active { seal: header.seal(), header, path, file, file_bytes, offset: FRAMES_AT, full: false };
        if let Some(full) = self.active.replace(active) {
            self.sealed.push_back(Sealed {
                number: full.header.number,
                bytes: full.file_bytes,
                last_version: self.written,
            });
        }
        self.synced_to = first_position;
        self.cut_off_spare().map_err(|error| self.fail(error))
    }

    /// A file of `bytes`: one that waits for reuse, or a new one with this number.
    fn take_file(&mut self, number: u64, bytes: u64) -> Result<(LogFile, Box<dyn DiskFile>, u64)> {
        let reused = self.free.iter().find(|&(_, &free_bytes)| free_bytes == bytes).map(|(&number, _)| number);
        let name = LogFile::Free(reused.unwrap_or(number));
        let path = self.path(name);
        let file = if reused.is_some() {
            self.disk.open(&path).map_err(|error| Error::io("open", &path, error))?
        } else {
            let file = self.disk.create(&path, bytes).map_err(|error| Error::io("create", &path, error))?;
            self.free.insert(number, bytes);
            file
        };
        Ok((name, file, bytes))
    }

    /// Shortens the segment in which the log ended when it was opened to what it holds.
    fn cut_off_spare(&mut self) -> Result<()> {
        let Some(Spare { path, keep_bytes }) = self.end.spare.take() else { return Ok(()) };
        let shortened = self.disk.open(&path).and_then(|mut file| file.truncate(keep_bytes));
        shortened.map_err(|error| Error::io("shorten", &path, error))?;
        if let Some(last) = self.sealed.iter_mut().find(|sealed| sealed.number == self.end.previous) {
            last.bytes = keep_bytes;
        }
        Ok(())
    }

    fn write_group(&mut self, frames: &[Frame<'_>], bytes: u64) -> Result<()> {
        let synced_to = self.synced_to;
        let Some(active) = &mut self.active else { return Ok(()) };
        let (scratch, large) = pack(&mut self.scratch, frames, active, synced_to);
        let mut pieces = Vec::with_capacity(2 * large.len() + 1);
        let mut copied = 0;
        for &(end, payload) in &large {
            pieces.push(IoSlice::new(&scratch[copied..end]));
            pieces.push(IoSlice::new(payload));
            copied = end;
        }
        pieces.push(IoSlice::new(&scratch[copied..]));

        let written = failpoint_append_before_write()
            .and_then(|()| active.file.write_at(&mut pieces, active.offset))
            .and_then(|()| failpoint_append_after_write());
        let error = match written {
            Ok(()) => {
                active.offset += bytes;
                return Ok(());
            }
            Err(error) => Error::io("write", &active.path, error),
        };
        if !matches!(error, Error::NoSpace { .. }) {
            return Err(self.fail(error));
        }
        match active.disown_rest() {
            Ok(()) => Err(error),
            Err(error) => {
                let error = Error::io("write", &active.path, error);
                Err(self.fail(error))
            }
        }
    }

    fn check_usable(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Ends the use of the log. Returns the error that every later call returns, too.
    fn fail(&mut self, cause: Error) -> Error {
        self.failed.insert(cause.poisoned()).clone()
    }

    fn path(&self, file: LogFile) -> PathBuf {
        self.options.dir.join(file.name())
    }

    fn rename(&self, from: LogFile, to: LogFile) -> Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        self.disk.rename(&from, &to).map_err(|error| Error::io("rename", &from, error))
    }

    fn remove(&self, file: LogFile) -> Result<()> {
        let path = self.path(file);
        self.disk.remove(&path).map_err(|error| Error::io("remove", &path, error))
    }

    fn sync_dir(&self) -> Result<()> {
        let dir = &self.options.dir;
        self.disk.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))
    }
}

/// The limit of a segment whose first version will be `next` or, if versions leaped, `last`.
fn reserve(next: Version, last: Version) -> Version {
    let limit = next.saturating_add(VERSIONS_RESERVED);
    if last.saturating_add(VERSIONS_IN_FLIGHT) <= limit { limit } else { last.saturating_add(VERSIONS_RESERVED) }
}

impl Active {
    fn has_room(&self, bytes: u64, last: Version) -> bool {
        !self.full
            && self.offset + bytes <= self.file_bytes
            && last.saturating_add(VERSIONS_IN_FLIGHT) <= self.header.version_limit
    }

    /// Makes sure that nothing behind the end is taken for a record: the first one that could be loses its header.
    fn disown_rest(&mut self) -> std::io::Result<()> {
        self.full = true;
        self.file.write_at(&mut [IoSlice::new(&[0; FRAME_HEADER_BYTES])], self.offset)?;
        self.file.sync()
    }
}

impl Recovery {
    fn report(&self, options: &LogOptions) -> Recovered {
        let cut = match &self.damage {
            Some(damage) => {
                Some(Cut { segment: damage.segment.clone(), offset: damage.offset, damage: Some(damage.what.clone()) })
            }
            None if self.torn => {
                let segment = options.dir.join(LogFile::Segment(self.end.0).name());
                Some(Cut { segment, offset: self.end_offset, damage: None })
            }
            None => None,
        };
        Recovered { last_version: self.last_version, next_version: self.next_version, clean: self.clean, cut }
    }
}

/// Packs headers and small payloads into `scratch`. Returns it, and each large payload with the place in `scratch` that it comes at.
fn pack<'s, 'f>(
    scratch: &'s mut Vec<u8>,
    frames: &[Frame<'f>],
    active: &Active,
    synced_to: u64,
) -> (&'s [u8], Vec<(usize, &'f [u8])>) {
    scratch.clear();
    let mut large = Vec::new();
    let mut offset = active.offset;
    for frame in frames {
        let payload_bytes = frame.payload.len() as u64;
        let header = FrameHeader {
            kind: frame.kind,
            payload_bytes,
            version: frame.version,
            synced_to,
            payload_checksum: frame.checksum,
        };
        scratch.extend_from_slice(&header.encode(active.seal, offset));
        if frame.payload.len() <= COPIED_PAYLOAD_MAX {
            scratch.extend_from_slice(frame.payload);
        } else {
            large.push((scratch.len(), frame.payload));
        }
        let padding = payload_bytes.next_multiple_of(FRAME_ALIGN) - payload_bytes;
        scratch.resize(scratch.len() + padding as usize, 0);
        offset += frame_bytes(payload_bytes);
    }
    (scratch, large)
}

/// The failure that a failpoint asks for: `return(nospace)`, or `return` for a disk that fails.
#[cfg(feature = "failpoints")]
fn injected(argument: Option<String>) -> std::io::Error {
    let full = argument.as_deref() == Some("nospace");
    if full { rustix::io::Errno::NOSPC.into() } else { rustix::io::Errno::IO.into() }
}

fn failpoint_append_before_write() -> std::io::Result<()> {
    fail::fail_point!("log::append::before_write", |argument| Err(injected(argument)));
    Ok(())
}

fn failpoint_append_after_write() -> std::io::Result<()> {
    fail::fail_point!("log::append::after_write", |argument| Err(injected(argument)));
    Ok(())
}

#[cfg_attr(not(feature = "failpoints"), expect(unused_variables, reason = "named in the failure that the failpoint makes"))]
fn failpoint_sync_before(path: &std::path::Path) -> Result<()> {
    fail::fail_point!("log::sync::before", |argument| Err(Error::io("sync", path, injected(argument))));
    Ok(())
}
