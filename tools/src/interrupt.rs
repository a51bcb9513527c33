//! Ctrl-C, and SIGTERM: the first asks for an orderly end, the second ends at once. A store survives either.

use anyhow::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a process that Ctrl-C ended, as shells count it.
const INTERRUPTED: i32 = 130;

/// The process ends at once: somebody is cleaning up.
static ENDING: AtomicBool = AtomicBool::new(false);

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

    /// From now on, the first Ctrl-C ends the process at once, after `clean_up`.
    pub(crate) fn ends_at_once(clean_up: impl Fn() + Send + 'static) -> anyhow::Result<()> {
        ctrlc::set_handler(move || {
            ENDING.store(true, Ordering::SeqCst);
            clean_up();
            std::process::exit(INTERRUPTED);
        })
        .context("cannot listen for Ctrl-C")
    }

    /// Does not return if the process is ending at once: what fails in the meantime, its files being gone, is nobody's concern, and must not
    /// end the process before all is cleaned up.
    pub(crate) fn leave_the_end_to_it() {
        while ENDING.load(Ordering::SeqCst) {
            std::thread::park();
        }
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
