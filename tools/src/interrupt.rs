//! Ctrl-C, and SIGTERM: the first asks for an orderly end, the second ends at once. A store survives either.

use anyhow::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The exit code of a process that Ctrl-C ended, as shells count it.
const INTERRUPTED: i32 = 130;

/// The process ends at once: somebody is cleaning up.
static ENDING: AtomicBool = AtomicBool::new(false);

/// The work has ended, because its files are gone or by itself.
static WORK_ENDED: AtomicBool = AtomicBool::new(false);

/// How long a clean-up waits for the work to end before it looks for what the work has made meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether Ctrl-C was pressed.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on, once per process.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&asked);
        ctrlc::set_handler(move || {
            if seen.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
            eprintln!("\nshingle: ending in good order; Ctrl-C again ends at once");
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(Interrupt(asked))
    }

    /// From now on, the first Ctrl-C ends the process at once, after `clean_up`. That is called twice: work that was about to make a store
    /// makes its directory again.
    pub(crate) fn ends_at_once(clean_up: impl Fn() + Send + 'static) -> anyhow::Result<()> {
        ctrlc::set_handler(move || {
            ENDING.store(true, Ordering::SeqCst);
            clean_up();
            let begun = Instant::now();
            while !WORK_ENDED.load(Ordering::SeqCst) && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            }
            clean_up();
            std::process::exit(INTERRUPTED);
        })
        .context("cannot listen for Ctrl-C")
    }

    /// From now on, the first Ctrl-C ends the process at once, with a word on what becomes of the work.
    pub(crate) fn ends_saying(said: &'static str) -> anyhow::Result<()> {
        ctrlc::set_handler(move || {
            eprintln!("\nshingle: {said}");
            std::process::exit(INTERRUPTED);
        })
        .context("cannot listen for Ctrl-C")
    }

    /// Does not return if the process is ending at once: what fails in the meantime, its files being gone, is nobody's concern, and must not
    /// end the process before all is cleaned up.
    pub(crate) fn leave_the_end_to_it() {
        WORK_ENDED.store(true, Ordering::SeqCst);
        while ENDING.load(Ordering::SeqCst) {
            std::thread::park();
        }
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
