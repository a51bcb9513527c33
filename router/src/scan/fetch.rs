//! One page of one shard.

use crate::Result;
use crate::snapshot::Snapshot;
use shingle_shard::backend::{Page, PageLimit};
use shingle_shard::{KeyRange, Order};

/// What to fetch, and the page to put it in.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) snapshot: Snapshot,
    pub(super) shard: usize,
    pub(super) range: KeyRange,
    pub(super) order: Order,
    pub(super) limit: PageLimit,
    pub(super) page: Page,
}

#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) page: Page,
    /// The last key that was looked at, where its row may not be the shard's own.
    pub(super) last: Option<Vec<u8>>,
}

impl Request {
    pub(super) fn fetch(mut self) -> Result<Fetched> {
        let last = fetch(&self.snapshot, self.shard, &self.range, self.order, self.limit, &mut self.page)?;
        Ok(Fetched { page: self.page, last })
    }
}

/// Fills `page` with a shard's own rows. The last key that was looked at, where its row may not be the shard's own.
pub(super) fn fetch(
    snapshot: &Snapshot,
    shard: usize,
    range: &KeyRange,
    order: Order,
    limit: PageLimit,
    page: &mut Page,
) -> Result<Option<Vec<u8>>> {
    let topology = snapshot.topology();
    let shard = &topology.all()[shard];
    let strays = shard.strays();
    shard.scan(range, snapshot.version(), order, limit, page)?;
    snapshot.check()?;
    if strays.is_multiple_of(2) && shard.strays() == strays {
        return Ok(None);
    }
    let last = last_key(page);
    page.retain(|key| topology.lives_on(key, shard.number()));
    Ok(last)
}

pub(super) fn last_key(page: &Page) -> Option<Vec<u8>> {
    let last = page.len().checked_sub(1).and_then(|last| page.get(last));
    last.map(|row| row.key.to_vec())
}
