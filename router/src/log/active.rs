//! The segment that takes records.

use super::disk::DiskFile;
use super::frame::{FRAME_ALIGN, FRAME_HEADER_BYTES, FrameHeader, Seal, frame_bytes};
use super::segment::{FRAMES_AT, SegmentHeader};
use super::{Frame, VERSIONS_RESERVED};
use shingle_shard::Version;
use std::io::{self, IoSlice};
use std::path::PathBuf;

/// A new segment is begun when fewer versions than this are left of those that the active one reserved: more than are
/// ever on their way to the log, so that commits need not wait for a reservation.
const VERSIONS_IN_FLIGHT: u64 = 1 << 16;

/// Payloads below this are copied next to their headers; larger ones are written from where they are.
const COPIED_PAYLOAD_MAX: usize = 4 << 10;

/// Groups up to this size have the room behind them written, too: see [`Active::room_to_write`].
const SMALL_GROUP_MAX: u64 = 32 << 10;

/// So much room is written at once.
const ROOM_BYTES: usize = 128 << 10;

static ROOM: [u8; ROOM_BYTES] = [0; ROOM_BYTES];

/// The segment that takes records.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) header: SegmentHeader,
    seal: Seal,
    pub(super) path: PathBuf,
    file: Box<dyn DiskFile>,
    pub(super) file_bytes: u64,
    /// Where the next frame goes.
    pub(super) offset: u64,
    /// Up to where something was written since the file was made.
    written_to: u64,
    /// Whether the remains of a group that failed stand behind the end: they could pass for records if they were
    /// partly overwritten, so the segment takes no more.
    full: bool,
}

impl Active {
    /// A segment without records, whose header is durable, in a file that is new or was a segment before.
    pub(super) fn new(
        header: SegmentHeader,
        path: PathBuf,
        file: Box<dyn DiskFile>,
        file_bytes: u64,
        is_new: bool,
    ) -> Self {
        let written_to = if is_new { FRAMES_AT } else { file_bytes };
        Active { seal: header.seal(), header, path, file, file_bytes, offset: FRAMES_AT, written_to, full: false }
    }

    /// The position at which the next frame goes.
    pub(super) fn position(&self) -> u64 {
        self.header.position(self.offset)
    }

    /// Whether a group of `bytes` up to version `last` fits.
    pub(super) fn has_room(&self, bytes: u64, last: Version) -> bool {
        !self.full
            && self.offset + bytes <= self.file_bytes
            && last.saturating_add(VERSIONS_IN_FLIGHT) <= self.header.version_limit
    }

    /// Writes a group of `bytes`. After an error any part of it may stand behind the end.
    pub(super) fn write(
        &mut self,
        frames: &[Frame<'_>],
        bytes: u64,
        synced_to: u64,
        scratch: &mut Vec<u8>,
    ) -> io::Result<()> {
        let large = self.pack(frames, synced_to, scratch);
        let mut pieces = Vec::with_capacity(2 * large.len() + 1);
        let mut copied = 0;
        for &(end, payload) in &large {
            pieces.push(IoSlice::new(&scratch[copied..end]));
            pieces.push(IoSlice::new(payload));
            copied = end;
        }
        pieces.push(IoSlice::new(&scratch[copied..]));
        let room = self.room_to_write(bytes);
        pieces.extend((!room.is_empty()).then(|| IoSlice::new(room)));
        before_write()?;
        self.file.write_at(&mut pieces, self.offset)?;
        after_write()?;
        self.offset += bytes;
        self.written_to = self.written_to.max(self.offset + room.len() as u64);
        Ok(())
    }

    /// The zeros to write behind a group of `bytes`. Room that is merely allocated holds zeros, too, but the sync that first writes to a part of it
    /// has the file system note so: 0.1 ms more, for any size. Small groups write it ahead, and most of their syncs do not pay that.
    fn room_to_write(&self, bytes: u64) -> &'static [u8] {
        let end = self.offset + bytes;
        if bytes > SMALL_GROUP_MAX || end <= self.written_to {
            return &[];
        }
        &ROOM[..self.file_bytes.saturating_sub(end).min(ROOM.len() as u64) as usize]
    }

