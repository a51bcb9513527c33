//! Reads a segment through a window of bounded size.

use super::disk::DiskFile;
use super::frame::{FRAME_ALIGN, FRAME_HEADER_BYTES, FrameHeader, Seal};
use std::io;

/// How much is read at once: enough for a disk to reach its full speed.
const WINDOW_BYTES: usize = 8 << 20;

/// A stretch of a file in memory. It is as large as [`WINDOW_BYTES`], or as the largest frame that was read.
#[derive(Debug, Default)]
pub(super) struct Window {
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    start: u64,
    /// How much of the buffer is filled.
    filled: usize,
    /// How long the file is.
    file_bytes: u64,
}

impl Window {
    /// Forgets what was read, to read a file of this length.
    pub(super) fn reset(&mut self, file_bytes: u64) {
        (self.filled, self.file_bytes) = (0, file_bytes);
    }

    /// The `bytes` bytes at `offset`; `None` where the file ends before. `offset` never falls between two calls of
    /// [`Window::reset`].
    pub(super) fn get(&mut self, file: &dyn DiskFile, offset: u64, bytes: usize) -> io::Result<Option<&[u8]>> {
        let skipped = offset.checked_sub(self.start).and_then(|skipped| usize::try_from(skipped).ok());
        let have = skipped.and_then(|skipped| self.filled.checked_sub(skipped)).unwrap_or(0);
        if have < bytes {
            self.move_to(file, offset, have, bytes)?;
        }
        let at = (offset - self.start) as usize;
        Ok((self.filled >= at + bytes).then(|| &self.buffer[at..at + bytes]))
    }

    /// Makes the buffer begin at `offset`, of which the last `have` bytes that are filled are kept, and fills it up.
    fn move_to(&mut self, file: &dyn DiskFile, offset: u64, have: usize, bytes: usize) -> io::Result<()> {
        self.buffer.copy_within(self.filled - have..self.filled, 0);
        (self.start, self.filled) = (offset, have);
        let left = usize::try_from(self.file_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = bytes.max(left.min(WINDOW_BYTES));
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        self.filled += file.read_at(&mut self.buffer[have..], offset + have as u64)?;
        Ok(())
    }
}

/// What stands behind a frame that is not sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Later {
    /// Nothing of this segment.
    Nothing,
    /// Frames, but none written after the log was durable beyond the place.
    Unsynced,
    /// The header at this offset says that the log was durable beyond the place when it was written.
    SyncedBeyond(u64),
}

/// Looks from `offset` on, wherever a frame may begin, for a header that proves that the log was once durable beyond
/// `position`.
///
/// The header alone is proof: it carries its own checksum, and what it says was true when it was written, whatever
/// became of its payload.
pub(super) fn search_later(
    window: &mut Window,
    file: &dyn DiskFile,
    seal: Seal,
    mut offset: u64,
    position: u64,
) -> io::Result<Later> {
    /// How far the search goes between two looks at the window; small against it, so that little is read twice.
    const STEP_BYTES: usize = 64 << 10;
    let file_bytes = window.file_bytes;
    let broken = offset;
    let mut later = Later::Nothing;
    loop {
        let left = usize::try_from(file_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(bytes) = window.get(file, offset, left.min(STEP_BYTES + FRAME_HEADER_BYTES))? else {
            return Ok(later);
        };
        let mut at = 0;
        while let Some(header) = bytes[at..].first_chunk::<FRAME_HEADER_BYTES>() {
            let here = offset + at as u64;
            match FrameHeader::decode(header, seal, here) {
                Some(header) if header.synced_to > position => return Ok(Later::SyncedBeyond(here)),
                Some(_) if here > broken => later = Later::Unsynced,
                Some(_) | None => {}
            }
            at += FRAME_ALIGN as usize;
            if at > STEP_BYTES {
                break;
            }
        }
        if at == 0 {
            return Ok(later);
        }
        offset += at as u64;
    }
}
