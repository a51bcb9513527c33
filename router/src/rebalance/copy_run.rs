//! A run: rows of one source on their way to its targets, in files that are brought in whole.
//!
//! Each file that comes in is one at level 0, under which compaction rewrites what the target has: files of 4 MiB cost twenty times the time of their
//! copying. So pages are gathered, where nobody reads them. A rollback meanwhile does not find them, and they are given up: the run begins anew.

use super::Interrupted;
use super::copy::{Pass, Source};
use crate::core::Core;
use shingle_shard::backend::{MovingCursor, Page, PageLimit, StagedRows};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, Instant};

/// Rows that are read at a time.
const PAGE: PageLimit = PageLimit { rows: 1 << 15, bytes: 4 << 20 };

/// A page is about what the rate allows in so long a time.
const PAGES_PER_SEC: u64 = 10;

/// Fewer bytes are not worth a page.
const PAGE_BYTES_MIN: u64 = 64 << 10;

/// A run ends once one of its files has so many bytes.
const FILE_BYTES: u64 = 64 << 20;

/// A run ends after so long, however little the rate allowed: what a rollback can cost.
const RUN_TIME: Duration = Duration::from_secs(5);

/// What was read and is not brought in yet.
struct StagedRun<'a> {
    files: BTreeMap<usize, Box<dyn StagedRows + 'a>>,
    /// Where the reading goes on.
    cursor: MovingCursor,
    /// Bytes of the files that are told and paid for.
    bytes_noted: u64,
    began: Instant,
}

impl StagedRun<'_> {
    fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes()).sum()
    }

    fn is_due(&self) -> bool {
        self.cursor.finished
            || self.began.elapsed() >= RUN_TIME
            || self.files.values().any(|file| file.bytes() >= FILE_BYTES)
    }
}

impl Core {
    /// Copies one run.
    ///
    /// Nothing is kept away while it is gathered, and only rollbacks, checkpoints and verifications while it is brought in. If there was a rollback in
    /// between, nothing is brought in; the next run is a single page then, so that rollbacks that follow one another do not keep it from ever ending.
    pub(super) fn copy_run(&self, pass: &Pass<'_>, source: &mut Source, tell: &dyn Fn()) -> Result<(), Interrupted> {
        let rollbacks = {
            // Not in the midst of one, which is counted before it has removed everything.
            let _slice = self.rebalancer.slice();
            self.rollbacks.count()
        };
        let mut run =
            StagedRun { files: BTreeMap::new(), cursor: source.rows.clone(), bytes_noted: 0, began: Instant::now() };
        loop {
            self.rebalancer.check_going()?;
            self.health.check()?;
            let began = Instant::now();
            let rows = self.stage_page(pass, source.shard, &mut run)?;
            let fraction = pass.advance(source, &run.cursor);
            tell();
            fail::fail_point!("move::after_page");
            if run.is_due() || source.was_cut_short || self.rollbacks.count() != rollbacks {
                // What files hold back until they end is known then, and paid for once it is where nothing undoes it.
                run.files.values_mut().try_for_each(|file| file.finish())?;
                let bytes = self.note_staged(&mut run, rows, fraction);
                self.bring_in_run(pass, source, run, rollbacks)?;
                return self.keep_rate(bytes, began);
            }
            let bytes = self.note_staged(&mut run, rows, fraction);
            self.keep_rate(bytes, began)?;
        }
    }

    /// Tells of rows and bytes that are new in the files. Returns how many bytes.
    fn note_staged(&self, run: &mut StagedRun<'_>, rows: u64, fraction: f64) -> u64 {
        let all = run.bytes();
        let bytes = all.saturating_sub(std::mem::replace(&mut run.bytes_noted, all));
        self.rebalancer.note(|figures| figures.copied(rows, bytes, fraction));
        bytes
    }

    fn bring_in_run(
        &self,
        pass: &Pass<'_>,
        source: &mut Source,
        run: StagedRun<'_>,
        rollbacks: usize,
    ) -> Result<(), Interrupted> {
        let _slice = self.rebalancer.slice();
        self.health.check()?;
        source.was_cut_short = self.rollbacks.count() != rollbacks;
        if source.was_cut_short {
            return Ok(());
        }
        fail::fail_point!("move::before_bringing_in");
        for (target, file) in run.files {
            pass.topology.all()[target].bring_in(file, self.epoch())?;
        }
        source.rows = run.cursor;
        fail::fail_point!("move::after_run");
        Ok(())
    }

    fn stage_page<'a>(&self, pass: &Pass<'a>, source: usize, run: &mut StagedRun<'a>) -> Result<u64, Interrupted> {
        let rate = self.rebalancer.state.lock().bytes_per_sec().unwrap_or(u64::MAX);
        let bytes = (rate / PAGES_PER_SEC).clamp(PAGE_BYTES_MIN, PAGE.bytes as u64) as usize;
        let mut page = Page::default();
        let pick = |key: &[u8]| pass.target_of(source, key).is_some();
        let backend = pass.topology.all()[source].backend();
        backend.rows(&mut run.cursor, pass.through, &pick, PageLimit { bytes, ..PAGE }, &mut page)?;
        for row in (0..page.len()).filter_map(|row| page.get(row)) {
            let target = pass.target_of(source, row.key).expect("picked because it has one");
            let file = match run.files.entry(target) {
                Entry::Occupied(file) => file.into_mut(),
                Entry::Vacant(none) => none.insert(pass.topology.all()[target].stage_rows()?),
            };
            file.put(row)?;
        }
        Ok(page.len() as u64)
    }
}
