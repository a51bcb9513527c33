//! Clients that work for a while, in a closed loop or at a fixed rate.
//!
//! In a closed loop, a thread asks again once it has its answer. A store that stalls for a second is then asked a thousand times less
//! than in the seconds before, and its percentiles hide the stall. At a fixed rate, each request is due at a time of its own, whatever
//! the store does, and its latency counts from that time, waiting for the thread included: what Gil Tene calls the way around coordinated
//! omission ("How NOT to Measure Latency", 2013; wrk2).

use super::measure::{Meter, Usage};
use super::recorder::Recorder;
use crate::args::PaceArgs;
use crate::units::rate;
use anyhow::anyhow;
use indicatif::ProgressBar;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the progress bar looks.
const LOOK: Duration = Duration::from_millis(200);

/// A sleeping thread is waked about this late: the rest of the time is spun away.
const OVERSLEEP: Duration = Duration::from_micros(80);

/// What one client thread does.
pub(crate) trait Work {
    /// One request, or a few, due at `due`. Records what it completes.
    fn step(&mut self, due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()>;

    /// Nothing is due until `until`: what is under way may be waited for.
    fn idle(&mut self, until: Instant, _recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        sleep_until(until);
        Ok(())
    }

    /// Waits for all that is under way.
    fn finish(&mut self, _recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        Ok(())
    }
}

/// What all clients together did.
#[derive(Debug)]
pub(crate) struct Driven {
    pub(crate) recorder: Recorder<'static>,
    pub(crate) usage: Usage,
}

impl Driven {
    pub(crate) fn per_second(&self) -> f64 {
        self.recorder.trace.operations as f64 / self.usage.elapsed.as_secs_f64()
    }

    pub(crate) fn cpu_us_per_operation(&self) -> Option<f64> {
        let cpu = self.usage.cpu?;
        Some(cpu.as_secs_f64() * 1e6 / self.recorder.trace.operations as f64)
    }
}

/// Runs `threads` clients, each with the work that `start` gives for its number, as long and as fast as `pace` says.
pub(crate) fn drive<'w>(
    threads: u64,
    pace: &PaceArgs,
    bar: &ProgressBar,
    start: impl Fn(u64) -> anyhow::Result<Box<dyn Work + 'w>> + Sync,
) -> anyhow::Result<Driven> {
    let length = Duration::from_secs(pace.seconds);
    let interval = pace.rate.map(|rate| Duration::from_secs_f64(threads as f64 / rate));
    let live = AtomicU64::new(0);
    let meter = Meter::begin();
    let begun = Instant::now();
    let until = begun + length;
    let run_client = |thread: u64| -> anyhow::Result<Recorder<'_>> {
        let mut work = start(thread)?;
        let mut recorder = Recorder::new(begun, length, &live)?;
        match interval {
            None => loop {
                let now = Instant::now();
                if now >= until {
                    break;
                }
                work.step(now, &mut recorder)?;
            },
            Some(interval) => {
                // Threads begin one after another, so that requests are spread over the interval.
                let mut due = begun + interval.mul_f64(thread as f64 / threads as f64);
                while due < until {
                    if due > Instant::now() {
                        work.idle(due, &mut recorder)?;
                    }
                    work.step(due, &mut recorder)?;
                    due += interval;
                }
            }
        }
        work.finish(&mut recorder)?;
        Ok(recorder)
    };
    let recorders = std::thread::scope(|scope| {
        let run_client = &run_client;
        let clients: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run_client(thread))).collect();
        show_progress(bar, begun, length, &live, || clients.iter().all(|client| client.is_finished()));
        let join = clients.into_iter().map(|client| client.join().map_err(|_| anyhow!("a client panicked"))?);
        join.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let usage = meter.end();
    let mut all = Recorder::new(begun, length, None)?;
    for recorder in recorders {
        all.trace.merge(&recorder.trace);
        all.conflicts += recorder.conflicts;
    }
    anyhow::ensure!(all.trace.operations > 0, "nothing was done in {} s", pace.seconds);
    Ok(Driven { recorder: all, usage })
}

fn show_progress(bar: &ProgressBar, begun: Instant, length: Duration, live: &AtomicU64, ended: impl Fn() -> bool) {
    let what = bar.message();
    bar.set_length(length.as_millis() as u64);
    let (mut seen, mut seen_at) = (0, begun);
    while !ended() {
        // The end of the last client is waited for by joining it, and a measurement that is nearly over has no use for the bar.
        let left = (begun + length).saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        std::thread::sleep(LOOK.min(left));
        let (now, count) = (Instant::now(), live.load(Ordering::Relaxed));
        let per_second = (count - seen) as f64 / (now - seen_at).as_secs_f64();
        bar.set_position((now - begun).as_millis() as u64);
        bar.set_message(format!("{what}, {}/s", rate(per_second)));
        (seen, seen_at) = (count, now);
    }
    bar.set_message(what);
}

/// Sleeps, and spins the last moments away.
pub(crate) fn sleep_until(until: Instant) {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > OVERSLEEP {
            std::thread::sleep(left - OVERSLEEP);
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Work, drive};
    use crate::args::PaceArgs;
    use crate::bench::recorder::Recorder;
    use std::time::{Duration, Instant};

    /// A store that stands still once, for half a second, as its third request comes.
    struct StandsStillOnce(u64);

    impl Work for StandsStillOnce {
        fn step(&mut self, due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
            self.0 += 1;
            if self.0 == 3 {
                std::thread::sleep(Duration::from_millis(500));
            }
            recorder.done(due, 0);
            Ok(())
        }
    }

    /// Requests that come due while the store stands still count as late, though none was sent meanwhile.
    #[test]
    fn a_fixed_rate_does_not_omit_what_a_stall_held_up() {
        let pace = PaceArgs { seconds: 1, rate: Some(1000.0) };
        let driven = drive(1, &pace, &indicatif::ProgressBar::hidden(), |_| Ok(Box::new(StandsStillOnce(0))))
            .expect("it does something");
        assert_eq!(driven.recorder.trace.operations, 1000);
        let late = driven.recorder.trace.latency.quantile(0.75);
        assert!(late >= Duration::from_millis(200), "a quarter of the requests waited for longer than {late:?}");
    }
}
