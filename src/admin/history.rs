//! The last minutes, a sample a second: what the page draws before it has seen anything itself.

use crate::{Counts, Database, Distribution};
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// From one sample to the next.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Ten minutes.
const SAMPLES_MAX: usize = 600;

/// What happened in one interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Sample {
    /// Its end, in milliseconds since the beginning of 1970.
    pub(super) time_ms: u64,
    commits_per_second: f64,
    transactions_per_second: f64,
    conflicts_per_second: f64,
    /// `None`: nothing was committed.
    commit_p50_micros: Option<f64>,
    commit_p99_micros: Option<f64>,
    memory_bytes: u64,
    /// How much of the interval commits waited for memory, added up over those that did.
    backpressure_share: f64,
}

#[derive(Debug)]
pub(super) struct History {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    samples: VecDeque<Sample>,
    last: Instant,
    counts: Counts,
    commit_micros: Distribution,
}

impl History {
    pub(super) fn new(db: &Database) -> Self {
        let (counts, commit_micros) = db.counts();
        let state = State { samples: VecDeque::new(), last: Instant::now(), counts, commit_micros };
        History { state: Mutex::new(state) }
    }

    /// Takes a sample of what happened since the last one.
    pub(super) fn sample(&self, db: &Database) {
        let (counts, commit_micros) = db.counts();
        let memory_bytes = db.memory().total_bytes;
        let clock_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
        let mut state = self.state.lock();
        let now = Instant::now();
        let time_ms = time_ms(state.samples.back().map(|sample| sample.time_ms), now - state.last, clock_ms);
        let seconds = (now - state.last).as_secs_f64().max(f64::MIN_POSITIVE);
        let spread = commit_micros.since(&state.commit_micros);
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let sample = Sample {
            time_ms,
            commits_per_second: rate(counts.commits, state.counts.commits),
            transactions_per_second: rate(counts.transactions_committed, state.counts.transactions_committed),
            conflicts_per_second: rate(counts.conflicts, state.counts.conflicts),
            commit_p50_micros: spread.quantile(0.5),
            commit_p99_micros: spread.quantile(0.99),
            memory_bytes,
            backpressure_share: rate(counts.memory_wait_micros, state.counts.memory_wait_micros) / 1e6,
        };
        if state.samples.len() == SAMPLES_MAX {
            state.samples.pop_front();
        }
        state.samples.push_back(sample);
        (state.last, state.counts, state.commit_micros) = (now, counts, commit_micros);
    }

    /// The samples that end after `time_ms`.
    pub(super) fn since(&self, time_ms: u64) -> Vec<Sample> {
        self.state.lock().samples.iter().filter(|sample| sample.time_ms > time_ms).copied().collect()
    }
}

/// When a sample ends: by the clock, unless that was set back. Who has seen the samples up to a time must not miss those that follow.
fn time_ms(last_ms: Option<u64>, since: Duration, clock_ms: u64) -> u64 {
    last_ms.map_or(clock_ms, |last_ms| clock_ms.max(last_ms.saturating_add(since.as_millis().max(1) as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Batch;

    #[test]
    fn a_sample_tells_what_happened_since_the_one_before() -> crate::Result<()> {
        let db = Database::in_memory()?;
        let history = History::new(&db);
        for key in 0..10_u8 {
            let mut batch = Batch::new();
            batch.put([key], [key]);
            db.commit(batch)?;
        }
        history.sample(&db);
        history.sample(&db);
        let samples = history.since(0);
        assert!(samples[0].commits_per_second > 0.0 && samples[0].commit_p99_micros.is_some(), "{samples:?}");
        assert_eq!((samples[1].commits_per_second, samples[1].commit_p99_micros), (0.0, None));
        assert_eq!(history.since(samples[1].time_ms), []);
        (0..2 * SAMPLES_MAX).for_each(|_| history.sample(&db));
        assert_eq!(history.since(0).len(), SAMPLES_MAX);
        Ok(())
    }

    #[test]
    fn a_clock_that_is_set_back_hides_no_sample() {
        let second = Duration::from_secs(1);
        assert_eq!(time_ms(None, second, 5000), 5000);
        assert_eq!(time_ms(Some(5000), second, 6003), 6003);
        assert_eq!(time_ms(Some(5000), second, 100), 6000);
        assert_eq!(time_ms(Some(5000), Duration::ZERO, 0), 5001);
        assert_eq!(time_ms(Some(6000), second, 9_000_000), 9_000_000);
    }
}
