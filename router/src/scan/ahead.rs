//! Pages of a long scan, fetched by the store's threads while those before them are read.

use super::fetch::{Fetched, Request};
use crate::Result;
use parking_lot::{Condvar, Mutex};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

/// A page that is on its way. Whoever drops it does not want it any more.
#[derive(Debug)]
pub(super) struct Ahead(Arc<Slot>);

#[derive(Debug)]
struct Slot {
    stage: Mutex<Stage>,
    fetched: Condvar,
}

#[derive(Debug)]
enum Stage {
    /// No thread has begun with it.
    Asked(Box<Request>),
    Fetching,
    Fetched(thread::Result<Result<Fetched>>),
    Taken,
}

impl Ahead {
    pub(super) fn begin(request: Request) -> Self {
        let snapshot = request.snapshot.clone();
        let slot = Arc::new(Slot { stage: Mutex::new(Stage::Asked(Box::new(request))), fetched: Condvar::new() });
        let theirs = Arc::clone(&slot);
        snapshot.core().workers.scan.spawn(move || theirs.fetch());
        Ahead(slot)
    }

    /// Waits for the page, or fetches it here if no thread was free for it.
    pub(super) fn take(self) -> Result<Fetched> {
        self.0.fetch();
        let mut stage = self.0.stage.lock();
        self.0.fetched.wait_while(&mut stage, |stage| matches!(stage, Stage::Fetching));
        match std::mem::replace(&mut *stage, Stage::Taken) {
            Stage::Fetched(outcome) => outcome.unwrap_or_else(|panic| resume_unwind(panic)),
            Stage::Asked(_) | Stage::Fetching | Stage::Taken => unreachable!("it was asked for, begun and waited for"),
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let mut stage = self.0.stage.lock();
        if matches!(*stage, Stage::Asked(_)) {
            *stage = Stage::Taken;
        }
    }
}

impl Slot {
    /// Fetches the page, unless somebody has begun to, or nobody wants it any more.
    fn fetch(&self) {
        let mut stage = self.stage.lock();
        match std::mem::replace(&mut *stage, Stage::Fetching) {
            Stage::Asked(request) => {
                drop(stage);
                let outcome = catch_unwind(AssertUnwindSafe(|| request.fetch()));
                *self.stage.lock() = Stage::Fetched(outcome);
                self.fetched.notify_all();
            }
            other @ (Stage::Fetching | Stage::Fetched(_) | Stage::Taken) => *stage = other,
        }
    }
}
