//! Every name and magic number that a store writes to disk, built and parsed here. `docs/format.md` tells what they mean.

use std::path::{Path, PathBuf};

/// The format that this code writes, and the only one that it reads.
pub(crate) const FORMAT: u32 = 1;
/// The format of a manifest that tells of a rebalancing under way: code that knows none of it must not open the store.
pub(crate) const FORMAT_REBALANCING: u32 = 2;
/// The format of a manifest that tells of one with a rate.
pub(crate) const FORMAT_REBALANCING_AT_RATE: u32 = 3;

/// First bytes of a log segment.
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"shinglog";
/// First bytes of a frame in a log segment: no text, so that it is rare in values.
pub(crate) const FRAME_MAGIC: [u8; 4] = [0xb7, 0x53, 0x1c, 0xe9];
/// First bytes of the block index.
pub(crate) const BLOCKS_MAGIC: [u8; 8] = *b"shingblk";
/// First bytes of what is known of the slots.
pub(crate) const SLOTS_MAGIC: [u8; 8] = *b"shingslt";

/// What tells one store's files from another's: drawn when the store is made.
pub(crate) type StoreId = [u8; 16];

/// A store id as it stands in texts.
pub(crate) fn store_id_text(id: &StoreId) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`store_id_text`] wrote.
pub(crate) fn parse_store_id(text: &str) -> Option<StoreId> {
    let mut id = StoreId::default();
    let sound = text.len() == 2 * id.len() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !sound {
        return None;
    }
    for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(id)
}

const SEGMENT_SUFFIX: &str = ".log";
const FREE_SUFFIX: &str = ".free";
/// Enough for any `u64`, so that the order of names is the order of numbers.
const SEGMENT_DIGITS: usize = 20;

/// The files and directories of the store in `dir`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) dir: &'a Path,
}

impl Layout<'_> {
    pub(crate) fn manifest(&self) -> PathBuf {
        self.dir.join("MANIFEST")
    }

    /// The next manifest until it is renamed.
    pub(crate) fn manifest_new(&self) -> PathBuf {
        self.dir.join("MANIFEST.new")
    }

    /// While it is there and the manifest is not, the store is being made.
    pub(crate) fn creating(&self) -> PathBuf {
        self.dir.join("CREATING")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("LOCK")
    }

    pub(crate) fn blocks(&self) -> PathBuf {
        self.dir.join("blocks")
    }

    /// What is known of the slots while the store is closed.
    pub(crate) fn slots(&self) -> PathBuf {
        self.dir.join("slots")
    }

    /// The same, while it is written.
    pub(crate) fn slots_new(&self) -> PathBuf {
        self.dir.join("slots.new")
    }

    /// Where the log lies unless it has a disk of its own.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Where checkpoints lie, each in a directory of its name.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.dir.join("checkpoints")
    }

    /// What a restoration brings from a checkpoint and does not keep as it is.
    pub(crate) fn restoring(&self) -> PathBuf {
        self.dir.join(RESTORING)
    }

    /// Where a shard lies unless it has a disk of its own.
    pub(crate) fn shard(&self, number: usize) -> PathBuf {
        self.dir.join("shards").join(shard_name(number))
    }
}

/// The name of [`Layout::restoring`].
pub(crate) const RESTORING: &str = "restoring";

/// The files and directories of the checkpoint in `dir`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckpointLayout<'a> {
    pub(crate) dir: &'a Path,
}

impl CheckpointLayout<'_> {
    /// While it is there the checkpoint is whole.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.dir.join("CHECKPOINT")
    }

    /// The manifest until it is renamed.
    pub(crate) fn manifest_new(&self) -> PathBuf {
        self.dir.join("CHECKPOINT.new")
    }

    /// The store's manifest, block index and log, by the names that they have in a store.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.join(CHECKPOINT_STORE)
    }
}

/// The name of [`CheckpointLayout::store`].
pub(crate) const CHECKPOINT_STORE: &str = "store";

/// Where the part of a shard lies that is not below its store: beside the shard, on the same disk.
pub(crate) fn part_beside(shard: &Path, checkpoint: &str) -> PathBuf {
    let mut name = shard.file_name().unwrap_or_default().to_owned();
    name.push(".checkpoints");
    shard.with_file_name(name).join(checkpoint)
}

/// Where the copy of a shard lies that is examined and repaired: beside the shard, on the same disk.
pub(crate) fn repair_beside(shard: &Path) -> PathBuf {
    let mut name = shard.file_name().unwrap_or_default().to_owned();
    name.push(".repair");
    shard.with_file_name(name)
}

/// The name of a shard's directory.
pub(crate) fn shard_name(number: usize) -> String {
    format!("{number:03}")
}

/// What a file in the log's directory is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFile {
    /// A segment of the log.
    Segment(u64),
    /// A file that is to become a segment: a released one waiting for its reuse, or a new one without its header yet.
    Free(u64),
}

impl LogFile {
    pub(crate) fn name(self) -> String {
        let (number, suffix) = match self {
            LogFile::Segment(number) => (number, SEGMENT_SUFFIX),
            LogFile::Free(number) => (number, FREE_SUFFIX),
        };
        format!("{number:0SEGMENT_DIGITS$}{suffix}")
    }

    /// `None` for a name that no log file has.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let number = |digits: &str| -> Option<u64> {
            let sound = digits.len() == SEGMENT_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
            if sound { digits.parse().ok() } else { None }
        };
        if let Some(digits) = name.strip_suffix(SEGMENT_SUFFIX) {
            number(digits).map(LogFile::Segment)
        } else {
            name.strip_suffix(FREE_SUFFIX).and_then(number).map(LogFile::Free)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_log_files_are_read_back_and_sort_by_number() {
        for file in [LogFile::Segment(0), LogFile::Segment(u64::MAX), LogFile::Free(7)] {
            assert_eq!(LogFile::parse(&file.name()), Some(file));
        }
        assert!(LogFile::Segment(9).name() < LogFile::Segment(10).name());
    }

    #[test]
    fn a_store_id_is_read_as_it_was_written() {
        let id = *b"\x00\x01\xfe\xff0123456789ab";
        assert_eq!(parse_store_id(&store_id_text(&id)), Some(id));
        for text in ["", "00", "0001FEFF303132333435363738396162", "zz01feff303132333435363738396162"] {
            assert_eq!(parse_store_id(text), None, "{text}");
        }
    }

    #[test]
    fn other_names_are_no_log_files() {
        for name in [
            "",
            "1.log",
            "MANIFEST",
            "+0000000000000000001.log",
            "00000000000000000001.log.bak",
            "99999999999999999999.log",
        ] {
            assert_eq!(LogFile::parse(name), None, "{name}");
        }
    }
}
