//! From a retention to the floor, and what holds it back.

use super::{PruneHold, Retention};
use crate::Result;
use crate::blocks::BlockIndex;
use crate::core::Core;
use shingle_shard::Version;

/// Where the floor is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision {
    pub(crate) before: Version,
    pub(crate) floor: Version,
    pub(crate) wanted: Version,
    pub(crate) held_back: Option<PruneHold>,
}

impl Retention {
    /// The floor that the chain's blocks give; 0 where they give none.
    pub(super) fn floor_by_blocks(&self, blocks: &BlockIndex) -> Version {
        let chain = blocks.range(..);
        let by_count = self.blocks.and_then(|keep| {
            let first_kept = chain.len().checked_sub(usize::try_from(keep).unwrap_or(usize::MAX))?;
            chain.get(first_kept)
        });
        let by_time = self.window.and_then(|window| {
            let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
            // The state at the beginning of the window is that of the newest block before it.
            blocks.at_or_before_time(blocks.newest()?.timestamp_ms.checked_sub(window_ms)?)
        });
        let by_height = self.below_height.and_then(|height| blocks.range(height..).first());
        let versions = [by_count.copied(), by_time, by_height.copied()].map(|block| block.map_or(0, |b| b.version));
        versions.into_iter().max().unwrap_or(0)
    }
}

impl Core {
    /// Decides where the floor goes, and with `raise` puts it there: from then on nothing below is opened or rolled back to. It is not durable yet.
    ///
    /// `by_versions` is the floor that the versions of single keys give.
    ///
    /// 1. The sequencer's lock keeps rollbacks from being numbered: they check the floor under it.
    /// 2. The snapshots' lock keeps them from being opened: none slips below the floor.
    pub(super) fn decide_floor(&self, retention: &Retention, by_versions: Version, raise: bool) -> Decision {
        let sequencer = self.sequencer.lock();
        let blocks = self.blocks.read();
        self.snapshots.decide_floor(raise, |before, oldest| {
            let newest = blocks.newest().map_or(self.visible(), |block| block.version);
            let mut limits = vec![(newest, PruneHold::Newest)];
            let window = self.options.prune.reorg_window_blocks;
            let chain = blocks.range(..);
            if window > 0 && !chain.is_empty() {
                let last = usize::try_from(window).ok().and_then(|window| (chain.len() - 1).checked_sub(window));
                let limit = last.map_or(0, |last| chain[last].version);
                limits.push((limit, PruneHold::ReorgWindow { blocks: window }));
            }
            if let Some((version, since)) = oldest {
                let open_ms = since.elapsed().as_millis() as u64;
                limits.push((version, PruneHold::Snapshot { version, open_ms }));
            }
            if self.rebalancer.holds_floor() {
                limits.push((before, PruneHold::Rebalance));
            }
            if let Some(to) = sequencer.rolling_back_to() {
                limits.push((to, PruneHold::Rollback { to }));
            }
            let wanted = retention.floor_by_blocks(&blocks).max(by_versions).max(before);
            let lowest = limits.into_iter().min_by_key(|(limit, _)| *limit);
            let limit = lowest.map_or(wanted, |(limit, _)| limit);
            let held_back = lowest.filter(|_| limit < wanted).map(|(_, hold)| hold);
            Decision { before, floor: wanted.min(limit).max(before), wanted, held_back }
        })
    }

    /// Makes the floor durable: before anything below it goes.
    pub(super) fn persist_floor(&self, floor: Version) -> Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        fail::fail_point!("prune::before_floor");
        let mut manifest = disk.manifest.lock();
        if manifest.floor < floor {
            let mut raised = manifest.clone();
            raised.floor = floor;
            raised.store(&disk.dir)?;
            *manifest = raised;
        }
        fail::fail_point!("prune::after_floor");
        Ok(())
    }
}
