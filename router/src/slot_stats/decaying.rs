//! A count of operations in which the recent ones weigh more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// After this time an operation counts half.
pub const HALF_LIFE: Duration = Duration::from_secs(600);

/// How often a count is made to decay: its steps are then below 1.2 %.
const TICK: Duration = Duration::from_secs(10);

/// The low bits count operations in sixteenths, so that small counts decay too; the high ones say of which tick the count is. 36 bits of whole
/// operations are 79 million a second on one slot; 24 bits of ticks last five years of one opening.
const COUNT_BITS: u32 = 40;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const SIXTEENTHS: u64 = 16;

/// Ticks since the store was opened.
#[derive(Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn new() -> Self {
        Clock(Instant::now())
    }

    pub(super) fn now(&self) -> u64 {
        self.0.elapsed().as_secs() / TICK.as_secs()
    }
}

/// A count that halves with every [`HALF_LIFE`].
#[derive(Debug, Default)]
pub(super) struct Decaying(AtomicU64);

impl Decaying {
    /// What was counted when the store was closed: that time does not pass.
    pub(super) fn resumed(count: u64) -> Self {
        Decaying(AtomicU64::new(count.saturating_mul(SIXTEENTHS).min(COUNT_MASK)))
    }

    /// Counts `operations` at the tick `now`. Of two threads that do so in the same instant one may be lost: an addition that loses nothing takes ten times
    /// as long.
    #[inline]
    pub(super) fn add(&self, now: u64, operations: u64) {
        let packed = self.0.load(Relaxed);
        let sum = packed + operations * SIXTEENTHS;
        // A full count must not run over into the tick.
        if packed >> COUNT_BITS == now && sum >> COUNT_BITS == now {
            self.0.store(sum, Relaxed);
        } else {
            self.add_decayed(now, operations);
        }
    }

    #[cold]
    fn add_decayed(&self, now: u64, operations: u64) {
        let decay = |packed: u64| {
            let (then, count) = (packed >> COUNT_BITS, decayed(packed, now));
            Some(then.max(now) << COUNT_BITS | (count + operations * SIXTEENTHS).min(COUNT_MASK))
        };
        let _always_some = self.0.fetch_update(Relaxed, Relaxed, decay);
    }

    /// The count as it is at the tick `now`.
    pub(super) fn get(&self, now: u64) -> u64 {
        decayed(self.0.load(Relaxed), now) / SIXTEENTHS
    }
}

/// What a packed count has become at the tick `now`.
fn decayed(packed: u64, now: u64) -> u64 {
    // Another thread may be a tick ahead.
    let ticks = now.saturating_sub(packed >> COUNT_BITS);
    let half_lives = ticks as f64 * TICK.as_secs_f64() / HALF_LIFE.as_secs_f64();
    ((packed & COUNT_MASK) as f64 * 0.5_f64.powf(half_lives)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_LIFE_TICKS: u64 = HALF_LIFE.as_secs() / TICK.as_secs();

    #[test]
    fn counts_halve_and_end() {
        let count = Decaying::default();
        (0..1000).for_each(|_| count.add(0, 1));
        assert_eq!((count.get(0), count.get(HALF_LIFE_TICKS)), (1000, 500));
        // Tick by tick it comes to the same, but for what rounding takes away.
        (1..=HALF_LIFE_TICKS).for_each(|now| count.add(now, 0));
        assert!((495..=500).contains(&count.get(HALF_LIFE_TICKS)), "{}", count.get(HALF_LIFE_TICKS));
        count.add(HALF_LIFE_TICKS, 7);
        assert!((502..=507).contains(&count.get(HALF_LIFE_TICKS)));
        assert_eq!(count.get(100 * HALF_LIFE_TICKS), 0);
        let lonely = Decaying::default();
        lonely.add(0, 1);
        (1..500).for_each(|now| lonely.add(now, 0));
        assert_eq!(lonely.0.load(Relaxed) & COUNT_MASK, 0, "what is small ends too");
    }

    #[test]
    fn a_thread_that_is_a_tick_behind_takes_nothing_away() {
        let count = Decaying::default();
        count.add(5, 10);
        count.add(4, 10);
        assert_eq!(count.get(5), 20);
    }

    /// Threads that count at the same time may lose something, and never leave anything else behind than a count of that tick.
    #[test]
    fn threads_count_no_more_than_there_was() {
        let count = Decaying::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50_000).for_each(|_| count.add(1, 1)));
            }
        });
        assert!((1..=200_000).contains(&count.get(1)), "{}", count.get(1));
        assert_eq!(count.0.load(Relaxed) >> COUNT_BITS, 1);
    }

    #[test]
    fn a_count_that_is_full_stays_full() {
        let count = Decaying::resumed(u64::MAX);
        count.add(1, 1 << 20);
        count.add(1, 1 << 20);
        assert_eq!(count.0.load(Relaxed) >> COUNT_BITS, 1);
        assert!(count.get(1) > 1 << 35);
    }
}
