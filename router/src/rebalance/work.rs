//! How much there is to copy, and how much of it is done.

use shingle_shard::Version;
use shingle_shard::backend::{BackendStats, MovingCursor};

/// What is gone through of one source: its changes first, which go by version, then its rows. Weighed by bytes, as they were estimated at the beginning,
/// so that what is done never becomes less.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    change_bytes: f64,
    row_bytes: f64,
    rows: u64,
    /// No change is at or below it.
    floor: Version,
}

impl Work {
    pub(super) fn of(stats: &BackendStats, floor: Version) -> Self {
        // An engine says of very little that it is nothing at all.
        let row_bytes = stats.live_bytes.saturating_sub(stats.changes_bytes).max(1) as f64;
        Work { change_bytes: stats.changes_bytes as f64, row_bytes, rows: stats.rows_estimate, floor }
    }

    pub(super) fn whole(&self) -> f64 {
        self.change_bytes + self.row_bytes
    }

    /// What is done when both were gone through so far; changes end at `through`.
    pub(super) fn done(&self, changes: &MovingCursor, rows: &MovingCursor, through: Version) -> f64 {
        let part = |finished: bool, done: u64, of: u64| match finished {
            true => 1.0,
            false => (done as f64 / of.max(1) as f64).min(1.0),
        };
        let versions = changes.version().map_or(0, |version| version.saturating_sub(self.floor));
        let changes = part(changes.finished, versions, through.saturating_sub(self.floor));
        self.change_bytes * changes + self.row_bytes * part(rows.finished, rows.looked, self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(finished: bool, looked: u64) -> MovingCursor {
        let mut cursor = MovingCursor::default();
        (cursor.finished, cursor.looked) = (finished, looked);
        cursor
    }

    #[test]
    fn changes_count_before_the_first_row_does_and_nothing_counts_twice() {
        let stats =
            BackendStats { rows_estimate: 100, live_bytes: 1000, changes_bytes: 250, ..BackendStats::default() };
        let work = Work::of(&stats, 10);
        let done = |changes, rows| work.done(&changes, &rows, 20) / work.whole();
        assert_eq!(done(cursor(false, 0), cursor(false, 0)), 0.0);
        assert_eq!(done(cursor(true, 0), cursor(false, 0)), 0.25);
        assert_eq!(done(cursor(true, 0), cursor(false, 50)), 0.625);
        // More rows than were estimated.
        assert_eq!(done(cursor(true, 0), cursor(false, 1000)), 1.0);
        assert_eq!(done(cursor(true, 0), cursor(true, 7)), 1.0);
        let empty = Work::of(&BackendStats::default(), 0);
        assert_eq!(empty.done(&cursor(true, 0), &cursor(true, 0), 0) / empty.whole(), 1.0);
    }
}
