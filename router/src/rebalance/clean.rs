//! Cleaning: rows of slots that live elsewhere are removed.

use super::status::RebalancePhase;
use super::{Interrupted, differing};
use crate::core::Core;
use crate::slot::SlotMap;
use rayon::prelude::*;
use shingle_shard::Shard;
use shingle_shard::backend::{MovingCursor, Page, PageLimit, PruneSlice};
use std::collections::BTreeSet;
use std::time::Duration;

/// Rows that are read at a time.
const PAGE: PageLimit = PageLimit { rows: 1 << 16, bytes: 8 << 20 };

/// Rows that are removed at a time, about, for which a rollback waits: some 20 MB of their keys in memory. Each time is a file at level 0, under
/// which compaction rewrites much of what the shard has.
const SLICE_ROWS: usize = 1 << 18;

/// How often it is looked whether somebody still reads by an older topology.
const LOOK: Duration = Duration::from_millis(5);

impl Core {
    /// Waits until nobody reads by an older topology than that of now.
    pub(super) fn wait_for_older_readers(&self) -> Result<(), Interrupted> {
        while self.shards.held_before() > 0 {
            self.rebalancer.rest(LOOK)?;
        }
        Ok(())
    }

    /// Removes what lies where `other` puts it and does not belong there. Shards from `shards_after` on are removed whole, later.
    ///
    /// 1. Nobody reads there any more.
    /// 2. What was written there is flushed, so that replaying the log brings nothing back, and gone from memory, where it would hide what may come back
    ///    with a later rebalancing.
    /// 3. The rows go before the changes that name them: after a crash they are found again, and a rollback finds whatever is left.
    pub(super) fn clean(&self, other: &SlotMap, shards_after: usize) -> Result<(), Interrupted> {
        let unread = self.rebalancer.state.lock().unread;
        if !unread {
            self.rebalancer.note(|figures| figures.phase = RebalancePhase::WaitingForReaders);
            self.wait_for_older_readers()?;
        }
        self.rebalancer.note(|figures| figures.phase = RebalancePhase::Cleaning);
        fail::fail_point!("move::before_cleaning");
        let topology = self.shards.keep();
        self.wait_for_numbered();
        self.health.check()?;
        let through = *self.boundary.lock();
        let left: BTreeSet<usize> = differing(&topology.map, other).map(|(_, _, there)| there).collect();
        self.flush_unhurried(&left)?;
        let left: Vec<_> = left.into_iter().filter(|&number| number < shards_after).collect();
        {
            let _no_rollback = self.rebalancer.exclude();
            left.iter().for_each(|&number| topology.all()[number].settle(through));
        }
        self.workers.moving.run(|| {
            let clean =
                |&number: &usize| self.clean_shard(&topology.all()[number], &|key| !topology.lives_on(key, number));
            left.par_iter().with_max_len(1).try_for_each(clean)
        })?;
        for shard in topology.all().iter().filter(|shard| shard.number() < shards_after) {
            shard.no_more_strays();
        }
        Ok(())
    }

    fn clean_shard(&self, shard: &Shard, stray: &(dyn Fn(&[u8]) -> bool + Sync)) -> Result<(), Interrupted> {
        let (mut cursor, mut page, mut slice) = (MovingCursor::default(), Page::default(), PruneSlice::default());
        while !cursor.finished {
            slice.clear();
            // A rollback meanwhile removes some of these rows, too: nothing brings one back.
            while !cursor.finished && slice.rows.len() < SLICE_ROWS {
                self.rebalancer.check_going()?;
                shard.backend().rows(&mut cursor, u64::MAX, stray, PAGE, &mut page)?;
                let rows = (0..page.len()).filter_map(|row| page.get(row));
                slice.rows.extend(rows.map(|row| (row.key.to_vec(), row.version)));
            }
            let _slice = self.rebalancer.slice();
            self.health.check()?;
            if !slice.rows.is_empty() {
                shard.prune(&slice, self.epoch())?;
            }
            let gone = slice.rows.len() as u64;
            self.rebalancer.note(|figures| figures.rows_removed += gone);
            fail::fail_point!("move::after_cleaned_rows");
        }
        let mut cursor = MovingCursor::default();
        while !cursor.finished {
            self.rebalancer.check_going()?;
            let _slice = self.rebalancer.slice();
            self.health.check()?;
            shard.forget_changes(&mut cursor, stray, self.epoch())?;
            fail::fail_point!("move::after_cleaned_changes");
        }
        shard.backend().reclaim()?;
        Ok(())
    }
}
