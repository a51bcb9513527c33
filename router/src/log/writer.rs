//! Writes the log: groups of frames into the active segment, a new segment when it is full.

use super::active::{Active, version_limit};
use super::disk::{Disk, DiskFile};
use super::frame::frame_bytes;
use super::segment::{FRAMES_AT, HEADER_BYTES, SUCCESSOR_AT, SegmentHeader, new_salt};
use super::{Frame, Kind, LogOptions, LogStats, payload_checksum};
use crate::histogram::{Distribution, Histogram};
use crate::layout::LogFile;
use crate::{Error, Result};
use shingle_shard::Version;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// The log, open for writing. There is one for each store.
#[derive(Debug)]
pub(crate) struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: LogOptions,
    /// Segments that take no more records, oldest first.
    pub(super) sealed: VecDeque<Sealed>,
    /// `None` until the first append or reservation after opening.
    pub(super) active: Option<Active>,
    /// Where the log ends while no segment is active.
    pub(super) end: LogEnd,
    /// Files waiting for reuse: number in the name, and size.
    pub(super) free: BTreeMap<u64, u64>,
    /// The number of the next segment: above that of every file.
    pub(super) next_number: u64,
    pub(super) written: Version,
    pub(super) synced: Version,
    /// A version above all that were given out, as far as the log knows.
    pub(super) next_version: Version,
    /// The position up to which the log is durable.
    pub(super) synced_to: u64,
    /// The failure after which nobody knows what is on disk. Nothing is written after it.
    pub(super) failed: Option<Error>,
    /// Headers and small payloads of the group that is being written.
    pub(super) scratch: Vec<u8>,
    pub(super) counts: LogStats,
    /// What each sync took.
    pub(super) sync_micros: Histogram,
}

/// A segment that takes no more records.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) last_version: Version,
}

/// The end of a log that has no active segment.
#[derive(Debug)]
pub(super) struct LogEnd {
    /// The last segment's number; 0 if there is none.
    pub(super) previous: u64,
    pub(super) position: u64,
    /// If the last frame is a Close: the next version that it names, so that closing again writes nothing.
    pub(super) closed_with: Option<Version>,
    /// The last segment's unused rest, cut off once the next segment exists.
    pub(super) spare: Option<Spare>,
}

/// Room that was preallocated and is not used.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) path: PathBuf,
    pub(super) keep_bytes: u64,
}

