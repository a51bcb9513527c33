//! Pruning in slices: what goes is found first, through the changes, and removed then.
//!
//! A key's rows at or below the floor are of three kinds: the newest, which stays unless it is a tombstone; older ones that a change names, which go; and
//! at most one that no change names any more, because an earlier pruning kept it as the newest. It goes together with the oldest row
//! above it, so that no slice has to remember another.

use crate::Version;

/// A slice ends when the keys that its changes name have so many bytes, however few they are.
pub(crate) const SLICE_KEY_BYTES_MAX: usize = 16 << 20;

/// How far a pruning of one backend has come: where it goes on.
#[derive(Clone, Debug, Default)]
pub struct PruneCursor {
    /// The first change that was found: an earlier pruning has taken those before it.
    pub(crate) first: Option<(Version, Vec<u8>)>,
    /// The last change that was looked at.
    pub(crate) seen: Option<(Version, Vec<u8>)>,
    /// Whether no change at or below the floor is left.
    pub finished: bool,
}

impl PruneCursor {
    /// The versions of the first change that was found and of the last one that was looked at.
    #[must_use]
    pub fn versions(&self) -> Option<(Version, Version)> {
        Some((self.first.as_ref()?.0, self.seen.as_ref()?.0))
    }
}

/// What a pruning removes at a time.
#[derive(Clone, Debug, Default)]
pub struct PruneSlice {
    /// The floor.
    pub floor: Version,
    /// Rows that go, by key ascending, then by version descending.
    pub rows: Vec<(Vec<u8>, Version)>,
    /// The first and the last change that go: these and all between.
    pub changes: Option<[(Version, Vec<u8>); 2]>,
    /// How many changes go.
    pub change_count: u64,
    /// Keys of which something goes. Each is counted in one slice of a pruning, that with the row beneath the newest.
    pub keys: u64,
    /// Bytes of the keys and values of the rows.
    pub bytes: u64,
}

impl PruneSlice {
    /// Empties the slice for reuse.
    pub fn clear(&mut self) {
        *self = PruneSlice { rows: std::mem::take(&mut self.rows), ..PruneSlice::default() };
        self.rows.clear();
    }

    /// Takes a row of the key in hand.
    pub(crate) fn push(&mut self, key: &[u8], version: Version, value_bytes: usize) {
        self.rows.push((key.to_vec(), version));
        self.bytes += (key.len() + value_bytes) as u64;
    }
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Goes,
    Stays,
    /// It stays, and so does every older one, as far as this slice goes.
    Done,
}

/// Judges the rows of one key from the newest at or below the floor downwards.
#[derive(Debug)]
pub(crate) struct KeyJudge<'a> {
    /// The versions with which the slice's changes name the key, ascending.
    named: &'a [Version],
    key: &'a [u8],
    /// Changes before it were taken by an earlier pruning.
    first: &'a (Version, Vec<u8>),
    newest_goes: Option<bool>,
    seen: u32,
    /// The row before was one of the slice's, or one without a change that went.
    chain: bool,
    /// Whether the key counts as one of which something goes.
    pub(crate) counts: bool,
}

impl<'a> KeyJudge<'a> {
    pub(crate) fn new(key: &'a [u8], named: &'a [Version], first: &'a (Version, Vec<u8>)) -> Self {
        KeyJudge { named, key, first, newest_goes: None, seen: 0, chain: false, counts: false }
    }

    pub(crate) fn judge(&mut self, version: Version, is_tombstone: bool) -> Verdict {
        let is_named = self.named.binary_search(&version).is_ok();
        self.seen += 1;
        let Some(newest_goes) = self.newest_goes else {
            self.newest_goes = Some(is_tombstone);
            self.chain = is_named;
            self.counts = is_named && is_tombstone;
            return if self.counts { Verdict::Goes } else { Verdict::Stays };
        };
        let goes = is_named || (self.chain && (version, self.key) < (self.first.0, self.first.1.as_slice()));
        self.chain = goes;
        // The row beneath a tombstone that goes is not the last to go: the tombstone counts for the key.
        self.counts |= goes && self.seen == 2 && !newest_goes;
        match goes {
            true => Verdict::Goes,
            false if self.named.first().is_some_and(|oldest| version > *oldest) => Verdict::Stays,
            false => Verdict::Done,
        }
    }

    /// The newest version below `version` by which the slice names the key.
    pub(crate) fn next_named(&self, version: Version) -> Option<Version> {
        let below = self.named.partition_point(|named| *named < version);
        below.checked_sub(1).map(|last| self.named[last])
    }
}
