//! A backend in memory: for tests and for nodes that keep nothing.

use super::prune::{KeyJudge, SLICE_KEY_BYTES_MAX, Verdict};
use super::{
    Applied, Backend, BackendStats, ChangesFrom, MovingCursor, Page, PageLimit, Pressure, PruneCursor, PruneSlice, Row,
    RowRef, Run, StagedRows,
};
use crate::{Error, KeyRange, Order, Result, Version};
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

/// Changes that are copied at a time for who visits them.
const VISITED_AT_ONCE: usize = 1024;

/// Rows that one call looks at, whether they are picked or not.
const LOOKS_MAX: usize = 1 << 16;

/// One key's values by version; `None` for a tombstone.
type History = BTreeMap<Version, Option<Vec<u8>>>;

/// An ordered map of every version of every key. What it holds ends with it.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Vec<u8>, History>,
    changes: BTreeSet<(Version, Vec<u8>)>,
    /// Bytes of keys and values, once per row.
    bytes: u64,
    mark: Version,
    epoch: u64,
    /// Versions up to it may have changes without rows.
    strays_to: Version,
}

impl MemoryBackend {
    /// An empty backend.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl State {
    fn enter_epoch(&mut self, epoch: u64) -> Result<()> {
        if epoch < self.epoch {
            return Err(Error::StaleEpoch { path: "memory".into(), given: epoch, newest: self.epoch });
        }
        self.epoch = epoch;
        Ok(())
    }

    fn insert(&mut self, row: RowRef<'_>) {
        let history = self.rows.entry(row.key.to_vec()).or_default();
        let old = history.insert(row.version, row.value.map(<[u8]>::to_vec));
        self.bytes += row_bytes(row.key, row.value);
        if let Some(old) = old {
            self.bytes -= row_bytes(row.key, old.as_deref());
        }
    }

    fn remove(&mut self, version: Version, key: &[u8]) -> bool {
        let Some(history) = self.rows.get_mut(key) else { return false };
        let Some(value) = history.remove(&version) else { return false };
        if history.is_empty() {
            self.rows.remove(key);
        }
        self.bytes -= row_bytes(key, value.as_deref());
        true
    }
}

fn row_bytes(key: &[u8], value: Option<&[u8]>) -> u64 {
    (key.len() + value.map_or(0, <[u8]>::len)) as u64
}

fn is_full(page: &Page, limit: PageLimit) -> bool {
    page.len() >= limit.rows || page.bytes() >= limit.bytes
}

/// Fills `page` with the newest row at `at` of each key.
fn fill<'a>(keys: impl Iterator<Item = (&'a Vec<u8>, &'a History)>, at: Version, limit: PageLimit, page: &mut Page) {
    for (key, history) in keys {
        if let Some((&version, value)) = history.range(..=at).next_back() {
            page.push(RowRef { key, version, value: value.as_deref() });
            if is_full(page, limit) {
                return;
            }
        }
    }
    page.finished = true;
}

/// Rows on their way in.
struct Staged<'a> {
    backend: &'a MemoryBackend,
    rows: Page,
}

impl StagedRows for Staged<'_> {
    fn put(&mut self, row: RowRef<'_>) -> Result<()> {
        self.rows.push(row);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.rows.bytes() as u64
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    fn bring_in(self: Box<Self>, epoch: u64) -> Result<Applied> {
        let mut state = self.backend.state.write();
        state.enter_epoch(epoch)?;
        (0..self.rows.len()).filter_map(|index| self.rows.get(index)).for_each(|row| state.insert(row));
        Ok(Applied { rows: self.rows.len() as u64, bytes: self.bytes() })
    }
}

impl Backend for MemoryBackend {
    fn get(&self, key: &[u8], at: Version) -> Result<Option<Row>> {
        let state = self.state.read();
        let newest = state.rows.get(key).and_then(|history| history.range(..=at).next_back());
        Ok(newest.map(|(&version, value)| Row { version, value: value.clone() }))
    }

    fn scan(&self, range: &KeyRange, at: Version, order: Order, limit: PageLimit, page: &mut Page) -> Result<()> {
        page.clear();
        if range.is_empty() {
            page.finished = true;
            return Ok(());
        }
        let state = self.state.read();
        let bounds = (range.start.as_ref().map(Vec::as_slice), range.end.as_ref().map(Vec::as_slice));
        let keys = state.rows.range::<[u8], _>(bounds);
        match order {
            Order::Ascending => fill(keys, at, limit, page),
            Order::Descending => fill(keys.rev(), at, limit, page),
        }
        Ok(())
    }

