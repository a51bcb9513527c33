//! Ranges of keys, memory and backend as one.

use crate::backend::{Page, PageLimit, RowRef};
use crate::memtable::{EntryRef, Ordered};
use crate::{KeyRange, Order, Result, Shard, Version};
use std::cmp::Ordering;
use std::ops::Bound;

impl Shard {
    /// Fills `page` with the rows of `range` at version `at`, in `order`, tombstones left out. `page` is cleared first;
    /// `page.finished` says whether the range is done. If it is not, the page has a row, and the caller goes on with the range after the last
    /// row's key.
    pub fn scan(&self, range: &KeyRange, at: Version, order: Order, limit: PageLimit, page: &mut Page) -> Result<()> {
        page.clear();
        if range.is_empty() {
            page.finished = true;
            return Ok(());
        }
        // Memory first: what is flushed meanwhile is in the backend by then, and what this has stays readable.
        let ordered = self.memtable.ordered(at);
        let mut memory = rows_at(&ordered, range, order, at).peekable();
        let mut rest = range.clone();
        if memory.peek().is_none() {
            return self.scan_backend(rest, at, order, limit, page);
        }
        let mut below = Page::default();
        loop {
            let room = PageLimit {
                rows: limit.rows.saturating_sub(page.len()).max(1),
                bytes: limit.bytes.saturating_sub(page.bytes()).max(1),
            };
            self.backend.scan(&rest, at, order, room, &mut below)?;
            let mut rows = (0..below.len()).map_while(|index| below.get(index)).peekable();
            loop {
                let from_memory = match (memory.peek(), rows.peek()) {
                    (Some(upper), Some(lower)) => match order {
                        Order::Ascending => upper.key.cmp(lower.key),
                        Order::Descending => lower.key.cmp(upper.key),
                    },
                    // What memory has may come after rows of the next page.
                    (Some(_), None) if !below.finished => break,
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => break,
                };
                // Of the same key memory has the newer version, or the same.
                let lower = if from_memory.is_ge() { rows.next() } else { None };
                let upper = if from_memory.is_le() { memory.next() } else { None };
                if let Some(row) = upper.or(lower).filter(|row| row.value.is_some()) {
                    page.push(row);
                    if limit.is_reached(page) {
                        return Ok(());
                    }
                }
            }
            if below.finished {
                page.finished = true;
                return Ok(());
            }
            go_on_after(&below, order, &mut rest);
        }
    }

    /// The same where memory has nothing of the range.
    fn scan_backend(
        &self,
        mut rest: KeyRange,
        at: Version,
        order: Order,
        limit: PageLimit,
        page: &mut Page,
    ) -> Result<()> {
        loop {
            self.backend.scan(&rest, at, order, limit, page)?;
            if !page.finished {
                go_on_after(page, order, &mut rest);
            }
            page.drop_tombstones();
            if page.finished || !page.is_empty() {
                return Ok(());
            }
        }
    }

    /// Whether a version above `after` wrote a key of `range`, be it a tombstone.
    pub fn range_written_after(&self, range: &KeyRange, after: Version) -> Result<bool> {
        if range.is_empty() {
            return Ok(false);
        }
        let ordered = self.memtable.ordered_mostly();
        let newest = |entry: EntryRef<'_>| ordered.version_of(entry, Version::MAX).map_or(0, EntryRef::version);
        let in_rest = |entry: EntryRef<'_>| entry.version() > after && !entry.is_dead() && range.contains(entry.key());
        if ordered.unsorted().any(in_rest) || ordered.written_since(range, after).any(|entry| newest(entry) > after) {
            return Ok(true);
        }
        if after >= ordered.floor() {
            return Ok(false);
        }
        self.backend_wrote(range, after, ordered.floor())
    }
}

/// Takes what a page that is not the last one has from the range.
fn go_on_after(page: &Page, order: Order, rest: &mut KeyRange) {
    let last = page.len().checked_sub(1).and_then(|last| page.get(last));
    let last = last.expect("a page that is not the last one has a row").key.to_vec();
    match order {
        Order::Ascending => rest.start = Bound::Excluded(last),
        Order::Descending => rest.end = Bound::Excluded(last),
    }
}

/// The rows of memory in `range` at version `at`; tombstones are among them.
fn rows_at<'a>(
    ordered: &'a Ordered,
    range: &'a KeyRange,
    order: Order,
    at: Version,
) -> impl Iterator<Item = RowRef<'a>> + 'a {
    let versions = ordered.cursor(range, order).filter_map(move |entry| ordered.version_of(entry, at));
    versions.map(|entry| RowRef { key: entry.key(), version: entry.version(), value: entry.value() })
}

impl PageLimit {
    /// Whether a page has as much as it may.
    pub(crate) fn is_reached(&self, page: &Page) -> bool {
        page.len() >= self.rows || page.bytes() >= self.bytes
    }
}
