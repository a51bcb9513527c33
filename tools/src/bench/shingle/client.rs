//! A client of Shingle's, which keeps commits under way.

use crate::bench::clients::sleep_until;
use crate::bench::recorder::Recorder;
use crate::bench::store::{Client, added};
use shingle::{Batch, CommitHandle, Database, ErrorKind, Transaction};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

pub(super) struct ShingleClient<'a> {
    db: &'a Database,
    in_flight: usize,
    /// In the order in which they will be done.
    under_way: VecDeque<(Instant, CommitHandle)>,
    /// Commits that are done.
    done: u64,
    /// In the order in which they are tried again.
    postponed: VecDeque<Postponed>,
}

/// A transaction that lost against one that is under way: before that one is done, it would lose again.
struct Postponed {
    keys: Vec<Vec<u8>>,
    amounts: Vec<u64>,
    due: Instant,
    /// It is tried again when so many commits are done: all that were under way.
    after: u64,
}

impl Postponed {
    fn keys(&self) -> Vec<&[u8]> {
        self.keys.iter().map(Vec::as_slice).collect()
    }
}

fn add_to(txn: &mut Transaction, keys: &[&[u8]], amounts: &[u64]) -> anyhow::Result<()> {
    for (key, amount) in keys.iter().zip(amounts) {
        let value = added(txn.get(key)?.as_deref(), *amount)?;
        txn.put(key, value)?;
    }
    Ok(())
}

impl<'a> ShingleClient<'a> {
    pub(super) fn new(db: &'a Database, in_flight: usize) -> Self {
        ShingleClient { db, in_flight, under_way: VecDeque::new(), done: 0, postponed: VecDeque::new() }
    }
}

impl ShingleClient<'_> {
    /// `false` after a conflict.
    fn try_add(
        &mut self,
        keys: &[&[u8]],
        amounts: &[u64],
        due: Instant,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<bool> {
        let mut txn = self.db.begin();
        add_to(&mut txn, keys, amounts)?;
        match txn.submit() {
            Ok(handle) => self.under_way.push_back((due, handle)),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                recorder.conflict();
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Has the store try again until it is committed: it knows when that is worth while.
    fn add_and_wait(
        &self,
        keys: &[&[u8]],
        amounts: &[u64],
        due: Instant,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        let mut tries = 0;
        loop {
            let committed = self.db.transact(|txn| {
                tries += 1;
                Ok(add_to(txn, keys, amounts))
            });
            match committed {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                committed => {
                    committed??;
                    (1..tries).for_each(|_| recorder.conflict());
                    recorder.done(due, 0);
                    return Ok(());
                }
            }
        }
    }

    fn all_under_way_done(&self) -> u64 {
        self.done + self.under_way.len() as u64
    }

    /// Tries those again whose time has come.
    fn try_postponed(&mut self, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        for _ in 0..self.postponed.len() {
            let done = self.done;
            let Some(mut again) = self.postponed.pop_front_if(|first| first.after <= done) else { break };
            if !self.try_add(&again.keys(), &again.amounts, again.due, recorder)? {
                again.after = self.all_under_way_done();
                self.postponed.push_back(again);
            }
        }
        Ok(())
    }

    /// Waits until at most `count` are under way or postponed.
    fn wait_down_to(&mut self, count: usize, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        while self.under_way() > count {
            if let Some((due, handle)) = self.under_way.pop_front() {
                handle.wait()?;
                self.done += 1;
                recorder.done(due, 0);
                self.try_postponed(recorder)?;
            } else if let Some(last) = self.postponed.pop_front() {
                self.add_and_wait(&last.keys(), &last.amounts, last.due, recorder)?;
            }
        }
        Ok(())
    }
}

impl Client for ShingleClient<'_> {
    fn add(
        &mut self,
        keys: &[&[u8]],
        amounts: &[u64],
        due: Instant,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        if self.in_flight == 1 {
            return self.add_and_wait(keys, amounts, due, recorder);
        }
        if !self.try_add(keys, amounts, due, recorder)? {
            let keys = keys.iter().map(|key| key.to_vec()).collect();
            let after = self.all_under_way_done();
            self.postponed.push_back(Postponed { keys, amounts: amounts.to_vec(), due, after });
        }
        self.wait_down_to(self.in_flight - 1, recorder)
    }

    fn put(&mut self, key: &[u8], value: &[u8], due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let mut batch = Batch::new();
        batch.put(key, value);
        let handle = self.db.submit(batch)?;
        self.under_way.push_back((due, handle));
        self.wait_down_to(self.in_flight - 1, recorder)
    }

    fn under_way(&self) -> usize {
        self.under_way.len() + self.postponed.len()
    }

    /// Notes commits as they are done, not when the next one is due.
    fn idle(&mut self, until: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        while let Some((due, handle)) = self.under_way.front_mut() {
            match Pin::new(handle).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(committed) => {
                    committed?;
                    self.done += 1;
                    recorder.done(*due, 0);
                    self.under_way.pop_front();
                    self.try_postponed(recorder)?;
                }
                Poll::Pending => match until.checked_duration_since(Instant::now()) {
                    Some(left) => std::thread::park_timeout(left),
                    None => return Ok(()),
                },
            }
        }
        sleep_until(until);
        // What they lost against may have been another client's.
        self.try_postponed(recorder)
    }

    fn finish(&mut self, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.wait_down_to(0, recorder)
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
