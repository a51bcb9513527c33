//! The header of a log segment.
//!
//! ```text
//! offset  bytes  header
//!      0      8  magic
//!      8      4  format
//!     12      4  0
//!     16     16  store id
//!     32      8  number: as in the file's name
//!     40      8  previous: the number of the segment that this one continues; 0: none
//!     48      8  first position: that of the first frame; where the previous segment ends
//!     56      8  base version: no frame before this segment has a newer one
//!     64      8  version limit: no frame of this segment has a newer one
//!     72      8  salt
//!     80      8  checksum of the bytes before
//!     88    424  0
//!    512      8  successor: the number of the segment that continues this one, once there is one
//!    520      8  checksum of the successor, seeded with the salt
//!    528   3568  0
//!   4096      …  frames
//! ```
//! All numbers are little-endian. The header has a page of its own: no write of a frame touches it again. The successor has a sector of its
//! own in it, so that no write of it harms the header.

use super::frame::Seal;
use crate::encoding::u64_at;
use crate::layout::{FORMAT, SEGMENT_MAGIC, StoreId};
use shingle_shard::Version;
use std::hash::{BuildHasher, Hasher, RandomState};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const MAGIC: usize = 0;
const FORMAT_AT: usize = MAGIC + 8;
const STORE_ID: usize = FORMAT_AT + 8;
const NUMBER: usize = STORE_ID + 16;
const PREVIOUS: usize = NUMBER + 8;
const FIRST_POSITION: usize = PREVIOUS + 8;
const BASE_VERSION: usize = FIRST_POSITION + 8;
const VERSION_LIMIT: usize = BASE_VERSION + 8;
const SALT: usize = VERSION_LIMIT + 8;
const CHECKSUM: usize = SALT + 8;

/// The size of the header's contents.
pub(super) const HEADER_BYTES: usize = CHECKSUM + 8;

/// Where the successor stands.
pub(super) const SUCCESSOR_AT: usize = 512;

/// The size of a successor with its checksum.
const SUCCESSOR_BYTES: usize = 16;

/// The size of all that stands before the frames.
pub(super) const HEAD_BYTES: usize = SUCCESSOR_AT + SUCCESSOR_BYTES;

/// Where the first frame begins: one page.
pub(super) const FRAMES_AT: u64 = 4096;

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) store_id: StoreId,
    pub(super) number: u64,
    pub(super) previous: u64,
    pub(super) first_position: u64,
    pub(super) base_version: Version,
    pub(super) version_limit: Version,
    pub(super) salt: u64,
}

