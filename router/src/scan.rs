//! Scans: the pages of every shard merged into one ordered stream, from both ends.

use crate::Result;
use crate::snapshot::Snapshot;
use shingle_shard::backend::{Page, PageLimit};
use shingle_shard::{KeyRange, Order, Shard};
use std::ops::Bound;

/// The first page of a shard: most scans are short.
const FIRST_PAGE_ROWS: usize = 32;
/// Later pages double up to this many rows.
const PAGE_ROWS_MAX: usize = 4096;
/// And hold about this many bytes at the most.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// Keys and values of a range at one version, in byte order. Also walks backwards, and from both ends at once.
///
/// Each item may be an error: of the disk, or because a rollback has removed the version. After an error the scan is over.
#[derive(Debug)]
pub struct Scan {
    snapshot: Snapshot,
    /// What neither end has returned yet.
    rest: KeyRange,
    front: End,
    back: End,
}

/// One end of a scan: a cursor in each shard.
#[derive(Debug)]
struct End {
    order: Order,
    cursors: Option<Vec<Cursor>>,
}

/// The rows that one shard has handed over, and how far they are read.
#[derive(Debug)]
struct Cursor {
    shard: usize,
    page: Page,
    next: usize,
    page_rows: usize,
}

impl Scan {
    pub(crate) fn new(snapshot: Snapshot, range: KeyRange) -> Self {
        let end = |order| End { order, cursors: None };
        Scan { snapshot, rest: range, front: end(Order::Ascending), back: end(Order::Descending) }
    }

    fn step(&mut self, order: Order) -> Option<Result<(Vec<u8>, Vec<u8>)>> {
        if self.rest.is_empty() {
            return None;
        }
        let end = match order {
            Order::Ascending => &mut self.front,
            Order::Descending => &mut self.back,
        };
        let item = end.next(&self.snapshot, &self.rest);
        match &item {
            Some(Ok((key, _))) => match order {
                Order::Ascending => self.rest.start = Bound::Excluded(key.clone()),
                Order::Descending => self.rest.end = Bound::Excluded(key.clone()),
            },
            Some(Err(_)) | None => self.rest = KeyRange { start: Bound::Unbounded, end: Bound::Excluded(Vec::new()) },
        }
        item
    }
}

impl Iterator for Scan {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(Order::Ascending)
    }
}

impl DoubleEndedIterator for Scan {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(Order::Descending)
    }
}

impl End {
    /// The next row of all shards that still lies in `rest`.
    fn next(&mut self, snapshot: &Snapshot, rest: &KeyRange) -> Option<Result<(Vec<u8>, Vec<u8>)>> {
        let shards = snapshot.core().shards.all();
        let order = self.order;
        let cursors = self.cursors.get_or_insert_with(|| {
            let holding = snapshot.core().shards.holding(rest);
            holding.iter().map(|shard| Cursor::new(shard.number())).collect()
        });
        for cursor in cursors.iter_mut() {
            if let Err(error) = cursor.fill(&shards[cursor.shard], snapshot, rest, order) {
                return Some(Err(error));
            }
        }
        let first = cursors.iter_mut().filter(|cursor| cursor.key().is_some()).min_by(|a, b| {
            let by_key = a.key().cmp(&b.key());
            if order == Order::Ascending { by_key } else { by_key.reverse() }
        })?;
        let row = first.page.get(first.next)?;
        if !rest.contains(row.key) {
            return None;
        }
        let item = (row.key.to_vec(), row.value.unwrap_or_default().to_vec());
        first.next += 1;
        Some(Ok(item))
    }
}

impl Cursor {
    fn new(shard: usize) -> Self {
        Cursor { shard, page: Page::default(), next: 0, page_rows: FIRST_PAGE_ROWS }
    }

    fn key(&self) -> Option<&[u8]> {
        self.page.get(self.next).map(|row| row.key)
    }

    /// Fetches the next page if the last one is used up.
    fn fill(&mut self, shard: &Shard, snapshot: &Snapshot, rest: &KeyRange, order: Order) -> Result<()> {
        while self.next >= self.page.len() && !self.page.finished {
            // What follows the last row of this shard: the other shards may not be as far.
            let mut range = rest.clone();
            if let Some(last) = self.page.len().checked_sub(1).and_then(|last| self.page.get(last)) {
                match order {
                    Order::Ascending => range.start = Bound::Excluded(last.key.to_vec()),
                    Order::Descending => range.end = Bound::Excluded(last.key.to_vec()),
                }
            }
            let limit = PageLimit { rows: self.page_rows, bytes: PAGE_BYTES_MAX };
            shard.scan(&range, snapshot.version(), order, limit, &mut self.page)?;
            snapshot.check()?;
            self.next = 0;
            self.page_rows = (self.page_rows * 2).min(PAGE_ROWS_MAX);
        }
        Ok(())
    }
}
