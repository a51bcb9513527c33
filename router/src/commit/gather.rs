//! When the log thread waits a moment before it takes the queue: authors who were just told of their commits often come back with the next ones,
//! and what comes right behind a group waits for the whole of that group's sync.

use std::time::Duration;

/// A gathering takes no longer than this, and no longer than a sync.
const PATIENCE_MAX: Duration = Duration::from_micros(200);

/// After a gathering that was in vain this many groups go without, after the next one twice as many, and so on.
const BACKOFF_FIRST: u32 = 8;
const BACKOFF_MAX: u32 = 1024;

/// How the next group is to be gathered.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// Authors who were waiting when the group before was acknowledged.
    returning: usize,
    patience: Duration,
    /// Groups to go without.
    rest: u32,
    backoff: u32,
}

impl Gathering {
    /// Notes a group that took `sync` to sync, and how many waited for it.
    pub(super) fn acknowledged(&mut self, awaited: usize, sync: Duration) {
        self.returning = awaited;
        self.patience = sync.min(PATIENCE_MAX);
    }

    /// With how many commits the next group should set off, where `queued` are there, and how long that is worth waiting for.
    pub(super) fn wanted(&mut self, queued: usize) -> Option<(usize, Duration)> {
        // One author, or none: whoever comes is all that there is to wait for.
        let returning = std::mem::take(&mut self.returning);
        if returning == 0 || queued + returning < 2 {
            return None;
        }
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        Some((queued + returning, self.patience))
    }

    /// Notes how a gathering ended.
    pub(super) fn ended(&mut self, complete: bool) {
        if complete {
            self.backoff = 0;
        } else {
            self.backoff = (self.backoff * 2).clamp(BACKOFF_FIRST, BACKOFF_MAX);
            self.rest = self.backoff;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_micros(130);

    #[test]
    fn authors_who_come_back_are_waited_for() {
        let mut gathering = Gathering::default();
        assert_eq!(gathering.wanted(3), None, "nobody was told of anything");
        gathering.acknowledged(4, SYNC);
        assert_eq!(gathering.wanted(3), Some((7, SYNC)));
        assert_eq!(gathering.wanted(3), None, "they were waited for once");
        gathering.acknowledged(2, Duration::from_secs(1));
        assert_eq!(gathering.wanted(0), Some((2, PATIENCE_MAX)));
    }

    #[test]
    fn a_single_author_never_waits() {
        let mut gathering = Gathering::default();
        gathering.acknowledged(1, SYNC);
        assert_eq!(gathering.wanted(0), None);
    }

    #[test]
    fn gatherings_in_vain_grow_rare() {
        let mut gathering = Gathering::default();
        let mut gathered = 0;
        for _ in 0..10_000 {
            gathering.acknowledged(5, SYNC);
            if gathering.wanted(1).is_some() {
                gathered += 1;
                gathering.ended(false);
            }
        }
        assert!((2..30).contains(&gathered), "{gathered}");
        while gathering.wanted(1).is_none() {
            gathering.acknowledged(5, SYNC);
        }
        gathering.ended(true);
        gathering.acknowledged(5, SYNC);
        assert!(gathering.wanted(1).is_some(), "one success, and they are tried again each time");
    }
}
