//! Where an entry lies: addresses, and the words that hold one.
//!
//! ```text
//! address   := chunk number (32 bits, from 1) │ offset in units of 8 bytes (24 bits)
//! head      := tag (8 bits) │ address of the newest entry of a bucket (56 bits; 0: none)
//! order key := 8 bytes of the key, big-endian │ class (8 bits) │ !address (56 bits)
//! ```
//! Chunk numbers only grow and are never used again, so that comparing two addresses compares their age.
//!
//! Only an append makes an address. The types here unpack addresses from words, but never from a number that was not
//! packed from one: that an address stands for an entry is what the arena's unsafe code rests on.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

const OFFSET_BITS: u32 = 24;
const OFFSET_UNIT: usize = 8;
const ADDRESS_BITS: u32 = 56;
const ADDRESS_MASK: u64 = (1 << ADDRESS_BITS) - 1;

/// The mark in an order key's low half.
const REPEATS: u64 = 1 << 63;

/// The largest chunk whose every offset an address can hold.
pub(super) const CHUNK_BYTES_MAX: usize = OFFSET_UNIT << OFFSET_BITS;

/// A place in the log, or its end: ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(u64);

impl Position {
    /// `offset` is a multiple of 8.
    pub(super) fn new(chunk: u32, offset: usize) -> Self {
        debug_assert!(offset.is_multiple_of(OFFSET_UNIT) && offset <= CHUNK_BYTES_MAX);
        Position((u64::from(chunk) << OFFSET_BITS) + (offset / OFFSET_UNIT) as u64)
    }

    /// The start of a chunk.
    pub(crate) fn of_chunk(chunk: u32) -> Self {
        Position::new(chunk, 0)
    }

    pub(super) fn chunk(self) -> u32 {
        (self.0 >> OFFSET_BITS) as u32
    }

    pub(super) fn offset(self) -> usize {
        (self.0 & ((1 << OFFSET_BITS) - 1)) as usize * OFFSET_UNIT
    }
}

/// Where an entry lies. A larger address is a newer entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address(NonZeroU64);

impl Address {
    /// The caller has just placed an entry there, or found one.
    pub(super) fn new(chunk: u32, offset: usize) -> Self {
        let bits = NonZeroU64::new(Position::new(chunk, offset).0);
        Address(bits.expect("chunk numbers start at 1"))
    }

    #[inline]
    fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits & ADDRESS_MASK).map(Address)
    }

    #[inline]
    fn bits(address: Option<Self>) -> u64 {
        address.map_or(0, |address| address.0.get())
    }

    #[inline]
    pub(crate) fn position(self) -> Position {
        Position(self.0.get())
    }

    #[inline]
    pub(super) fn chunk(self) -> u32 {
        self.position().chunk()
    }

    #[inline]
    pub(super) fn offset(self) -> usize {
        self.position().offset()
    }
}

/// A link between entries that the writer changes while readers follow it.
#[derive(Debug)]
pub(super) struct Link(AtomicU64);

impl Link {
    pub(super) fn new(address: Option<Address>) -> Self {
        Link(AtomicU64::new(Address::bits(address)))
    }

    #[inline]
    pub(super) fn load(&self) -> Option<Address> {
        Address::from_bits(self.0.load(Ordering::Acquire))
    }

    pub(super) fn store(&self, address: Option<Address>) {
        self.0.store(Address::bits(address), Ordering::Release);
    }
}

/// A bucket of the index: its newest entry, and a bloom filter of 8 bits over the hashes of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head(u64);

impl Head {
    pub(crate) const EMPTY: Head = Head(0);

    /// This head with a new front; `tag` is the bit of the new entry's hash.
    #[inline]
    #[must_use]
    pub(crate) fn pushed(self, tag: u64, front: Address) -> Self {
        Head((self.0 & !ADDRESS_MASK) | (tag << ADDRESS_BITS) | front.0.get())
    }

    /// This head without its front. The tag keeps the bit of what went: it may be wrong only by having too many.
    #[must_use]
    pub(crate) fn popped(self, front: Option<Address>) -> Self {
        match front {
            Some(front) => Head((self.0 & !ADDRESS_MASK) | front.0.get()),
            None => Head::EMPTY,
        }
    }

    #[inline]
    pub(crate) fn front(self) -> Option<Address> {
        Address::from_bits(self.0)
    }

    /// Whether the chain may hold an entry whose hash sets the bit `tag`.
    #[inline]
    pub(crate) fn may_hold(self, tag: u64) -> bool {
        self.0 & (tag << ADDRESS_BITS) != 0
    }
}

/// A head that the writer changes while readers load it. All zeros is [`Head::EMPTY`].
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct AtomicHead(AtomicU64);

impl AtomicHead {
    #[inline]
    pub(crate) fn load(&self) -> Head {
        Head(self.0.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn store(&self, head: Head) {
        self.0.store(head.0, Ordering::Release);
    }
}

/// What a sort compares instead of keys: 8 bytes of the key, then a class from 0 to 127, then the newest address first. When all is
/// sorted, those that repeat the key before them are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderKey(u128);

impl OrderKey {
    #[inline]
    pub(crate) fn new(word: u64, class: u8, address: Address) -> Self {
        let low = (u64::from(class) << ADDRESS_BITS) | (!address.0.get() & ADDRESS_MASK);
        OrderKey((u128::from(word) << 64) | u128::from(low))
    }

    /// The same word and class for another address and its mark.
    #[must_use]
    pub(crate) fn with_address_of(self, other: OrderKey) -> Self {
        let mask = u128::from(ADDRESS_MASK | REPEATS);
        OrderKey((self.0 & !mask) | (other.0 & mask))
    }

    /// Marks it as one more entry of the key before it.
    pub(crate) fn mark_repeated(&mut self) {
        self.0 |= u128::from(REPEATS);
    }

    #[inline]
    pub(crate) fn is_repeated(self) -> bool {
        self.0 & u128::from(REPEATS) != 0
    }

    #[inline]
    pub(crate) fn word(self) -> u64 {
        (self.0 >> 64) as u64
    }

    #[inline]
    pub(crate) fn class(self) -> u8 {
        (self.0 >> ADDRESS_BITS) as u8 & 0x7f
    }

    #[inline]
    pub(crate) fn address(self) -> Address {
        Address::from_bits(!(self.0 as u64)).expect("packed from an address, which is not 0")
    }

    /// Whether word and class are the same. Neither is marked yet.
    #[inline]
    pub(crate) fn ties_with(self, other: OrderKey) -> bool {
        self.0 >> ADDRESS_BITS == other.0 >> ADDRESS_BITS
    }
}
