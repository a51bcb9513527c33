//! The handle of a commit that is under way: to wait on, or to await.

use crate::{Error, Result};
use parking_lot::{Condvar, Mutex};
use shingle_shard::Version;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A commit that is numbered and on its way to the log. Dropping the handle does not undo the commit.
#[derive(Debug)]
#[must_use = "a commit may still fail: wait for it"]
pub struct CommitHandle {
    version: Version,
    completion: Arc<Completion>,
}

/// What a commit's author and the pipeline share.
#[derive(Debug, Default)]
pub(crate) struct Completion {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug)]
enum State {
    UnderWay { waker: Option<Waker> },
    Done(Result<Version>),
}

impl Default for State {
    fn default() -> Self {
        State::UnderWay { waker: None }
    }
}

impl Completion {
    /// Returns whether somebody waited for it.
    pub(crate) fn finish(&self, outcome: Result<Version>) -> bool {
        let before = std::mem::replace(&mut *self.state.lock(), State::Done(outcome));
        let woken = self.done.notify_all();
        if let State::UnderWay { waker: Some(waker) } = before {
            waker.wake();
            return true;
        }
        woken > 0
    }
}

impl CommitHandle {
    pub(crate) fn new(version: Version, completion: Arc<Completion>) -> Self {
        CommitHandle { version, completion }
    }

    /// A handle of something that is already done.
    pub(crate) fn finished(version: Version) -> Self {
        let completion = Arc::<Completion>::default();
        completion.finish(Ok(version));
        CommitHandle { version, completion }
    }

    /// The version that the commit has if it succeeds. If it fails, or is lost in a crash, no other commit ever has it.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Waits until the commit is visible and as durable as was asked for, and returns its version.
    ///
    /// # Errors
    /// What kept the commit from being written: nothing of it remains. After [`Error::Poisoned`] nobody knows, and the whole of
    /// it may be there when the store is opened again.
    pub fn wait(self) -> Result<Version> {
        let mut state = self.completion.state.lock();
        loop {
            match &*state {
                State::Done(outcome) => return outcome.clone(),
                State::UnderWay { .. } => self.completion.done.wait(&mut state),
            }
        }
    }
}

impl Future for CommitHandle {
    type Output = Result<Version, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self.completion.state.lock() {
            State::Done(outcome) => Poll::Ready(outcome.clone()),
            State::UnderWay { waker } => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
