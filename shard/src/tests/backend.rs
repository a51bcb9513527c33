//! A backend that checks what it is given, and fails when it is told to.

use crate::backend::{
    Applied, Backend, BackendStats, ChangesFrom, MovingCursor, Page, PageLimit, Pressure, PruneCursor, PruneSlice, Row,
    RowRef, Run, StagedRows,
};
use crate::{Error, KeyRange, Order, Result, Version};
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// By key, the newest version first.
type Rows = BTreeMap<(Vec<u8>, Reverse<Version>), Option<Vec<u8>>>;

#[derive(Debug, Default)]
pub(super) struct TestBackend {
    rows: Mutex<Rows>,
    changes: Mutex<BTreeSet<(Version, Vec<u8>)>>,
    through: AtomicU64,
    pub(super) fails: AtomicBool,
    /// How often a key was asked for.
    pub(super) gets: AtomicU64,
}

impl TestBackend {
    fn check_failure(&self) -> Result<()> {
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err(Error::NoSpace { path: PathBuf::from("test") });
        }
        Ok(())
    }
}

fn is_full(page: &Page, limit: PageLimit) -> bool {
    page.len() >= limit.rows || page.bytes() >= limit.bytes
}

impl Backend for TestBackend {
    fn get(&self, key: &[u8], at: Version) -> Result<Option<Row>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let rows = self.rows.lock();
        let found = rows.range((key.to_vec(), Reverse(at))..).next().filter(|((found, _), _)| found == key);
        Ok(found.map(|((_, version), value)| Row { version: version.0, value: value.clone() }))
    }

    fn scan(&self, range: &KeyRange, at: Version, order: Order, limit: PageLimit, page: &mut Page) -> Result<()> {
        page.clear();
        let rows = self.rows.lock();
        let mut from = range.clone();
        loop {
            // One key, then the next: the first row of what is left names it.
            let start = match &from.start {
                Bound::Included(key) => Bound::Included((key.clone(), Reverse(Version::MAX))),
                Bound::Excluded(key) => Bound::Excluded((key.clone(), Reverse(0))),
                Bound::Unbounded => Bound::Unbounded,
            };
            let end = match &from.end {
                Bound::Included(key) => Bound::Included((key.clone(), Reverse(0))),
                Bound::Excluded(key) => Bound::Excluded((key.clone(), Reverse(Version::MAX))),
                Bound::Unbounded => Bound::Unbounded,
            };
            let mut left = rows.range((start, end));
            let next = if order == Order::Ascending { left.next() } else { left.next_back() };
            let Some(((key, _), _)) = next else { break };
            let found = rows.range((key.clone(), Reverse(at))..).next().filter(|((found, _), _)| found == key);
            if let Some(((key, version), value)) = found {
                if is_full(page, limit) {
                    return Ok(());
                }
                page.push(RowRef { key, version: version.0, value: value.as_deref() });
            }
            let passed = Bound::Excluded(key.clone());
            match order {
                Order::Ascending => from.start = passed,
                Order::Descending => from.end = passed,
            }
            if from.is_empty() {
                break;
            }
        }
        page.finished = true;
        Ok(())
    }

    fn changes(&self, after: ChangesFrom<'_>, through: Version, limit: PageLimit, page: &mut Page) -> Result<()> {
        page.clear();
        let rows = self.rows.lock();
        let changes = self.changes.lock();
        let after = match after {
            ChangesFrom::After(after) => Bound::Included((after + 1, Vec::new())),
            ChangesFrom::Within(within, seen) => Bound::Excluded((within, seen.to_vec())),
        };
        for (version, key) in changes.range((after, Bound::Unbounded)).take_while(|(version, _)| *version <= through) {
            if is_full(page, limit) {
                return Ok(());
            }
            let value = &rows[&(key.clone(), Reverse(*version))];
            page.push(RowRef { key, version: *version, value: value.as_deref() });
        }
        page.finished = true;
        Ok(())
    }

    fn applied_through(&self) -> Version {
        self.through.load(Ordering::SeqCst)
    }

    fn apply(&self, run: &dyn Run, through: Version, _epoch: u64) -> Result<Applied> {
        self.check_failure()?;
        let given: Vec<_> = run.rows().map(|row| (row.key, Reverse(row.version))).collect();
        assert!(given.is_sorted_by(|a, b| a < b), "rows come by key, then version descending, none twice");
        let changes: Vec<_> = run.changes().collect();
        assert!(changes.is_sorted_by(|a, b| a < b), "changes come by version, then key, none twice");
        assert_eq!(changes.len(), given.len());
        assert!(changes.iter().all(|(version, key)| given.binary_search(&(key, Reverse(*version))).is_ok()));
        assert!(changes.iter().all(|(version, _)| *version <= through), "the mark covers every row");
        let mut rows = self.rows.lock();
        let mut applied = Applied::default();
        for row in run.rows() {
            applied.rows += 1;
            applied.bytes += row.key.len() as u64;
            rows.insert((row.key.to_vec(), Reverse(row.version)), row.value.map(<[u8]>::to_vec));
        }
        self.changes.lock().extend(changes.into_iter().map(|(version, key)| (version, key.to_vec())));
        self.through.fetch_max(through, Ordering::SeqCst);
        Ok(applied)
    }

    fn retract(&self, keep: Version, _epoch: u64) -> Result<u64> {
        self.check_failure()?;
        let mut rows = self.rows.lock();
        let gone = self.changes.lock().split_off(&(keep + 1, Vec::new()));
        for (version, key) in &gone {
            rows.remove(&(key.clone(), Reverse(*version)));
        }
        Ok(gone.len() as u64)
    }

    fn prunable(
        &self,
        _floor: Version,
        cursor: &mut PruneCursor,
        _changes_max: usize,
        slice: &mut PruneSlice,
    ) -> Result<()> {
        slice.clear();
        cursor.finished = true;
        Ok(())
    }

    fn remove(&self, _slice: &PruneSlice, _epoch: u64) -> Result<()> {
        Ok(())
    }

    fn reclaim(&self) -> Result<()> {
        Ok(())
    }

    fn newest_changes(&self, _after: Version, _visit: &mut dyn FnMut(Version, &[u8]) -> ControlFlow<()>) -> Result<()> {
        Ok(())
    }

    fn rows(
        &self,
        cursor: &mut MovingCursor,
        _through: Version,
        _pick: &dyn Fn(&[u8]) -> bool,
        _limit: PageLimit,
        page: &mut Page,
    ) -> Result<()> {
        page.clear();
        cursor.finished = true;
        Ok(())
    }

    fn changed(
        &self,
        cursor: &mut MovingCursor,
        _through: Version,
        _pick: &dyn Fn(&[u8]) -> bool,
        _most: usize,
        found: &mut Vec<(Version, Vec<u8>)>,
    ) -> Result<()> {
        found.clear();
        cursor.finished = true;
        Ok(())
    }

    fn bring_in_changes(&self, _changes: &[(Version, Vec<u8>)], _through: Version, _epoch: u64) -> Result<u64> {
        Ok(0)
    }

    fn stage_rows(&self) -> Result<Box<dyn StagedRows + '_>> {
        unreachable!("no slot moves here")
    }

    fn forget_changes(&self, cursor: &mut MovingCursor, _pick: &dyn Fn(&[u8]) -> bool, _epoch: u64) -> Result<u64> {
        cursor.finished = true;
        Ok(0)
    }

    fn expect_strays(&self, _through: Version) {}

    fn verify(
        &self,
        _row: &mut dyn FnMut(RowRef<'_>) -> Result<()>,
        _change: &mut dyn FnMut(Version, &[u8]) -> Result<()>,
    ) -> Result<()> {
        Ok(())
    }

    fn stats(&self) -> BackendStats {
        BackendStats::default()
    }

    fn pressure(&self) -> Pressure {
        Pressure::default()
    }
}
