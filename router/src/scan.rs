//! Scans: the pages of every shard merged into one ordered stream, from both ends.

mod ahead;
mod fetch;

use crate::Result;
use crate::snapshot::Snapshot;
use ahead::Ahead;
use fetch::{Fetched, Request, fetch, last_key};
use shingle_shard::backend::{Page, PageLimit};
use shingle_shard::{KeyRange, Order};
use std::ops::Bound;

/// The first pages of all shards together hold about this many rows: most scans are short.
const FIRST_ROWS: usize = 128;
/// And of one shard, unless it is alone.
const FIRST_PAGE_ROWS: usize = 16;
/// Later pages double up to this many rows.
const PAGE_ROWS_MAX: usize = 4096;
/// And hold about this many bytes at the most.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// Behind a page of so many rows the next one is fetched ahead: the scan is a long one.
const AHEAD_FROM_ROWS: usize = 256;

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
    /// The cursor whose row was returned last.
    returned: Option<usize>,
}

/// The rows that one shard has handed over, and how far they are read.
#[derive(Debug)]
struct Cursor {
    shard: usize,
    page: Page,
    next: usize,
    /// The next row's first eight key bytes: most comparisons need no more.
    word: u64,
    page_rows: usize,
    /// The last key of the page, where its last row may not have been the shard's own.
    last: Option<Vec<u8>>,
    /// The next page, if it is fetched already.
    ahead: Option<Ahead>,
}

impl Scan {
    pub(crate) fn new(snapshot: Snapshot, range: KeyRange) -> Self {
        let end = |order| End { order, cursors: None, returned: None };
        Scan { snapshot, rest: range, front: end(Order::Ascending), back: end(Order::Descending) }
    }

    /// The next key and its value, without a copy. As [`Iterator::next`] otherwise.
    pub fn next_row(&mut self) -> Option<Result<(&[u8], &[u8])>> {
        self.step(Order::Ascending)
    }

    /// The last key and its value, without a copy. As [`DoubleEndedIterator::next_back`] otherwise.
    pub fn next_row_back(&mut self) -> Option<Result<(&[u8], &[u8])>> {
        self.step(Order::Descending)
    }

    fn step(&mut self, order: Order) -> Option<Result<(&[u8], &[u8])>> {
        let Scan { snapshot, rest, front, back } = self;
        if rest.is_empty() {
            return None;
        }
        let (end, other) = match order {
            Order::Ascending => (front, back),
            Order::Descending => (back, front),
        };
        // Pages lie within what was left when they were fetched: only the other end can have come closer since.
        let may_meet = other.cursors.is_some();
        let row = end.next(snapshot, rest).filter(|row| match row {
            Ok((key, _)) => !may_meet || rest.contains(key),
            Err(_) => true,
        });
        match &row {
            Some(Ok((key, _))) => match order {
                Order::Ascending => exclude(&mut rest.start, key),
                Order::Descending => exclude(&mut rest.end, key),
            },
            Some(Err(_)) | None => *rest = KeyRange { start: Bound::Unbounded, end: Bound::Excluded(Vec::new()) },
        }
        row
    }
}

fn owned((key, value): (&[u8], &[u8])) -> (Vec<u8>, Vec<u8>) {
    (key.to_vec(), value.to_vec())
}

/// Moves `bound` to behind `key`, in the memory that it has.
fn exclude(bound: &mut Bound<Vec<u8>>, key: &[u8]) {
    let mut excluded = match std::mem::replace(bound, Bound::Unbounded) {
        Bound::Included(bound) | Bound::Excluded(bound) => bound,
        Bound::Unbounded => Vec::new(),
    };
    excluded.clear();
    excluded.extend_from_slice(key);
    *bound = Bound::Excluded(excluded);
}

impl Iterator for Scan {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().map(|row| row.map(owned))
    }
}

impl DoubleEndedIterator for Scan {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.next_row_back().map(|row| row.map(owned))
    }
}

