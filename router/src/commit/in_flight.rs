//! Commits that are numbered but not yet visible: a transaction must be validated against them too.

use super::Commit;
use crate::blocks::Block;
use shingle_shard::{KeyRange, Version};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Instant;

/// Commits with more writes than this keep a set of their own, built when the first transaction asks: blocks come without
/// transactions beside them most of the time, and then cost nothing here.
const SMALL_COMMIT_WRITES: usize = 64;

/// The commits between the visible version and the newest numbered one, oldest first.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    commits: VecDeque<Arc<Commit>>,
    /// Newest version of each key that a small commit writes. Keyed by the key's 64-bit hash: a collision costs one needless retry.
    small: HashMap<u64, Version, BuildHasherDefault<Hashed>>,
    large: VecDeque<LargeCommit>,
}

#[derive(Debug)]
struct LargeCommit {
    commit: Arc<Commit>,
    keys: Option<HashSet<u64, BuildHasherDefault<Hashed>>>,
}

impl LargeCommit {
    fn writes(&mut self, hash: u64) -> bool {
        self.keys.get_or_insert_with(|| self.commit.key_hashes.iter().copied().collect()).contains(&hash)
    }
}

impl InFlight {
    pub(crate) fn push(&mut self, commit: Arc<Commit>) {
        if commit.key_hashes.len() > SMALL_COMMIT_WRITES {
            self.large.push_back(LargeCommit { commit: Arc::clone(&commit), keys: None });
        } else {
            self.small.extend(commit.key_hashes.iter().map(|&hash| (hash, commit.version)));
        }
        self.commits.push_back(commit);
    }

    /// Forgets the commits up to `visible`: the shards' memory answers for them from now on.
    pub(crate) fn forget_through(&mut self, visible: Version) {
        while let Some(commit) = self.commits.pop_front_if(|commit| commit.version <= visible) {
            if commit.key_hashes.len() <= SMALL_COMMIT_WRITES {
                for hash in &commit.key_hashes {
                    if self.small.get(hash) == Some(&commit.version) {
                        self.small.remove(hash);
                    }
                }
            }
        }
        while self.large.pop_front_if(|large| large.commit.version <= visible).is_some() {}
    }

    /// Forgets every commit from `first` on: they failed.
    pub(crate) fn forget_from(&mut self, first: Version) {
        self.commits.retain(|commit| commit.version < first);
        self.large.retain(|large| large.commit.version < first);
        self.small.clear();
        for commit in self.commits.iter().filter(|commit| commit.key_hashes.len() <= SMALL_COMMIT_WRITES) {
            self.small.extend(commit.key_hashes.iter().map(|&hash| (hash, commit.version)));
        }
    }

    pub(crate) fn into_commits(self) -> Vec<Arc<Commit>> {
        self.commits.into()
    }

    pub(crate) fn len(&self) -> usize {
        self.commits.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    pub(crate) fn oldest(&self) -> Option<Version> {
        self.commits.front().map(|commit| commit.version)
    }

    /// Since when the oldest one has been under way.
    pub(crate) fn begun(&self) -> Option<Instant> {
        self.commits.front().map(|commit| commit.begun)
    }

    pub(crate) fn newest(&self) -> Option<Version> {
        self.commits.back().map(|commit| commit.version)
    }

    pub(crate) fn contains(&self, version: Version) -> bool {
        self.commits.iter().any(|commit| commit.version == version)
    }

    pub(crate) fn newest_block(&self) -> Option<Block> {
        self.commits.iter().rev().find_map(|commit| commit.block)
    }

    /// Whether a commit above `after` writes the key with this hash.
    pub(crate) fn written_after(&mut self, hash: u64, after: Version) -> bool {
        self.small.get(&hash).is_some_and(|&version| version > after)
            || self.large.iter_mut().any(|large| large.commit.version > after && large.writes(hash))
    }

    /// The newest commit that writes the key with this hash.
    pub(crate) fn newest_writer(&mut self, hash: u64) -> Option<Version> {
        let large = self.large.iter_mut().rev().find_map(|large| large.writes(hash).then_some(large.commit.version));
        large.max(self.small.get(&hash).copied())
    }

    /// Whether a commit above `after` writes a key of `range`.
    pub(crate) fn range_written_after(&self, range: &KeyRange, after: Version) -> bool {
        self.commits
            .iter()
            .filter(|commit| commit.version > after)
            .any(|commit| commit.writes().any(|(_, mut writes)| writes.ops.any(|op| range.contains(op.key))))
    }
}

/// Takes a 64-bit hash for what it is.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