impl Log {
    /// Appends the frames as one group, not durable before [`Log::sync`]. After [`Error::Poisoned`] nobody knows what
    /// of it is in the log, and every later call fails alike. After any other error, such as a full disk, nothing of
    /// it is or will be in the log, and the log can be used on.
    pub(crate) fn append(&mut self, frames: &[Frame<'_>]) -> Result<()> {
        self.check_usable()?;
        if frames.is_empty() {
            return Ok(());
        }
        self.append_group(frames)?;
        self.counts.groups += 1;
        self.counts.commits += frames.len() as u64;
        Ok(())
    }

    fn append_group(&mut self, frames: &[Frame<'_>]) -> Result<()> {
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
        self.end.closed_with = None;
        self.counts.appended_bytes += bytes;
        Ok(())
    }

    /// Reserves versions from `next` on, durably, unless some are reserved still. Returns the last one that is: no version
    /// above it may be told to anybody, for a crash would have it given out again.
    pub(crate) fn reserve(&mut self, next: Version) -> Result<Version> {
        self.check_usable()?;
        if next > self.reserved_through() {
            self.begin_segment(0, next)?;
        }
        Ok(self.reserved_through())
    }

    /// The last version that is reserved; 0 while no segment is active: a closing record, which names the next version, may be the last one then.
    pub(crate) fn reserved_through(&self) -> Version {
        self.active.as_ref().map_or(0, |active| active.header.version_limit)
    }

    /// Makes everything that was appended durable. An error is final: [`Error::Poisoned`].
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.check_usable()?;
        let Some(active) = &mut self.active else { return Ok(()) };
        let synced_to = active.position();
        if synced_to == self.synced_to {
            return Ok(());
        }
        let begun = Instant::now();
        let synced = active.sync().map_err(|error| Error::io("sync", &active.path, error));
        self.sync_micros.add_time(begun.elapsed());
        self.counts.syncs += 1;
        synced.map_err(|error| self.fail(error))?;
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
        let mut released = false;
        let outcome = self.release_each(through, &mut released);
        // A file must have lost its old name for good before it is written to as another segment.
        if released {
            self.sync_dir().map_err(|error| self.fail(error))?;
        }
        outcome
    }

    fn release_each(&mut self, through: Version, released: &mut bool) -> Result<()> {
        let kept = usize::from(self.active.is_none());
        while self.sealed.len() > kept
            && let Some(oldest) = self.sealed.front().filter(|oldest| oldest.last_version <= through)
        {
            let (number, bytes) = (oldest.number, oldest.bytes);
            if bytes == self.options.segment_bytes && self.free.len() < self.options.recycled_max {
                self.rename(LogFile::Segment(number), LogFile::Free(number))?;
                self.free.insert(number, bytes);
            } else {
                self.remove(LogFile::Segment(number))?;
            }
            *released = true;
            self.sealed.pop_front();
            fail::fail_point!("log::release");
        }
        Ok(())
    }

    /// What each sync since the log was opened took.
    pub(crate) fn sync_micros(&self) -> Distribution {
        self.sync_micros.distribution()
    }

    /// Sizes, and counts since the log was opened.
    pub(crate) fn stats(&self) -> LogStats {
        let sealed: u64 = self.sealed.iter().map(|sealed| sealed.bytes).sum();
        let (active, active_used) = self.active.as_ref().map_or((0, 0), |active| (active.file_bytes, active.offset));
        LogStats {
            bytes: sealed + active + self.free.values().sum::<u64>(),
            used_bytes: sealed + active_used - self.spare_bytes(),
            segments: self.sealed.len() as u64 + u64::from(self.active.is_some()),
            recycled: self.free.len() as u64,
            ..self.counts
        }
    }

    /// Room behind the records of the segment in which the log ended when it was opened.
    fn spare_bytes(&self) -> u64 {
        let last = self.sealed.iter().find(|sealed| sealed.number == self.end.previous);
        let spare = last.zip(self.end.spare.as_ref());
        spare.map_or(0, |(last, spare)| last.bytes.saturating_sub(spare.keep_bytes))
    }

    /// Makes everything durable and marks the log as closed in order. `next_version` was never given out, nor was any
    /// above it: the next opening goes on there. The log can be used on; then it is no longer closed.
    pub(crate) fn close(&mut self, next_version: Version) -> Result<()> {
        self.sync()?;
        self.next_version = self.next_version.max(next_version);
        if self.active.is_none() && self.end.closed_with.is_some_and(|named| named >= self.next_version) {
            return Ok(());
        }
        let payload = self.next_version.to_le_bytes();
        let checksum = payload_checksum(&payload);
        self.append_group(&[Frame { version: self.written, kind: Kind::Close, payload: &payload, checksum }])?;
        self.sync()?;
        let Some(mut last) = self.active.take() else { return Ok(()) };
        self.end = LogEnd {
            previous: last.header.number,
            position: last.position(),
            closed_with: Some(self.next_version),
            spare: None,
        };
        self.sealed.push_back(Sealed { number: last.header.number, bytes: last.offset, last_version: self.written });
        last.shorten().map_err(|error| Error::io("shorten", &last.path, error))
    }

    /// Seals the active segment and begins the next one, with room for a group of `bytes` up to version `last`.
    pub(super) fn begin_segment(&mut self, bytes: u64, last: Version) -> Result<()> {
        // That a segment exists says that the one before it is durable to its end.
        self.sync()?;
        // A number is used once, also if this fails.
        let number = self.next_number;
        self.next_number += 1;
        let (previous, first_position) = match &self.active {
            Some(active) => (active.header.number, active.position()),
            None => (self.end.previous, self.end.position),
        };
        let header = SegmentHeader {
            store_id: self.options.store_id,
            number,
            previous,
            first_position,
            base_version: self.written,
            version_limit: version_limit(self.next_version, last).max(self.reserved_through()),
            salt: new_salt(),
        };
        self.cut_off_spare()?;
        let file_bytes = (FRAMES_AT + bytes).max(self.options.segment_bytes);
        let (free, mut file, is_new) = self.take_file(number, file_bytes)?;
        let path = self.path(LogFile::Segment(number));
        // The name comes last: whatever has a segment's name has a durable header.
        let written = file.write_at(&mut [IoSlice::new(&header.encode())], 0).and_then(|()| file.sync());
        if let Err(error) = written {
            self.discard(free);
            return Err(Error::io("write", &path, error));
        }
        fail::fail_point!("log::segment::before_rename");
        // Once renamed the segment may be found: an error must not lead to another one in its place.
        let named = self.rename(free, LogFile::Segment(number)).and_then(|()| self.sync_dir());
        named.map_err(|error| self.fail(error))?;
        fail::fail_point!("log::segment::created");
        self.free.retain(|&number, _| LogFile::Free(number) != free);
        if let Some(full) = self.active.replace(Active::new(header, path, file, file_bytes, is_new)) {
            self.sealed.push_back(Sealed {
                number: full.header.number,
                bytes: full.file_bytes,
                last_version: self.written,
            });
        }
        self.synced_to = first_position;
        // Not before its name is durable: a power cut must not leave the number of a segment that never was.
        if previous == 0 { Ok(()) } else { self.name_successor(previous, number) }
    }

    /// Has a segment say which one continues it: an opening then misses that one if its file is gone. Without it only that is not noticed, so it is not synced,
    /// and left where a full disk has no room even to overwrite, as copy-on-write file systems may not.
    fn name_successor(&mut self, previous: u64, number: u64) -> Result<()> {
        let path = self.path(LogFile::Segment(previous));
        let named = self.disk.open(&path).and_then(|mut file| {
            let mut head = [0; HEADER_BYTES];
            let read = file.read_at(&mut head, 0)?;
            let header = SegmentHeader::decode(&head[..read])
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the segment's header is broken"))?;
            file.write_at(&mut [IoSlice::new(&header.encode_successor(number))], SUCCESSOR_AT as u64)
        });
        match named.map_err(|error| Error::io("write", &path, error)) {
            Ok(()) | Err(Error::NoSpace { .. }) => Ok(()),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// A file of `bytes`: one that waits for reuse, or a new one with this number. Says whether it is new.
    fn take_file(&mut self, number: u64, bytes: u64) -> Result<(LogFile, Box<dyn DiskFile>, bool)> {
        if let Some((&number, _)) = self.free.iter().find(|&(_, &free_bytes)| free_bytes == bytes) {
            let path = self.path(LogFile::Free(number));
            let file = self.disk.open(&path).map_err(|error| Error::io("open", &path, error))?;
            return Ok((LogFile::Free(number), file, false));
        }
        let path = self.path(LogFile::Free(number));
        let file = self.disk.create(&path, bytes).map_err(|error| Error::io("create", &path, error))?;
        self.free.insert(number, bytes);
        Ok((LogFile::Free(number), file, true))
    }

    /// Removes a file that did not become a segment, so that it does not take the room of the next attempt. If that
    /// fails, too, the file waits for its use.
    fn discard(&mut self, file: LogFile) {
        if self.remove(file).is_ok() {
            self.free.retain(|&number, _| LogFile::Free(number) != file);
        }
    }

    /// Shortens the segment in which the log ended when it was opened to what it holds. It ends there with or without
    /// what stands behind.
    fn cut_off_spare(&mut self) -> Result<()> {
        let Some(Spare { path, keep_bytes }) = &self.end.spare else { return Ok(()) };
        let (path, keep_bytes) = (path.clone(), *keep_bytes);
        let shortened = self.disk.open(&path).and_then(|mut file| file.truncate(keep_bytes));
        shortened.map_err(|error| Error::io("shorten", &path, error))?;
        self.end.spare = None;
        if let Some(last) = self.sealed.iter_mut().find(|sealed| sealed.number == self.end.previous) {
            last.bytes = keep_bytes;
        }
        Ok(())
    }

    fn write_group(&mut self, frames: &[Frame<'_>], bytes: u64) -> Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        let Err(error) = active.write(frames, bytes, self.synced_to, &mut self.scratch) else { return Ok(()) };
        let error = Error::io("write", &active.path, error);
        if !matches!(error, Error::NoSpace { .. }) {
            return Err(self.fail(error));
        }
        let disowned = active.disown_rest().map_err(|error| Error::io("write", &active.path, error));
        disowned.map_err(|error| self.fail(error))?;
        Err(error)
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

    pub(super) fn remove(&self, file: LogFile) -> Result<()> {
        let path = self.path(file);
        self.disk.remove(&path).map_err(|error| Error::io("remove", &path, error))
    }

    pub(super) fn sync_dir(&self) -> Result<()> {
        let dir = &self.options.dir;
        self.disk.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))
    }
}