    fn changes(&self, after: ChangesFrom<'_>, through: Version, limit: PageLimit, page: &mut Page) -> Result<()> {
        page.clear();
        let start = match after {
            ChangesFrom::After(version) => match version.checked_add(1) {
                Some(first) => Bound::Included((first, Vec::new())),
                None => {
                    page.finished = true;
                    return Ok(());
                }
            },
            ChangesFrom::Within(version, key) => Bound::Excluded((version, key.to_vec())),
        };
        let state = self.state.read();
        let changes = state.changes.range((start, Bound::Unbounded));
        for (version, key) in changes.take_while(|(version, _)| *version <= through) {
            let Some(value) = state.rows.get(key).and_then(|history| history.get(version)) else {
                assert!(*version <= state.strays_to, "every change has its row");
                continue;
            };
            page.push(RowRef { key, version: *version, value: value.as_deref() });
            if is_full(page, limit) {
                return Ok(());
            }
        }
        page.finished = true;
        Ok(())
    }

    fn applied_through(&self) -> Version {
        self.state.read().mark
    }

    fn apply(&self, run: &dyn Run, through: Version, epoch: u64) -> Result<Applied> {
        let mut state = self.state.write();
        state.enter_epoch(epoch)?;
        let mut applied = Applied::default();
        for row in run.rows() {
            applied.rows += 1;
            applied.bytes += row_bytes(row.key, row.value);
            state.insert(row);
        }
        state.changes.extend(run.changes().map(|(version, key)| (version, key.to_vec())));
        state.mark = state.mark.max(through);
        Ok(applied)
    }

    fn retract(&self, keep: Version, epoch: u64) -> Result<u64> {
        let mut state = self.state.write();
        state.enter_epoch(epoch)?;
        let Some(first) = keep.checked_add(1) else { return Ok(0) };
        let above = state.changes.split_off(&(first, Vec::new()));
        Ok(above.iter().filter(|(version, key)| state.remove(*version, key)).count() as u64)
    }

    fn prunable(
        &self,
        floor: Version,
        cursor: &mut PruneCursor,
        changes_max: usize,
        slice: &mut PruneSlice,
    ) -> Result<()> {
        slice.clear();
        slice.floor = floor;
        let state = self.state.read();
        let start = cursor.seen.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let below = || state.changes.range((start.clone(), Bound::Unbounded)).take_while(|change| change.0 <= floor);
        let mut bytes = 0;
        let within = |change: &&(Version, Vec<u8>)| {
            let fits = bytes < SLICE_KEY_BYTES_MAX;
            bytes += change.1.len();
            fits
        };
        let next = below().take(changes_max.max(1)).take_while(within);
        let mut named: Vec<_> = next.map(|(version, key)| (key, *version)).collect();
        cursor.finished = below().nth(named.len()).is_none();
        if let (Some(&(first, from)), Some(&(last, through))) = (named.first(), named.last()) {
            slice.changes = Some([(from, first.clone()), (through, last.clone())]);
            cursor.first.get_or_insert_with(|| (from, first.clone()));
            cursor.seen = Some((through, last.clone()));
        }
        slice.change_count = named.len() as u64;
        let Some(first) = &cursor.first else { return Ok(()) };
        named.sort_unstable();
        for of_key in named.chunk_by(|a, b| a.0 == b.0) {
            let key = of_key[0].0;
            let versions: Vec<_> = of_key.iter().map(|(_, version)| *version).collect();
            let mut judge = KeyJudge::new(key, &versions, first);
            for (&version, value) in state.rows.get(key).into_iter().flat_map(|rows| rows.range(..=floor).rev()) {
                match judge.judge(version, value.is_none()) {
                    Verdict::Goes => slice.push(key, version, value.as_ref().map_or(0, Vec::len)),
                    Verdict::Stays => {}
                    Verdict::Done => break,
                }
            }
            slice.keys += u64::from(judge.counts);
        }
        Ok(())
    }

    fn remove(&self, slice: &PruneSlice, epoch: u64) -> Result<()> {
        let mut state = self.state.write();
        state.enter_epoch(epoch)?;
        for (key, version) in &slice.rows {
            state.remove(*version, key);
        }
        if let Some([first, last]) = &slice.changes {
            let gone: Vec<_> = state.changes.range(first..=last).cloned().collect();
            for change in &gone {
                state.changes.remove(change);
            }
        }
        Ok(())
    }

    fn reclaim(&self) -> Result<()> {
        Ok(())
    }

