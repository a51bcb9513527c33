//! The file `blocks`, apart from the index so that a sync holds up no reader.
//!
//! ```text
//! offset  bytes
//!      0      8  magic
//!      8      4  format
//!     12      4  0
//!     16     16  store id
//!     32      8  count: how many entries the file has
//!     40      8  checksum of the bytes before
//!     48   4048  0
//!   4096     40  entry 0, entry 1, …
//!
//! entry := 1 (u64) │ height (u64) │ timestamp in ms (u64) │ version (u64) │ checksum      a block was sealed
//!        | 2 (u64) │ version kept (u64) │ 0 (u64)         │ version (u64) │ checksum      everything above a version was rolled back
//! ```
//! All numbers are little-endian. A checksum is that of the bytes before, seeded with the store id and the entry's number. Entries are written and synced before the count that covers them, so that what the
//! count covers is whole, and what it does not cover is nothing. The header fits one sector and is overwritten in place.

use super::{BlockIndex, Entry, RolledBack, SealedBlock};
use crate::encoding::u64_at;
use crate::layout::{BLOCKS_MAGIC, FORMAT, Layout, StoreId, store_id_text};
use crate::{Error, Result, durable};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const MAGIC: usize = 0;
const FORMAT_AT: usize = MAGIC + 8;
const STORE_ID: usize = FORMAT_AT + 8;
const COUNT: usize = STORE_ID + 16;
const CHECKSUM: usize = COUNT + 8;
const HEADER_BYTES: usize = CHECKSUM + 8;

const ENTRIES_AT: u64 = 4096;
const ENTRY_BYTES: usize = 40;

/// Kinds of entries. Written to disk, never renumbered.
const SEALED: u64 = 1;
const ROLLED_BACK: u64 = 2;

/// The file of the block index, open for writing.
#[derive(Debug)]
pub(crate) struct BlocksFile {
    file: File,
    path: PathBuf,
    store_id: StoreId,
    count: usize,
}

