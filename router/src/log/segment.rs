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
//!     88   4008  0
//!   4096      …  frames
//! ```
//! All numbers are little-endian. The header has a page of its own: no write of a frame touches it again.

use super::frame::Seal;
use crate::encoding::u64_at;
use crate::layout::{FORMAT, SEGMENT_MAGIC, StoreId};
use shingle_shard::Version;
use std::hash::{BuildHasher, Hasher, RandomState};
use xxhash_rust::xxh3::xxh3_64;

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