    fn newest_changes(&self, after: Version, visit: &mut dyn FnMut(Version, &[u8]) -> ControlFlow<()>) -> Result<()> {
        let mut below = Bound::Unbounded;
        loop {
            // Page by page, for who is visited may ask for rows, and must not meet the lock.
            let page: Vec<_> = {
                let state = self.state.read();
                let newest_first = state.changes.range((Bound::Unbounded, below)).rev();
                newest_first.take_while(|(version, _)| *version > after).take(VISITED_AT_ONCE).cloned().collect()
            };
            if page.iter().any(|(version, key)| visit(*version, key).is_break()) || page.len() < VISITED_AT_ONCE {
                return Ok(());
            }
            below = page.last().cloned().map_or(Bound::Unbounded, Bound::Excluded);
        }
    }

    fn rows(
        &self,
        cursor: &mut MovingCursor,
        through: Version,
        pick: &dyn Fn(&[u8]) -> bool,
        limit: PageLimit,
        page: &mut Page,
    ) -> Result<()> {
        page.clear();
        let state = self.state.read();
        let (start, seen) = match &cursor.seen {
            Some((version, key)) => (Bound::Included(key.clone()), Some((key.clone(), *version))),
            None => (Bound::Unbounded, None),
        };
        let mut looks = 0;
        for (key, history) in state.rows.range((start, Bound::Unbounded)) {
            let picked = pick(key);
            let below = seen.as_ref().filter(|(last, _)| last == key).map(|(_, version)| *version);
            for (&version, value) in history.iter().rev().filter(|(version, _)| below.is_none_or(|b| **version < b)) {
                if looks == LOOKS_MAX || is_full(page, limit) {
                    return Ok(());
                }
                if picked && version <= through {
                    page.push(RowRef { key, version, value: value.as_deref() });
                }
                looks += 1;
                cursor.looked += 1;
                cursor.seen = Some((version, key.clone()));
            }
        }
        cursor.finished = true;
        Ok(())
    }

    fn changed(
        &self,
        cursor: &mut MovingCursor,
        through: Version,
        pick: &dyn Fn(&[u8]) -> bool,
        most: usize,
        found: &mut Vec<(Version, Vec<u8>)>,
    ) -> Result<()> {
        found.clear();
        let state = self.state.read();
        let start = cursor.seen.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let mut changes = state.changes.range((start, Bound::Unbounded)).take_while(|change| change.0 <= through);
        for change in changes.by_ref().take(LOOKS_MAX) {
            cursor.seen = Some(change.clone());
            if pick(&change.1) {
                found.push(change.clone());
            }
            if found.len() >= most {
                break;
            }
        }
        cursor.finished = changes.next().is_none();
        Ok(())
    }

    fn bring_in_changes(&self, changes: &[(Version, Vec<u8>)], _through: Version, epoch: u64) -> Result<u64> {
        let mut state = self.state.write();
        state.enter_epoch(epoch)?;
        state.changes.extend(changes.iter().cloned());
        Ok(0)
    }

    fn stage_rows(&self) -> Result<Box<dyn StagedRows + '_>> {
        Ok(Box::new(Staged { backend: self, rows: Page::default() }))
    }

    fn forget_changes(&self, cursor: &mut MovingCursor, pick: &dyn Fn(&[u8]) -> bool, epoch: u64) -> Result<u64> {
        let mut found = Vec::new();
        self.changed(cursor, Version::MAX, pick, LOOKS_MAX, &mut found)?;
        let mut state = self.state.write();
        state.enter_epoch(epoch)?;
        for change in &found {
            state.changes.remove(change);
        }
        Ok(found.len() as u64)
    }

    fn expect_strays(&self, through: Version) {
        self.state.write().strays_to = through;
    }

    fn verify(
        &self,
        row: &mut dyn FnMut(RowRef<'_>) -> Result<()>,
        change: &mut dyn FnMut(Version, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let state = self.state.read();
        for (key, history) in &state.rows {
            for (&version, value) in history.iter().rev() {
                row(RowRef { key, version, value: value.as_deref() })?;
            }
        }
        state.changes.iter().try_for_each(|(version, key)| change(*version, key))
    }

    fn stats(&self) -> BackendStats {
        let state = self.state.read();
        let rows_estimate = state.rows.values().map(|history| history.len() as u64).sum();
        BackendStats { rows_estimate, live_bytes: state.bytes, ..BackendStats::default() }
    }

    fn pressure(&self) -> Pressure {
        Pressure::default()
    }
}