impl BlocksFile {
    /// Makes the file of a store without blocks, in place of any that an interrupted creation left.
    pub(crate) fn create(dir: &Path, store_id: StoreId) -> Result<BlocksFile> {
        let path = Layout { dir }.blocks();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| Error::io("create", &path, error))?;
        let mut blocks = BlocksFile { file, path, store_id, count: 0 };
        blocks.write_count(0)?;
        durable::sync_name(&blocks.path).map_err(|error| Error::io("sync", dir, error))?;
        Ok(blocks)
    }

    /// Reads the file.
    pub(crate) fn open(dir: &Path, store_id: StoreId) -> Result<(BlocksFile, BlockIndex)> {
        let path = Layout { dir }.blocks();
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::BlocksDamaged { path, offset: 0, what: "the file is missing".to_owned() });
            }
            Err(error) => return Err(Error::io("open", &path, error)),
        };
        let mut blocks = BlocksFile { file, path, store_id, count: 0 };
        let mut header = [0; HEADER_BYTES];
        blocks.read(&mut header, 0)?;
        let count = blocks.check_header(&header)?;
        let room = blocks.file.metadata().map_err(|error| Error::io("measure", &blocks.path, error))?.len();
        let fits = |count: &usize| {
            count.checked_mul(ENTRY_BYTES).is_some_and(|bytes| bytes == 0 || ENTRIES_AT + bytes as u64 <= room)
        };
        let count = usize::try_from(count).ok().filter(fits);
        blocks.count = count.ok_or_else(|| blocks.damaged(room, "the file ends before its last entry"))?;
        let index = BlockIndex::from_entries(blocks.entries()?)
            .ok_or_else(|| blocks.damaged(ENTRIES_AT, "entries are out of order"))?;
        Ok((blocks, index))
    }

    /// Every entry of the file, oldest first.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        let mut bytes = vec![0; self.count * ENTRY_BYTES];
        self.read(&mut bytes, ENTRIES_AT)?;
        let decoded = bytes.chunks_exact(ENTRY_BYTES).enumerate().map(|(number, entry)| {
            let offset = ENTRIES_AT + (number * ENTRY_BYTES) as u64;
            decode_entry(entry, seed(&self.store_id, number))
                .ok_or_else(|| self.damaged(offset, "an entry does not match its checksum"))
        });
        decoded.collect()
    }

    /// Makes entries durable behind those that the file has. After an error it can be called again with the same ones.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let encode = |(at, entry)| encode_entry(entry, seed(&self.store_id, self.count + at));
        let bytes: Vec<u8> = entries.iter().enumerate().flat_map(encode).collect();
        let offset = ENTRIES_AT + (self.count * ENTRY_BYTES) as u64;
        self.write(&bytes, offset)?;
        self.sync()?;
        fail::fail_point!("blocks::persist");
        self.write_count(self.count + entries.len())
    }

    fn write_count(&mut self, count: usize) -> Result<()> {
        let mut header = [0; HEADER_BYTES];
        header[MAGIC..FORMAT_AT].copy_from_slice(&BLOCKS_MAGIC);
        header[FORMAT_AT..FORMAT_AT + 4].copy_from_slice(&FORMAT.to_le_bytes());
        header[STORE_ID..COUNT].copy_from_slice(&self.store_id);
        header[COUNT..CHECKSUM].copy_from_slice(&(count as u64).to_le_bytes());
        let checksum = xxh3_64(&header[..CHECKSUM]);
        header[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        self.write(&header, 0)?;
        self.sync()?;
        self.count = count;
        Ok(())
    }

    fn check_header(&self, header: &[u8; HEADER_BYTES]) -> Result<u64> {
        if header[MAGIC..FORMAT_AT] != BLOCKS_MAGIC || u64_at(header, CHECKSUM) != xxh3_64(&header[..CHECKSUM]) {
            return Err(self.damaged(0, "the header does not match its checksum"));
        }
        let mismatch = |what, made_with, asked| Error::Mismatch { path: self.path.clone(), what, made_with, asked };
        let format = u64_at(header, FORMAT_AT) as u32;
        if format != FORMAT {
            return Err(mismatch("format of the block index", format.to_string(), FORMAT.to_string()));
        }
        if header[STORE_ID..COUNT] != self.store_id {
            let mut found = StoreId::default();
            found.copy_from_slice(&header[STORE_ID..COUNT]);
            return Err(mismatch("store of the block index", store_id_text(&found), store_id_text(&self.store_id)));
        }
        Ok(u64_at(header, COUNT))
    }

    fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::BlocksDamaged { path: self.path.clone(), offset, what: what.to_owned() }
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buffer, offset).map_err(|error| match error.kind() == io::ErrorKind::UnexpectedEof {
            true => self.damaged(offset, "the file ends too early"),
            false => Error::io("read", &self.path, error),
        })
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|error| Error::io("write", &self.path, error))
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| Error::io("sync", &self.path, error))
    }
}

fn seed(store_id: &StoreId, number: usize) -> u64 {
    xxh3_64(store_id).wrapping_add(number as u64)
}

