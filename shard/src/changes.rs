//! What versions wrote, memory and backend as one.

use crate::backend::{ChangesFrom, Page, PageLimit, RowRef};
use crate::memtable::{Written, written_by};
use crate::{KeyRange, Result, Shard, Version};
use std::sync::Arc;

/// How much of a version is read at a time to look for keys of a range.
const LOOK_LIMIT: PageLimit = PageLimit { rows: 1024, bytes: 1 << 20 };

/// A version with fewer entries is sorted again for each page.
const LISTED_MIN: usize = 2000;

impl Shard {
    /// Fills `page` with the rows that versions above `after` and at most `through` wrote, by version, then by key, tombstones
    /// among them. `page` is cleared first; `page.finished` says whether all is done. The caller goes on with
    /// [`ChangesFrom::Within`] the last row.
    pub fn changes(&self, after: ChangesFrom<'_>, through: Version, limit: PageLimit, page: &mut Page) -> Result<()> {
        page.clear();
        let chunks = self.memtable.chunks();
        // After the chunks were taken: they hold every version above it.
        let evicted_through = self.memtable.evicted_through();
        let (mut version, mut key) = match after {
            ChangesFrom::After(version) => (version.saturating_add(1), None),
            ChangesFrom::Within(version, key) => (version, Some(key)),
        };
        if version <= evicted_through {
            self.backend.changes(after, through.min(evicted_through), limit, page)?;
            if !page.finished || through <= evicted_through {
                return Ok(());
            }
            page.finished = false;
            if limit.is_reached(page) {
                return Ok(());
            }
            (version, key) = (evicted_through + 1, None);
        }
        let mut from = chunks.before_version(version);
        let mut next = self.listed(version).or_else(|| written_by(&chunks, from, version).map(Arc::new));
        while let Some(written) = next.filter(|written| written.version <= through) {
            let seen = key.filter(|_| written.version == version);
            let skip = seen.map_or(0, |seen| {
                written.entries.partition_point(|entry| chunks.entry(*entry).is_some_and(|entry| entry.key() <= seen))
            });
            let entries = written.entries[skip..].iter().filter_map(|address| chunks.entry(*address));
            for entry in entries.filter(|entry| !entry.is_dead()) {
                page.push(RowRef { key: entry.key(), version: entry.version(), value: entry.value() });
                if limit.is_reached(page) {
                    self.list(written);
                    return Ok(());
                }
            }
            (from, version, key) = (written.end, written.version.saturating_add(1), None);
            next = written_by(&chunks, from, version).map(Arc::new);
        }
        page.finished = true;
        Ok(())
    }

    /// What `version` wrote, if the last page ended in it.
    fn listed(&self, version: Version) -> Option<Arc<Written>> {
        self.listed.lock().clone().filter(|written| written.version == version)
    }

    /// Keeps the list of a large version, whose next page is likely asked for next.
    fn list(&self, written: Arc<Written>) {
        *self.listed.lock() = Some(written).filter(|written| written.entries.len() >= LISTED_MIN);
    }

    /// Whether the backend has a version above `after`, and at most `through`, of a key of `range`.
    pub(crate) fn backend_wrote(&self, range: &KeyRange, after: Version, through: Version) -> Result<bool> {
        let mut page = Page::default();
        let mut last: Option<(Version, Vec<u8>)> = None;
        loop {
            let from =
                last.as_ref().map_or(ChangesFrom::After(after), |(version, key)| ChangesFrom::Within(*version, key));
            self.backend.changes(from, through, LOOK_LIMIT, &mut page)?;
            let mut rows = (0..page.len()).filter_map(|index| page.get(index));
            if rows.any(|row| range.contains(row.key)) {
                return Ok(true);
            }
            match page.len().checked_sub(1).and_then(|last| page.get(last)) {
                Some(row) if !page.finished => last = Some((row.version, row.key.to_vec())),
                _ => return Ok(false),
            }
        }
    }
}