    /// Packs headers and small payloads into `scratch`. Returns each large payload with the place there that it comes at.
    fn pack<'a>(&self, frames: &[Frame<'a>], synced_to: u64, scratch: &mut Vec<u8>) -> Vec<(usize, &'a [u8])> {
        scratch.clear();
        let mut large = Vec::new();
        let mut offset = self.offset;
        for frame in frames {
            let payload_bytes = frame.payload.len() as u64;
            let header = FrameHeader {
                kind: frame.kind,
                payload_bytes,
                version: frame.version,
                synced_to,
                payload_checksum: frame.checksum,
            };
            scratch.extend_from_slice(&header.encode(self.seal, offset));
            if frame.payload.len() <= COPIED_PAYLOAD_MAX {
                scratch.extend_from_slice(frame.payload);
            } else {
                large.push((scratch.len(), frame.payload));
            }
            let padding = payload_bytes.next_multiple_of(FRAME_ALIGN) - payload_bytes;
            scratch.resize(scratch.len() + padding as usize, 0);
            offset += frame_bytes(payload_bytes);
        }
        large
    }

    /// Makes sure that nothing behind the end is taken for a record: the first one that could be loses its header.
    pub(super) fn disown_rest(&mut self) -> io::Result<()> {
        self.full = true;
        self.file.write_at(&mut [IoSlice::new(&[0; FRAME_HEADER_BYTES])], self.offset)?;
        self.file.sync()
    }

    /// Makes everything that was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        before_sync()?;
        self.file.sync()?;
        fail::fail_point!("log::sync::after");
        Ok(())
    }

    /// Gives back the room that was not used.
    pub(super) fn shorten(&mut self) -> io::Result<()> {
        self.file.truncate(self.offset)
    }
}

/// The version limit of a segment whose first version will be `next` or, if versions leaped, `last`.
pub(super) fn version_limit(next: Version, last: Version) -> Version {
    let limit = next.saturating_add(VERSIONS_RESERVED);
    if last.saturating_add(VERSIONS_IN_FLIGHT) <= limit { limit } else { last.saturating_add(VERSIONS_RESERVED) }
}

/// The failure that a failpoint asks for: `return(nospace)`, or `return` for a disk that fails.
#[cfg(feature = "failpoints")]
fn injected(argument: Option<String>) -> io::Error {
    let full = argument.as_deref() == Some("nospace");
    if full { rustix::io::Errno::NOSPC.into() } else { rustix::io::Errno::IO.into() }
}

fn before_write() -> io::Result<()> {
    fail::fail_point!("log::append::before_write", |argument| Err(injected(argument)));
    Ok(())
}

fn after_write() -> io::Result<()> {
    fail::fail_point!("log::append::after_write", |argument| Err(injected(argument)));
    Ok(())
}

fn before_sync() -> io::Result<()> {
    fail::fail_point!("log::sync::before", |argument| Err(injected(argument)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::disk::Disk;
    use super::super::sim_disk::SimDisk;
    use super::super::{Kind, payload_checksum};
    use super::*;
    use std::path::Path;

    const FILE_BYTES: u64 = 1 << 20;

    fn segment(is_new: bool) -> io::Result<Active> {
        let path = Path::new("segment");
        let file = SimDisk::new(1).create(path, FILE_BYTES)?;
        let header = SegmentHeader {
            store_id: [0; 16],
            number: 1,
            previous: 0,
            first_position: 0,
            base_version: 0,
            version_limit: VERSIONS_RESERVED,
            salt: 1,
        };
        Ok(Active::new(header, path.to_owned(), file, FILE_BYTES, is_new))
    }

    fn write(segment: &mut Active, payload: usize) -> io::Result<()> {
        let payload = vec![1; payload];
        let frame = Frame { version: 1, kind: Kind::Commit, payload: &payload, checksum: payload_checksum(&payload) };
        segment.write(&[frame], frame_bytes(payload.len() as u64), 0, &mut Vec::new())
    }

    #[test]
    fn small_groups_write_the_room_behind_them_once_and_never_beyond_the_file() -> io::Result<()> {
        let mut segment = segment(true)?;
        write(&mut segment, 100)?;
        let room_to = segment.offset + ROOM_BYTES as u64;
        assert_eq!(segment.written_to, room_to);
        write(&mut segment, 100)?;
        assert_eq!(segment.written_to, room_to, "there is room still");
        write(&mut segment, ROOM_BYTES)?;
        assert_eq!(segment.written_to, segment.offset, "a large group writes itself alone");
        let left = (FILE_BYTES - segment.offset) as usize;
        write(&mut segment, left - 3 * FRAME_HEADER_BYTES)?;
        write(&mut segment, 1)?;
        assert_eq!((segment.written_to, segment.file.bytes()?), (FILE_BYTES, FILE_BYTES));
        Ok(())
    }

    #[test]
    fn a_file_that_was_a_segment_before_is_written_already() -> io::Result<()> {
        let mut segment = segment(false)?;
        write(&mut segment, 100)?;
        assert_eq!(segment.written_to, FILE_BYTES);
        assert!(segment.room_to_write(100).is_empty());
        Ok(())
    }
}