fn encode_entry(entry: &Entry, seed: u64) -> [u8; ENTRY_BYTES] {
    let fields = match *entry {
        Entry::Sealed(block) => [SEALED, block.height, block.timestamp_ms, block.version],
        Entry::RolledBack(rolled_back) => [ROLLED_BACK, rolled_back.keep, 0, rolled_back.at],
    };
    let mut bytes = [0; ENTRY_BYTES];
    for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    let checksum = xxh3_64_with_seed(&bytes[..32], seed);
    bytes[32..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode_entry(bytes: &[u8], seed: u64) -> Option<Entry> {
    if u64_at(bytes, 32) != xxh3_64_with_seed(&bytes[..32], seed) {
        return None;
    }
    match [0, 8, 16, 24].map(|at| u64_at(bytes, at)) {
        [SEALED, height, timestamp_ms, version] => Some(Entry::Sealed(SealedBlock { height, timestamp_ms, version })),
        [ROLLED_BACK, keep, 0, at] => Some(Entry::RolledBack(RolledBack { keep, at })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const STORE: StoreId = *b"0123456789abcdef";

    fn block(height: u64) -> SealedBlock {
        SealedBlock { height, timestamp_ms: 1000 * height, version: 10 * height + 1 }
    }

    fn blocks(heights: std::ops::Range<u64>) -> Vec<SealedBlock> {
        heights.map(block).collect()
    }

    fn sealed(heights: std::ops::Range<u64>) -> Vec<Entry> {
        heights.map(|height| Entry::Sealed(block(height))).collect()
    }

    fn read(dir: &Path) -> Result<Vec<SealedBlock>> {
        BlocksFile::open(dir, STORE).map(|(_, index)| index.range(..).to_vec())
    }

    #[test]
    fn what_was_written_is_read_back() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut file = BlocksFile::create(dir.path(), STORE)?;
        assert_eq!(read(dir.path())?, []);
        file.append(&sealed(0..3))?;
        file.append(&sealed(3..200))?;
        file.append(&[])?;
        assert_eq!(read(dir.path())?, blocks(0..200));
        file.append(&[Entry::RolledBack(RolledBack { keep: block(9).version, at: 5000 })])?;
        let (_, index) = BlocksFile::open(dir.path(), STORE)?;
        assert_eq!((index.range(..), index.covers_through()), (blocks(0..10).as_slice(), 5000));
        assert_eq!(index.rolled_back(4999), Some(block(9).version));
        Ok(())
    }

    #[test]
    fn entries_without_their_count_are_nothing() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut file = BlocksFile::create(dir.path(), STORE)?;
        file.append(&sealed(0..2))?;
        // A power cut before the count was written: one entry torn, one whole.
        file.write(&[0xff; 20], ENTRIES_AT + 2 * ENTRY_BYTES as u64)?;
        file.write(&encode_entry(&Entry::Sealed(block(3)), seed(&STORE, 3)), ENTRIES_AT + 3 * ENTRY_BYTES as u64)?;
        let (mut file, index) = BlocksFile::open(dir.path(), STORE)?;
        assert_eq!(index.range(..), blocks(0..2));
        file.append(&sealed(2..3))?;
        assert_eq!(read(dir.path())?, blocks(0..3));
        Ok(())
    }

    #[test]
    fn a_flipped_byte_is_damage_wherever_it_means_something() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        BlocksFile::create(dir.path(), STORE)?.append(&sealed(0..5))?;
        let path = Layout { dir: dir.path() }.blocks();
        let whole = std::fs::read(&path).expect("just written");
        let file = OpenOptions::new().write(true).open(&path).expect("just written");
        for (at, byte) in whole.iter().enumerate() {
            file.write_all_at(&[byte ^ 0x10], at as u64).expect("a writable file");
            match read(dir.path()) {
                Ok(read) => {
                    assert!((HEADER_BYTES..ENTRIES_AT as usize).contains(&at), "byte {at} means something");
                    assert_eq!(read, blocks(0..5));
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Damaged, "byte {at}: {error}"),
            }
            file.write_all_at(&[*byte], at as u64).expect("a writable file");
        }
        for bytes in [0, 10, HEADER_BYTES, whole.len() - 1] {
            std::fs::write(&path, &whole[..bytes]).expect("a writable file");
            assert_eq!(
                read(dir.path()).map_err(|error| error.kind()),
                Err(ErrorKind::Damaged),
                "{bytes} bytes are left"
            );
        }
        Ok(())
    }

    #[test]
    fn another_stores_blocks_are_refused() -> Result<()> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        BlocksFile::create(dir.path(), *b"ffffffffffffffff")?;
        assert_eq!(read(dir.path()).map_err(|error| error.kind()), Err(ErrorKind::Mismatch));
        Ok(())
    }
}
