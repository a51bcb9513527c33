//! One version of one key, as it lies in a chunk: a header, the key, the value, padding to 8 bytes.

#![expect(unsafe_code, reason = "entries are laid out in raw memory, so that one write costs one bump of an offset")]

use super::address::{Address, Link};
use crate::Version;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// The value length that stands for a delete.
const TOMBSTONE: u32 = u32::MAX;

/// Every field is written before the entry is published and never changed after, but for `next` and `dead`.
#[repr(C)]
struct Header {
    /// The next entry of the bucket's chain: an older one of another key.
    next: Link,
    /// The version of the same key before this one.
    older: Option<Address>,
    /// A farther one: see `versions.rs`.
    express: Option<Address>,
    version: Version,
    hash: u32,
    value_len: u32,
    depth: u32,
    /// One less than the key's length, which may be 65536.
    key_last: u16,
    dead: AtomicBool,
}

const HEADER_BYTES: usize = size_of::<Header>();
const _: () = assert!(HEADER_BYTES == 48 && align_of::<Header>() == 8);

/// An entry to be appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewEntry<'a> {
    pub(crate) next: Option<Address>,
    pub(crate) older: Option<Address>,
    pub(crate) express: Option<Address>,
    pub(crate) version: Version,
    pub(crate) hash: u32,
    pub(crate) depth: u32,
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
}

/// The bytes that an entry takes.
#[inline]
pub(crate) fn entry_bytes(key_len: usize, value_len: usize) -> usize {
    (HEADER_BYTES + key_len + value_len).next_multiple_of(align_of::<Header>())
}

/// A published entry, alive as long as the chunk table that it was found in.
#[derive(Clone, Copy)]
pub(crate) struct EntryRef<'a> {
    header: NonNull<Header>,
    chunk: PhantomData<&'a [u8]>,
}

impl<'a> EntryRef<'a> {
    /// Writes `entry` at `place`.
    ///
    /// # Safety
    /// `place` is aligned to 8 bytes and [`entry_bytes`] from it may be written; nobody reads them before the entry is
    /// published.
    #[inline]
    pub(super) unsafe fn write(place: NonNull<u8>, entry: &NewEntry<'_>) {
        let value = entry.value.unwrap_or_default();
        let header = Header {
            next: Link::new(entry.next),
            older: entry.older,
            express: entry.express,
            version: entry.version,
            hash: entry.hash,
            value_len: if entry.value.is_some() { value.len() as u32 } else { TOMBSTONE },
            depth: entry.depth,
            key_last: (entry.key.len() - 1) as u16,
            dead: AtomicBool::new(false),
        };
        // SAFETY: the caller gives room for the header, the key and the value, one after the other, that nobody else uses.
        unsafe {
            place.cast::<Header>().write(header);
            let key = place.add(HEADER_BYTES);
            key.copy_from_nonoverlapping(NonNull::from(entry.key).cast(), entry.key.len());
            key.add(entry.key.len()).copy_from_nonoverlapping(NonNull::from(value).cast(), value.len());
        }
    }

    /// The entry at `place`.
    ///
    /// # Safety
    /// An entry was written there, its publication happened before this call, and its chunk lives for `'a`.
    #[inline]
    pub(super) unsafe fn at(place: NonNull<u8>) -> Self {
        EntryRef { header: place.cast(), chunk: PhantomData }
    }

    #[inline]
    fn header(self) -> &'a Header {
        // SAFETY: `at` was given a published entry whose chunk lives for 'a; what changes in it is atomic.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    pub(crate) fn next(self) -> Option<Address> {
        self.header().next.load()
    }

    /// Only the writer links.
    pub(crate) fn set_next(self, next: Option<Address>) {
        self.header().next.store(next);
    }

    #[inline]
    pub(crate) fn older(self) -> Option<Address> {
        self.header().older
    }

    #[inline]
    pub(crate) fn express(self) -> Option<Address> {
        self.header().express
    }

    #[inline]
    pub(crate) fn version(self) -> Version {
        self.header().version
    }

    #[inline]
    pub(crate) fn depth(self) -> u32 {
        self.header().depth
    }

    /// Whether the entry was replaced within its version, or rolled back.
    #[inline]
    pub(crate) fn is_dead(self) -> bool {
        self.header().dead.load(Ordering::Acquire)
    }

    /// Only the writer kills.
    pub(crate) fn kill(self) {
        self.header().dead.store(true, Ordering::Release);
    }

    #[inline]
    fn key_len(self) -> usize {
        usize::from(self.header().key_last) + 1
    }

    #[inline]
    fn value_len(self) -> Option<usize> {
        let len = self.header().value_len;
        (len != TOMBSTONE).then_some(len as usize)
    }

    #[inline]
    pub(crate) fn key(self) -> &'a [u8] {
        // SAFETY: `write` put `key_len` bytes behind the header, and they never change.
        unsafe {
            let key = self.header.cast::<u8>().add(HEADER_BYTES);
            std::slice::from_raw_parts(key.as_ptr(), self.key_len())
        }
    }

    /// The value; `None` for a tombstone.
    #[inline]
    pub(crate) fn value(self) -> Option<&'a [u8]> {
        let len = self.value_len()?;
        // SAFETY: `write` put the value behind the key, and it never changes.
        unsafe {
            let value = self.header.cast::<u8>().add(HEADER_BYTES + self.key_len());
            Some(std::slice::from_raw_parts(value.as_ptr(), len))
        }
    }

    /// Whether this is an entry of `key`; `hash` decides most often, without looking at the key.
    #[inline]
    pub(crate) fn is_of(self, hash: u32, key: &[u8]) -> bool {
        self.header().hash == hash && self.key() == key
    }

    /// The bytes that the entry takes in its chunk.
    #[inline]
    pub(super) fn bytes(self) -> usize {
        entry_bytes(self.key_len(), self.value_len().unwrap_or(0))
    }
}
