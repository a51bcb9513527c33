//! A record of the log as it stands in a segment.
//!
//! ```text
//! frame := header │ payload │ zeros up to a multiple of 8
//!
//! offset  bytes  header
//!      0      4  magic
//!      4      1  kind
//!      5      3  0
//!      8      8  bytes of the payload
//!     16      8  version
//!     24      8  synced to: the position up to which the log was durable when the frame was written
//!     32      8  checksum of the payload
//!     40      8  checksum of the bytes before, seeded with the segment's seal and the frame's offset
//! ```
//! All numbers are little-endian. The seal is drawn anew for every segment, so that a frame of the file's former use,
//! or a frame that somebody stored as a value, passes nowhere.

use super::Kind;
use crate::encoding::u64_at;
use crate::layout::FRAME_MAGIC;
use shingle_shard::Version;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const MAGIC: usize = 0;
const KIND: usize = MAGIC + 4;
const LENGTH: usize = KIND + 4;
const VERSION: usize = LENGTH + 8;
const SYNCED_TO: usize = VERSION + 8;
const PAYLOAD_CHECKSUM: usize = SYNCED_TO + 8;
const CHECKSUM: usize = PAYLOAD_CHECKSUM + 8;

/// The size of a frame's header.
pub(super) const FRAME_HEADER_BYTES: usize = CHECKSUM + 8;

/// Frames begin at multiples of this.
pub(super) const FRAME_ALIGN: u64 = 8;

/// What makes the frames of one segment its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal(pub(super) u64);

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) kind: Kind,
    pub(super) payload_bytes: u64,
    pub(super) version: Version,
    pub(super) synced_to: u64,
    pub(super) payload_checksum: u64,
}

impl Kind {
    fn parse(byte: u8) -> Option<Kind> {
        [Kind::Commit, Kind::Rollback, Kind::Close].into_iter().find(|&kind| kind as u8 == byte)
    }
}

impl FrameHeader {
    /// The header of a frame at `offset` of the segment with this seal.
    pub(super) fn encode(&self, seal: Seal, offset: u64) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[MAGIC..KIND].copy_from_slice(&FRAME_MAGIC);
        bytes[KIND] = self.kind as u8;
        bytes[LENGTH..VERSION].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[VERSION..SYNCED_TO].copy_from_slice(&self.version.to_le_bytes());
        bytes[SYNCED_TO..PAYLOAD_CHECKSUM].copy_from_slice(&self.synced_to.to_le_bytes());
        bytes[PAYLOAD_CHECKSUM..CHECKSUM].copy_from_slice(&self.payload_checksum.to_le_bytes());
        let checksum = checksum(&bytes[..CHECKSUM], seal, offset);
        bytes[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` unless the bytes are the header of a frame that was written at `offset` of the segment with this seal.
    #[inline]
    pub(super) fn decode(bytes: &[u8; FRAME_HEADER_BYTES], seal: Seal, offset: u64) -> Option<FrameHeader> {
        if bytes[MAGIC..KIND] != FRAME_MAGIC {
            return None;
        }
        if u64_at(bytes, CHECKSUM) != checksum(&bytes[..CHECKSUM], seal, offset) {
            return None;
        }
        Some(FrameHeader {
            kind: Kind::parse(bytes[KIND])?,
            payload_bytes: u64_at(bytes, LENGTH),
            version: u64_at(bytes, VERSION),
            synced_to: u64_at(bytes, SYNCED_TO),
            payload_checksum: u64_at(bytes, PAYLOAD_CHECKSUM),
        })
    }
}

/// How many bytes of a segment a frame takes.
pub(super) fn frame_bytes(payload_bytes: u64) -> u64 {
    FRAME_HEADER_BYTES as u64 + payload_bytes.next_multiple_of(FRAME_ALIGN)
}

fn checksum(header: &[u8], seal: Seal, offset: u64) -> u64 {
    xxh3_64_with_seed(header, seal.0.wrapping_add(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: FrameHeader =
        FrameHeader { kind: Kind::Rollback, payload_bytes: 1 << 40, version: 3, synced_to: 4, payload_checksum: 5 };

    #[test]
    fn a_header_is_read_as_it_was_written() {
        assert_eq!(FrameHeader::decode(&HEADER.encode(Seal(9), 64), Seal(9), 64), Some(HEADER));
    }

    #[test]
    fn a_header_passes_neither_elsewhere_nor_with_a_flipped_bit() {
        let bytes = HEADER.encode(Seal(9), 64);
        assert_eq!(FrameHeader::decode(&bytes, Seal(9), 72), None, "another offset");
        assert_eq!(FrameHeader::decode(&bytes, Seal(10), 64), None, "another segment");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(&flipped, Seal(9), 64), None, "bit {bit}");
        }
    }
}
