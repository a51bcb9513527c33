//! Pages of keys in order, each with its newest row at a version.

use super::RocksBackend;
use super::iterators::Lease;
use super::row::{decode_prefix, decode_value, end_of_prefix, push_end, push_prefix, push_version, split_row_key};
use crate::backend::{Page, PageLimit, RowRef};
use crate::{KeyRange, Order, Result, Version};
use std::ops::Bound;

/// Rows of one key that are stepped over before a seek skips the others: a seek costs about as much as eight steps.
const STEPS_MAX: usize = 8;

pub(super) fn scan(
    backend: &RocksBackend,
    range: &KeyRange,
    at: Version,
    order: Order,
    limit: PageLimit,
    page: &mut Page,
) -> Result<()> {
    page.clear();
    page.reserve(limit);
    if range.is_empty() {
        page.finished = true;
        return Ok(());
    }
    let scan = Scan { backend, range, at, limit, iterator: backend.rows.lease(), prefix: Vec::new(), key: Vec::new() };
    match order {
        Order::Ascending => scan.ascending(page),
        Order::Descending => scan.descending(page),
    }
}

struct Scan<'a> {
    backend: &'a RocksBackend,
    range: &'a KeyRange,
    at: Version,
    limit: PageLimit,
    iterator: Lease<'a>,
    /// Prefix of the rows of the key in hand.
    prefix: Vec<u8>,
    /// The key in hand.
    key: Vec<u8>,
}

impl Scan<'_> {
    fn ascending(mut self, page: &mut Page) -> Result<()> {
        match &self.range.start {
            Bound::Included(start) => self.iterator.seek(|target| push_prefix(target, start)),
            Bound::Excluded(start) => self.iterator.seek(|target| push_end(target, start)),
            Bound::Unbounded => self.iterator.seek_to_first(),
        }
        // Every row is looked at once: each look is three calls into C.
        let (mut steps, mut found) = (0, false);
        while let Some((row_key, tagged)) = self.iterator.entry()? {
            let (prefix, version) = split_row_key(row_key).ok_or_else(|| self.backend.broken("row"))?;
            if prefix != self.prefix {
                decode_prefix(prefix, &mut self.key).ok_or_else(|| self.backend.broken("row"))?;
                if self.range.ends_before(&self.key) {
                    break;
                }
                self.prefix.clear();
                self.prefix.extend_from_slice(prefix);
                (steps, found) = (0, false);
            }
            if !found && version <= self.at {
                let value = decode_value(tagged).ok_or_else(|| self.backend.broken("row"))?;
                page.push(RowRef { key: &self.key, version, value });
                if self.is_full(page) {
                    return Ok(());
                }
                found = true;
            }
            steps += 1;
            match (steps < STEPS_MAX, found) {
                (true, _) => self.iterator.next(),
                (false, true) => self.seek_past_key(),
                (false, false) => self.seek_newest_at(),
            }
        }
        page.finished = true;
        Ok(())
    }

    fn seek_past_key(&mut self) {
        end_of_prefix(&mut self.prefix);
        let prefix = &self.prefix;
        self.iterator.seek(|target| target.extend_from_slice(prefix));
    }

    fn descending(mut self, page: &mut Page) -> Result<()> {
        match &self.range.end {
            Bound::Included(end) => self.iterator.seek_for_prev(|target| push_end(target, end)),
            Bound::Excluded(end) => self.iterator.seek_for_prev(|target| push_prefix(target, end)),
            Bound::Unbounded => self.iterator.seek_to_last(),
        }
        let mut newest = Newest::default();
        // Each round begins at the oldest row of a key and ends at the oldest row of the key before it.
        while self.take_key()? && self.range.contains(&self.key) {
            if self.climb_to_newest_at(&mut newest)? {
                page.push(RowRef { key: &self.key, version: newest.version, value: newest.value() });
                if self.is_full(page) {
                    return Ok(());
                }
            }
        }
        page.finished = true;
        Ok(())
    }

    /// Steps from a key's oldest row to newer ones and keeps the newest at the scan's version; false if there is none. The iterator
    /// then stands before the key.
    fn climb_to_newest_at(&mut self, newest: &mut Newest) -> Result<bool> {
        let mut found = false;
        for _ in 0..=STEPS_MAX {
            match self.row()? {
                Some(row) if row.key == self.prefix => {
                    if row.version > self.at {
                        self.seek_before_key();
                        return Ok(found);
                    }
                    newest.set(row);
                    found = true;
                }
                _ => return Ok(found),
            }
            self.iterator.prev();
        }
        self.seek_newest_at();
        newest.set(self.row()?.ok_or_else(|| self.backend.broken("order of rows"))?);
        self.seek_before_key();
        Ok(true)
    }

    fn seek_newest_at(&mut self) {
        let (prefix, at) = (&self.prefix, self.at);
        self.iterator.seek(|target| {
            target.extend_from_slice(prefix);
            push_version(target, at);
        });
    }

    fn seek_before_key(&mut self) {
        let prefix = &self.prefix;
        self.iterator.seek_for_prev(|target| target.extend_from_slice(prefix));
    }

    /// Takes in hand the key of the row at which the iterator stands; false at the end.
    fn take_key(&mut self) -> Result<bool> {
        let Some((row_key, _)) = self.iterator.entry()? else { return Ok(false) };
        let (prefix, _) = split_row_key(row_key).ok_or_else(|| self.backend.broken("row"))?;
        decode_prefix(prefix, &mut self.key).ok_or_else(|| self.backend.broken("row"))?;
        self.prefix.clear();
        self.prefix.extend_from_slice(prefix);
        Ok(true)
    }

    /// The row at which the iterator stands, with its prefix for a key.
    fn row(&self) -> Result<Option<RowRef<'_>>> {
        let Some((row_key, tagged)) = self.iterator.entry()? else { return Ok(None) };
        let (prefix, version) = split_row_key(row_key).ok_or_else(|| self.backend.broken("row"))?;
        let value = decode_value(tagged).ok_or_else(|| self.backend.broken("row"))?;
        Ok(Some(RowRef { key: prefix, version, value }))
    }

    fn is_full(&self, page: &Page) -> bool {
        page.len() >= self.limit.rows || page.bytes() >= self.limit.bytes
    }
}

/// A copy of the best row seen while an iterator climbs on.
#[derive(Default)]
struct Newest {
    version: Version,
    is_value: bool,
    bytes: Vec<u8>,
}

impl Newest {
    fn set(&mut self, row: RowRef<'_>) {
        self.version = row.version;
        self.is_value = row.value.is_some();
        self.bytes.clear();
        self.bytes.extend_from_slice(row.value.unwrap_or_default());
    }

    fn value(&self) -> Option<&[u8]> {
        self.is_value.then_some(&self.bytes)
    }
}
