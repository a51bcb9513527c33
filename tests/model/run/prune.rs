//! Pruning by every policy, beside snapshots that hold it back.

use super::{Place, Run};
use rand::Rng;
use rand::seq::IndexedRandom;
use shingle::{ErrorKind, PruneHold, PruneOptions, Retention, Version};
use std::time::Duration;

impl Run {
    pub(super) fn prune(&mut self) {
        if self.rng.random_ratio(1, 3) {
            self.kept.clear();
        }
        let retention = self.retention();
        let newest = self.oracle.blocks.last().map(|block| block.height);
        if retention.below_height.is_some_and(|height| newest.is_none_or(|newest| newest < height)) {
            let refused = self.db().prune(&retention).expect_err("there is no such block");
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{retention:?}");
            self.ops += 1;
            return;
        }
        let (wanted, floor) = self.expected_floor(&retention);
        let options = PruneOptions { dry_run: true, compact: false };
        if self.db().rebalance_status().is_none() && self.rng.random() {
            let counted = self.db().prune_with(&retention, options, &|_| {}).expect("room on the disk");
            assert_eq!(self.db().floor(), self.oracle.floor, "a dry run leaves the floor");
            let mut copy = self.oracle.clone();
            assert_eq!((counted.versions, counted.keys, counted.bytes), copy.prune(floor), "{retention:?} to {floor}");
        }
        let options = PruneOptions { dry_run: false, compact: self.rng.random() };
        let pruned = self.db().prune_with(&retention, options, &|_| {}).expect("room on the disk");
        if pruned.held_back == Some(PruneHold::Rebalance) {
            assert_eq!((pruned.floor, pruned.wanted, pruned.versions), (self.oracle.floor, wanted, 0), "{retention:?}");
            return;
        }
        assert_eq!(
            (pruned.floor_before, pruned.wanted, pruned.floor),
            (self.oracle.floor, wanted, floor),
            "{retention:?}"
        );
        assert_eq!((pruned.versions, pruned.keys, pruned.bytes), self.oracle.prune(floor), "{retention:?} to {floor}");
        assert_eq!(pruned.held_back.is_some(), floor < wanted, "{pruned:?}");
        if let Some(PruneHold::Snapshot { version, .. }) = pruned.held_back {
            assert_eq!(Some(version), self.kept.iter().map(|snapshot| snapshot.version()).min());
            assert_eq!(self.db().stats().oldest_snapshots[0].version, version);
        }
        assert_eq!(self.db().floor(), floor);
        self.ops += 1;
    }

    fn retention(&mut self) -> Retention {
        let few = *[1, 2, 3, 10, 40].choose(&mut self.rng).expect("five");
        match self.rng.random_range(0..5) {
            0 => Retention::versions_per_key(few),
            1 => Retention::blocks(few),
            2 => Retention::window(Duration::from_millis(few * 700)),
            3 => {
                let newest = self.oracle.blocks.last().map_or(0, |block| block.height);
                Retention::from_height(self.rng.random_range(0..=newest + 3))
            }
            _ => Retention { blocks: Some(few), ..Retention::versions_per_key(10) },
        }
    }

    /// Where the retention wants the floor, and where it goes.
    fn expected_floor(&self, retention: &Retention) -> (Version, Version) {
        let (oracle, blocks) = (&self.oracle, &self.oracle.blocks);
        let back = |count: u64| blocks.len().checked_sub(count as usize).and_then(|index| blocks.get(index));
        let wanted = [
            retention.versions_per_key.map(|most| oracle.floor_by_versions(most as usize)),
            retention.blocks.and_then(back).map(|block| block.version),
            retention.window.and_then(|window| {
                let cutoff = blocks.last()?.timestamp_ms.checked_sub(window.as_millis() as u64)?;
                Some(oracle.newest_block_at_time(cutoff)?.version)
            }),
            retention.below_height.and_then(|height| Some(blocks.iter().find(|block| block.height >= height)?.version)),
        ];
        let wanted = wanted.into_iter().flatten().max().unwrap_or(0).max(oracle.floor);
        let mut limit = blocks.last().map_or(oracle.visible, |block| block.version);
        if !blocks.is_empty() {
            limit = limit.min(back(self.config.prune.reorg_window_blocks + 1).map_or(0, |block| block.version));
        }
        let oldest = self.kept.iter().map(|snapshot| snapshot.version()).min();
        limit = limit.min(oldest.unwrap_or(Version::MAX));
        (wanted, wanted.min(limit).max(oracle.floor))
    }

    /// Asks for what is gone.
    pub(super) fn read_below_the_floor(&mut self) {
        let floor = self.oracle.floor;
        if floor == 0 {
            return;
        }
        let version = self.rng.random_range(0..floor);
        let expected = if self.oracle.is_retracted(version) { ErrorKind::RolledBack } else { ErrorKind::Pruned };
        let refused = self.db().snapshot_at(shingle::At::Version(version)).expect_err("it is below the floor");
        assert_eq!(refused.kind(), expected, "{version} below {floor}");
        let refused = self.db().changes_since(version).expect_err("it is below the floor");
        assert_eq!(refused.kind(), expected, "{version} below {floor}");
        if let Some(block) = self.oracle.blocks.iter().find(|block| block.version < floor) {
            let refused = self.db().rollback_to(block.height).expect_err("it is below the floor");
            assert_eq!(refused.kind(), ErrorKind::Pruned);
        }
        if matches!(self.shape.place, Place::Disk) {
            assert!(self.db().stats().prune.runs > 0 || self.db().floor() == floor);
        }
        self.ops += 3;
    }
}
