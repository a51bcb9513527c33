//! What the store says of its past: snapshots back then, changes, differences, blocks.

use super::super::reads::{self, View};
use super::Run;
use rand::Rng;
use rand::seq::IndexedRandom;
use shingle::{At, Change, Difference, ErrorKind};

impl Run {
    /// Opens a snapshot somewhere in the past, or refuses to.
    pub(super) fn read_history(&mut self) {
        let block = self.oracle.blocks.choose(&mut self.rng).copied();
        let (asked, expected) = match (self.rng.random_range(0..3), block) {
            (0, Some(block)) => (At::Height(block.height), Some(block.version)),
            (1, Some(block)) => {
                let time = block.timestamp_ms + self.rng.random_range(0..600);
                (At::Time(time), self.oracle.newest_block_at_time(time).map(|block| block.version))
            }
            _ => {
                let version = self.rng.random_range(0..=self.oracle.visible + 2);
                let exists = version <= self.oracle.visible && !self.oracle.is_retracted(version);
                (At::Version(version), exists.then_some(version))
            }
        };
        self.ops += 1;
        match (self.db().snapshot_at(asked), expected) {
            (Ok(snapshot), Some(version)) => {
                assert!(version >= self.oracle.floor, "{asked:?} was pruned");
                assert_eq!(snapshot.version(), version, "{asked:?}");
                let view = View::Snapshot(&snapshot);
                self.ops += reads::check(&view, version, &self.oracle, &self.pool, &mut self.rng);
            }
            (Err(error), Some(version)) if version < self.oracle.floor => assert_eq!(error.kind(), ErrorKind::Pruned),
            (Err(error), None) => {
                assert!(
                    matches!(error.kind(), ErrorKind::InvalidArgument | ErrorKind::RolledBack),
                    "{asked:?}: {error}"
                );
            }
            (found, expected) => panic!("{asked:?} should show {expected:?}, and gave {found:?}"),
        }
    }

    pub(super) fn compare_changes(&mut self) {
        let visible = self.oracle.visible;
        let after = visible - self.rng.random_range(0..=visible.min(100));
        self.ops += 1;
        if self.oracle.is_retracted(after) {
            let refused = self.db().changes_since(after).expect_err("the version was rolled back");
            assert_eq!(refused.kind(), ErrorKind::RolledBack);
            return;
        }
        if after < self.oracle.floor {
            assert_eq!(self.db().changes_since(after).expect_err("it was pruned").kind(), ErrorKind::Pruned);
            return;
        }
        let mut expected = self.oracle.changes(after, visible);
        for change in self.db().changes_since(after).expect("a retained version") {
            let Change { version, key, value } = change.expect("a sound store");
            assert_eq!(Some((version, &key, value.as_ref())), expected.next(), "changes since {after}");
        }
        assert_eq!(expected.next(), None, "changes since {after} ended early");
    }

    pub(super) fn compare_diff(&mut self) {
        let (Some(from), Some(to)) =
            (self.oracle.blocks.choose(&mut self.rng), self.oracle.blocks.choose(&mut self.rng))
        else {
            return;
        };
        if from.version.min(to.version) < self.oracle.floor {
            assert_eq!(self.db().diff(from.height, to.height).expect_err("it was pruned").kind(), ErrorKind::Pruned);
            return;
        }
        let mut expected = self.oracle.diff(from.version, to.version);
        for difference in self.db().diff(from.height, to.height).expect("two heights that exist") {
            let Difference { key, before, after } = difference.expect("a sound store");
            assert_eq!(Some((&key, before.as_ref(), after.as_ref())), expected.next(), "{from:?} to {to:?}");
        }
        assert_eq!(expected.next(), None, "the diff of {from:?} and {to:?} ended early");
        drop(expected);
        self.ops += 1;
    }

    pub(super) fn compare_blocks(&mut self) {
        let blocks = &self.oracle.blocks;
        let db = self.db();
        assert_eq!(db.head(), blocks.last().copied());
        let newest = blocks.last().map_or(0, |block| block.height);
        let (low, high) = {
            let mut bounds = [0; 2].map(|_| self.rng.random_range(0..=newest + 2));
            bounds.sort_unstable();
            (bounds[0], bounds[1])
        };
        let db = self.db();
        let expected: Vec<_> = self.oracle.blocks.iter().filter(|b| (low..high).contains(&b.height)).copied().collect();
        assert_eq!(db.blocks(low..high), expected);
        assert_eq!(db.block(low), self.oracle.blocks.iter().find(|block| block.height == low).copied());
        self.ops += 3;
    }
}