impl End {
    /// The next row of all shards that still lies in `rest`.
    fn next(&mut self, snapshot: &Snapshot, rest: &KeyRange) -> Option<Result<(&[u8], &[u8])>> {
        let order = self.order;
        let cursors = self.cursors.get_or_insert_with(|| {
            let holding = snapshot.topology().holding(rest);
            let page_rows = (FIRST_ROWS / holding.len().max(1)).max(FIRST_PAGE_ROWS);
            holding.iter().map(|shard| Cursor::new(shard.number(), page_rows)).collect()
        });
        if let Some(cursor) = self.returned.take().and_then(|returned| cursors.get_mut(returned)) {
            cursor.advance_to(cursor.next + 1);
        }
        let mut first: Option<usize> = None;
        for index in 0..cursors.len() {
            let cursor = &mut cursors[index];
            if cursor.next >= cursor.page.len() {
                if cursor.page.finished {
                    continue;
                }
                if let Err(error) = cursor.fill(snapshot, rest, order) {
                    return Some(Err(error));
                }
                if cursor.page.is_empty() {
                    continue;
                }
            }
            if first.is_none_or(|first| cursors[index].comes_before(&cursors[first], order)) {
                first = Some(index);
            }
        }
        self.returned = first;
        let cursor = &cursors[first?];
        cursor.page.get(cursor.next).map(|row| Ok((row.key, row.value.unwrap_or_default())))
    }
}

impl Cursor {
    fn new(shard: usize, page_rows: usize) -> Self {
        Cursor { shard, page: Page::default(), next: 0, word: 0, page_rows, last: None, ahead: None }
    }

    fn key(&self) -> Option<&[u8]> {
        self.page.get(self.next).map(|row| row.key)
    }

    fn comes_before(&self, other: &Cursor, order: Order) -> bool {
        let by_key = self.word.cmp(&other.word).then_with(|| self.key().cmp(&other.key()));
        if order == Order::Ascending { by_key.is_lt() } else { by_key.is_gt() }
    }

    fn advance_to(&mut self, next: usize) {
        self.next = next;
        let mut word = [0; 8];
        if let Some(key) = self.key() {
            let bytes = key.len().min(word.len());
            word[..bytes].copy_from_slice(&key[..bytes]);
        }
        self.word = u64::from_be_bytes(word);
    }

    /// Turns to the next page once the last one is used up.
    fn fill(&mut self, snapshot: &Snapshot, rest: &KeyRange, order: Order) -> Result<()> {
        while self.next >= self.page.len() && !self.page.finished {
            let used = match self.ahead.take() {
                Some(ahead) => {
                    let Fetched { page, last } = ahead.take()?;
                    self.last = last;
                    std::mem::replace(&mut self.page, page)
                }
                None => {
                    let range = self.what_follows(rest, order);
                    self.last = fetch(snapshot, self.shard, &range, order, self.limit(), &mut self.page)?;
                    Page::default()
                }
            };
            self.advance_to(0);
            if self.page_rows >= AHEAD_FROM_ROWS && !self.page.finished {
                let range = self.what_follows(rest, order);
                let (snapshot, shard, limit) = (snapshot.clone(), self.shard, self.limit());
                self.ahead = Some(Ahead::begin(Request { snapshot, shard, range, order, limit, page: used }));
            }
            self.page_rows = (self.page_rows * 2).min(PAGE_ROWS_MAX);
        }
        Ok(())
    }

    fn limit(&self) -> PageLimit {
        PageLimit { rows: self.page_rows, bytes: PAGE_BYTES_MAX }
    }

    /// What follows the page, of this shard: the other shards may not be as far.
    fn what_follows(&self, rest: &KeyRange, order: Order) -> KeyRange {
        let mut range = rest.clone();
        if let Some(last) = self.last.clone().or_else(|| last_key(&self.page)) {
            match order {
                Order::Ascending => range.start = Bound::Excluded(last),
                Order::Descending => range.end = Bound::Excluded(last),
            }
        }
        range
    }
}