/// Why some bytes are not the header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// Not written as a header, or changed since.
    Broken,
    /// A sound header of a format that this code does not know.
    Format(u32),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[MAGIC..FORMAT_AT].copy_from_slice(&SEGMENT_MAGIC);
        bytes[FORMAT_AT..FORMAT_AT + 4].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[STORE_ID..NUMBER].copy_from_slice(&self.store_id);
        bytes[NUMBER..PREVIOUS].copy_from_slice(&self.number.to_le_bytes());
        bytes[PREVIOUS..FIRST_POSITION].copy_from_slice(&self.previous.to_le_bytes());
        bytes[FIRST_POSITION..BASE_VERSION].copy_from_slice(&self.first_position.to_le_bytes());
        bytes[BASE_VERSION..VERSION_LIMIT].copy_from_slice(&self.base_version.to_le_bytes());
        bytes[VERSION_LIMIT..SALT].copy_from_slice(&self.version_limit.to_le_bytes());
        bytes[SALT..CHECKSUM].copy_from_slice(&self.salt.to_le_bytes());
        let checksum = xxh3_64(&bytes[..CHECKSUM]);
        bytes[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<SegmentHeader, HeaderError> {
        let bytes = bytes.first_chunk::<HEADER_BYTES>().ok_or(HeaderError::Broken)?;
        let sound = bytes[MAGIC..FORMAT_AT] == SEGMENT_MAGIC && u64_at(bytes, CHECKSUM) == xxh3_64(&bytes[..CHECKSUM]);
        if !sound {
            return Err(HeaderError::Broken);
        }
        let format = u64_at(bytes, FORMAT_AT) as u32;
        if format != FORMAT {
            return Err(HeaderError::Format(format));
        }
        let mut store_id = StoreId::default();
        store_id.copy_from_slice(&bytes[STORE_ID..NUMBER]);
        Ok(SegmentHeader {
            store_id,
            number: u64_at(bytes, NUMBER),
            previous: u64_at(bytes, PREVIOUS),
            first_position: u64_at(bytes, FIRST_POSITION),
            base_version: u64_at(bytes, BASE_VERSION),
            version_limit: u64_at(bytes, VERSION_LIMIT),
            salt: u64_at(bytes, SALT),
        })
    }

    /// What says that this segment is continued by another one.
    pub(super) fn encode_successor(&self, number: u64) -> [u8; SUCCESSOR_BYTES] {
        let mut bytes = [0; SUCCESSOR_BYTES];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..].copy_from_slice(&self.successor_checksum(number).to_le_bytes());
        bytes
    }

    /// The segment that continues this one. `head` are the file's first bytes, which may still tell what continued a segment that had the file before.
    pub(super) fn decode_successor(&self, head: &[u8]) -> Option<u64> {
        let bytes = head.get(SUCCESSOR_AT..)?.first_chunk::<SUCCESSOR_BYTES>()?;
        let number = u64_at(bytes, 0);
        (number > self.number && u64_at(bytes, 8) == self.successor_checksum(number)).then_some(number)
    }

    fn successor_checksum(&self, number: u64) -> u64 {
        xxh3_64_with_seed(&number.to_le_bytes(), self.salt)
    }

    /// What the frames of this segment are sealed with.
    pub(super) fn seal(&self) -> Seal {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.store_id);
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..].copy_from_slice(&self.salt.to_le_bytes());
        Seal(xxh3_64(&bytes))
    }

    /// The position in the log of an offset in this segment.
    pub(super) fn position(&self, offset: u64) -> u64 {
        self.first_position + (offset - FRAMES_AT)
    }
}

/// A number that no segment had before, as far as chance can tell.
pub(super) fn new_salt() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader {
        store_id: *b"0123456789abcdef",
        number: 1,
        previous: 2,
        first_position: 3,
        base_version: 4,
        version_limit: 5,
        salt: 6,
    };

    #[test]
    fn a_header_is_read_as_it_was_written() {
        assert_eq!(SegmentHeader::decode(&HEADER.encode()), Ok(HEADER));
    }

    #[test]
    fn no_flipped_bit_passes() {
        let bytes = HEADER.encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), Err(HeaderError::Broken), "bit {bit}");
        }
        assert_eq!(SegmentHeader::decode(&bytes[..HEADER_BYTES - 1]), Err(HeaderError::Broken));
    }

    #[test]
    fn only_a_segments_own_successor_is_read() {
        let head = |by: SegmentHeader, number| [&[0; SUCCESSOR_AT][..], &by.encode_successor(number)].concat();
        assert_eq!(HEADER.decode_successor(&head(HEADER, 2)), Some(2));
        assert_eq!(HEADER.decode_successor(&head(HEADER, 1)), None, "not after it");
        assert_eq!(HEADER.decode_successor(&head(SegmentHeader { salt: 7, ..HEADER }, 2)), None, "another's file");
        assert_eq!(HEADER.decode_successor(&[0; HEAD_BYTES]), None);
        assert_eq!(HEADER.decode_successor(&head(HEADER, 2)[..HEAD_BYTES - 1]), None);
    }

    #[test]
    fn a_later_format_is_named() {
        let mut bytes = HEADER.encode();
        bytes[FORMAT_AT] = 9;
        let checksum = xxh3_64(&bytes[..CHECKSUM]).to_le_bytes();
        bytes[CHECKSUM..].copy_from_slice(&checksum);
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderError::Format(9)));
    }

    #[test]
    fn two_segments_of_one_number_have_different_seals() {
        let (first, second) =
            (SegmentHeader { salt: new_salt(), ..HEADER }, SegmentHeader { salt: new_salt(), ..HEADER });
        assert_ne!(first.seal(), second.seal());
    }
}
