//! What the store must answer: every version of every key in an ordered map.

use shingle::{SealedBlock, Version};
use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};

pub(crate) type Key = Vec<u8>;
pub(crate) type Value = Vec<u8>;
/// The writes of one commit: the last write of a key wins.
pub(crate) type Writes = BTreeMap<Key, Option<Value>>;
pub(crate) type Range = (Bound<Key>, Bound<Key>);

#[derive(Clone, Default)]
pub(crate) struct Oracle {
    history: BTreeMap<Key, Vec<(Version, Option<Value>)>>,
    commits: BTreeMap<Version, Writes>,
    pub(crate) blocks: Vec<SealedBlock>,
    pub(crate) visible: Version,
    /// The oldest version that can be read.
    pub(crate) floor: Version,
    retracted: Vec<RangeInclusive<Version>>,
}

impl Oracle {
    pub(crate) fn commit(&mut self, version: Version, writes: Writes) {
        assert!(version > self.visible, "version {version} was given after {}", self.visible);
        self.visible = version;
        for (key, value) in &writes {
            self.history.entry(key.clone()).or_default().push((version, value.clone()));
        }
        self.commits.insert(version, writes);
    }

    /// Every version above `keep` is gone; `now` is the newest version from here on.
    pub(crate) fn roll_back(&mut self, keep: Version, now: Version) {
        assert!(now > self.visible, "a rollback is numbered like a commit: {now} after {}", self.visible);
        self.retracted.push(keep + 1..=self.visible);
        self.visible = now;
        for (_, writes) in self.commits.split_off(&(keep + 1)) {
            for key in writes.keys() {
                if let Some(chain) = self.history.get_mut(key) {
                    chain.retain(|(version, _)| *version <= keep);
                }
            }
        }
        self.blocks.retain(|block| block.version <= keep);
    }

    /// Forgets every version that a newer one at or below `floor` supersedes, and tombstones that are the newest there. Returns how many versions that
    /// were, of how many keys, and the bytes of their keys and values.
    pub(crate) fn prune(&mut self, floor: Version) -> (u64, u64, u64) {
        self.floor = floor;
        let (mut versions, mut keys, mut bytes) = (0, 0, 0);
        for (key, chain) in &mut self.history {
            let below = chain.partition_point(|(version, _)| *version <= floor);
            let Some(newest) = below.checked_sub(1) else { continue };
            let gone = if chain[newest].1.is_none() { below } else { newest };
            for (_, value) in chain.drain(..gone) {
                bytes += (key.len() + value.map_or(0, |value| value.len())) as u64;
            }
            versions += gone as u64;
            keys += u64::from(gone > 0);
        }
        (versions, keys, bytes)
    }

    /// The lowest floor at which no key has more than `most` versions.
    pub(crate) fn floor_by_versions(&self, most: usize) -> Version {
        let over = self.history.values().filter(|chain| chain.len() > most);
        over.map(|chain| chain[chain.len() - most].0).max().unwrap_or(0)
    }

    /// Whether a snapshot at `version` was taken away by a rollback.
    pub(crate) fn is_retracted(&self, version: Version) -> bool {
        self.retracted.iter().any(|gone| gone.contains(&version))
    }

    pub(crate) fn get(&self, key: &[u8], at: Version) -> Option<&Value> {
        newest(self.history.get(key)?, at)
    }

    /// The keys of `range` in order, with the values that `at` sees.
    pub(crate) fn range(&self, range: &Range, at: Version) -> Box<dyn DoubleEndedIterator<Item = (&Key, &Value)> + '_> {
        if is_empty(range) {
            return Box::new(std::iter::empty());
        }
        let range = (range.0.as_ref(), range.1.as_ref());
        Box::new(self.history.range::<Key, _>(range).filter_map(move |(key, chain)| Some((key, newest(chain, at)?))))
    }

    /// Every write of the versions above `after` and up to `through`, by version, then by key.
    pub(crate) fn changes(
        &self,
        after: Version,
        through: Version,
    ) -> impl Iterator<Item = (Version, &Key, Option<&Value>)> {
        self.commits
            .range((Bound::Excluded(after), Bound::Included(through)))
            .flat_map(|(version, writes)| writes.iter().map(|(key, value)| (*version, key, value.as_ref())))
    }

    /// The keys whose value at `from` is not the one at `to`, with both.
    pub(crate) fn diff(
        &self,
        from: Version,
        to: Version,
    ) -> impl Iterator<Item = (&Key, Option<&Value>, Option<&Value>)> {
        self.history
            .iter()
            .map(move |(key, chain)| (key, newest(chain, from), newest(chain, to)))
            .filter(|(_, before, after)| before != after)
    }

    /// Whether a version above `after` wrote `key`.
    pub(crate) fn written_after(&self, key: &[u8], after: Version) -> bool {
        self.history.get(key).and_then(|chain| chain.last()).is_some_and(|(version, _)| *version > after)
    }

    /// Whether a version above `after` wrote a key of `range`.
    pub(crate) fn range_written_after(&self, range: &Range, after: Version) -> bool {
        !is_empty(range)
            && self
                .history
                .range::<Key, _>((range.0.as_ref(), range.1.as_ref()))
                .any(|(key, _)| self.written_after(key, after))
    }

    pub(crate) fn newest_block_at_time(&self, timestamp_ms: u64) -> Option<&SealedBlock> {
        self.blocks.iter().rev().find(|block| block.timestamp_ms <= timestamp_ms)
    }
}

fn newest(chain: &[(Version, Option<Value>)], at: Version) -> Option<&Value> {
    let newer = chain.partition_point(|(version, _)| *version <= at);
    chain[..newer].last().and_then(|(_, value)| value.as_ref())
}

/// Whether the range holds no key; the ordered map panics on some of these.
fn is_empty(range: &Range) -> bool {
    match range {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
    }
}

/// The range of the keys that begin with `prefix`.
pub(crate) fn prefix_range(prefix: &[u8]) -> Range {
    let start = Bound::Included(prefix.to_vec());
    match prefix.iter().rposition(|byte| *byte != 0xff) {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            (start, Bound::Excluded(end))
        }
        None => (start, Bound::Unbounded),
    }
}
