//! `shingle bench ycsb-a` to `ycsb-f`: the core workloads of YCSB (B. F. Cooper et al., SoCC 2010, table 2).
//!
//! A: half reads, half updates. B: 95 % reads, 5 % updates. C: reads. D: 95 % reads of the latest keys, 5 % inserts. E: 95 % scans of 1 to
//! 100 keys, 5 % inserts. F: half reads, half read-modify-writes, each a serializable transaction. Keys are chosen by Zipf's law and
//! scattered over the key space; D prefers the newest.

use super::clients::Work;
use super::contender::{Contender, Opening};
use super::driven::{self, measure_writes};
use super::figure::{Figure, Round};
use super::keys::{Choices, KeySpace, mix};
use super::recorder::Recorder;
use super::store::{Client, Found, Reader};
use super::workload::{Plan, loaded_sum, sum};
use super::zipf::Zipf;
use crate::args::{BenchOptions, YcsbArgs, YcsbWorkload};
use anyhow::{bail, ensure};
use indicatif::ProgressBar;
use rand::Rng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const SCAN_KEYS_MAX: usize = 100;

/// Keys that are inserted have numbers of their own in each round: keys that one round can insert.
const ROUND_BITS: u32 = 40;

pub(crate) struct Ycsb<'a> {
    workload: YcsbWorkload,
    args: &'a YcsbArgs,
    space: KeySpace,
    zipf: Zipf,
}

impl<'a> Ycsb<'a> {
    pub(crate) fn new(workload: YcsbWorkload, args: &'a YcsbArgs, options: &BenchOptions) -> Self {
        let space = KeySpace::new(options);
        let zipf = Zipf::new(space.keys, args.theta);
        Ycsb { workload, args, space, zipf }
    }

    /// Per cent of the operations that write.
    fn writes_percent(&self) -> u32 {
        match self.workload {
            YcsbWorkload::A | YcsbWorkload::F => 50,
            YcsbWorkload::B | YcsbWorkload::D | YcsbWorkload::E => 5,
            YcsbWorkload::C => 0,
        }
    }
}

/// What the clients of one round have written.
#[derive(Debug, Default)]
struct Progress {
    writes: AtomicU64,
    /// Keys that each thread has inserted, durably.
    inserted: Vec<AtomicU64>,
}

impl Plan for Ycsb<'_> {
    fn name(&self) -> &'static str {
        match self.workload {
            YcsbWorkload::A => "ycsb-a",
            YcsbWorkload::B => "ycsb-b",
            YcsbWorkload::C => "ycsb-c",
            YcsbWorkload::D => "ycsb-d",
            YcsbWorkload::E => "ycsb-e",
            YcsbWorkload::F => "ycsb-f",
        }
    }

    fn figures(&self) -> &'static [Figure] {
        driven::FIGURES
    }

    fn space(&self) -> &KeySpace {
        &self.space
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let (operations, checked) = match self.workload {
            YcsbWorkload::A => ("50 % reads, 50 % updates", "every value that is read is its key's own"),
            YcsbWorkload::B => ("95 % reads, 5 % updates", "every value that is read is its key's own"),
            YcsbWorkload::C => ("100 % reads", "every value that is read is its key's own"),
            YcsbWorkload::D => ("95 % reads of the latest, 5 % inserts", "every key that was inserted is found"),
            YcsbWorkload::E => {
                ("95 % scans of 1 to 100 keys, 5 % inserts", "every scan is in order and begins where it must")
            }
            YcsbWorkload::F => {
                ("50 % reads, 50 % read-modify-writes", "no addition is lost: the sum over all keys is exact")
            }
        };
        let clients = &self.args.clients;
        let mut settings = vec![
            ("operations", operations.to_owned()),
            ("choice", format!("Zipf, theta {}", self.args.theta)),
            ("checked", checked.to_owned()),
        ];
        settings.extend(clients.settings());
        settings.extend(clients.pace.due("operations"));
        settings
    }

    fn opening(&self) -> Opening {
        Opening { transactions: self.workload == YcsbWorkload::F, ..Opening::default() }
    }

    fn round(&self, number: u64, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<Round> {
        let store = contender.store()?;
        let clients = &self.args.clients;
        let progress =
            Progress { inserted: (0..clients.threads).map(|_| AtomicU64::new(0)).collect(), ..Progress::default() };
        // What earlier rounds have added is part of what this one begins with.
        let before = (self.workload == YcsbWorkload::F).then(|| sum(store)).transpose()?;
        let (driven, mut written) = measure_writes(
            store,
            clients.threads,
            &clients.pace,
            bar,
            |_| progress.writes.load(Ordering::Relaxed) as f64 * self.space.update_bytes() as f64,
            |thread| {
                Ok(Box::new(Serving {
                    ycsb: self,
                    round: number,
                    thread,
                    progress: &progress,
                    reader: store.reader()?,
                    client: store.client(clients.in_flight as usize)?,
                    choices: self.space.choices(number * clients.threads + thread),
                    submitted: 0,
                    last: Vec::new(),
                }))
            },
        )?;
        if let Some((keys, sum_before)) = before {
            let expected = (keys, sum_before.wrapping_add(progress.writes.load(Ordering::Relaxed)));
            let found = sum(store)?;
            ensure!(
                found == expected && keys == loaded_sum(&self.space).0,
                "additions were lost: {found:?}, not {expected:?}"
            );
            written.conflicts = Some(driven.recorder.conflicts as f64);
        }
        if self.workload == YcsbWorkload::C {
            written.committed_bytes = None;
        }
        Ok(driven::round("operation", driven, written))
    }
}

struct Serving<'a> {
    ycsb: &'a Ycsb<'a>,
    round: u64,
    thread: u64,
    progress: &'a Progress,
    reader: Box<dyn Reader + 'a>,
    client: Box<dyn Client + 'a>,
    choices: Choices<'a>,
    /// Keys that this thread has inserted, those under way counted.
    submitted: u64,
    last: Vec<u8>,
}

impl Serving<'_> {
    /// One of the loaded keys: the most wanted ones lie anywhere.
    fn number(&mut self) -> u64 {
        mix(self.ycsb.zipf.rank(self.choices.rng())) % self.ycsb.space.keys
    }

    /// The number of the key that `thread` inserts after `index` others.
    fn inserted_number(&self, thread: u64, index: u64) -> u64 {
        let lane = index * self.progress.inserted.len() as u64 + thread;
        ((self.round + 1) << ROUND_BITS) + lane
    }

    /// One of the newest keys, whichever thread has inserted them; else one of those that were loaded last.
    fn latest_number(&mut self) -> u64 {
        let rank = self.ycsb.zipf.rank(self.choices.rng());
        let threads = self.progress.inserted.len() as u64;
        let (thread, age) = (rank % threads, rank / threads);
        let inserted = self.progress.inserted[thread as usize].load(Ordering::Acquire);
        if age < inserted {
            self.inserted_number(thread, inserted - 1 - age)
        } else {
            self.ycsb.space.keys - 1 - rank.min(self.ycsb.space.keys - 1)
        }
    }

    fn write(&mut self, due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let value_bytes = self.ycsb.space.value_bytes();
        match self.ycsb.workload {
            YcsbWorkload::A | YcsbWorkload::B => {
                let number = self.number();
                let (key, value) = self.choices.entry(number, number, value_bytes);
                self.client.put(key, value, due, recorder)?;
            }
            YcsbWorkload::C => bail!("workload C does not write"),
            YcsbWorkload::D | YcsbWorkload::E => {
                let number = self.inserted_number(self.thread, self.submitted);
                let (key, value) = self.choices.entry(number, number, value_bytes);
                self.client.put(key, value, due, recorder)?;
                self.submitted += 1;
                let done = self.submitted - self.client.under_way() as u64;
                self.progress.inserted[self.thread as usize].store(done, Ordering::Release);
            }
            YcsbWorkload::F => {
                let number = self.number();
                self.client.add(&[self.choices.key(number)], &[1], due, recorder)?;
            }
        }
        self.progress.writes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let latest = self.ycsb.workload == YcsbWorkload::D;
        let number = if latest { self.latest_number() } else { self.number() };
        self.reader.refresh()?;
        let found = self.reader.get(self.choices.key(number))?;
        let value_bytes = self.ycsb.space.value_bytes();
        let right = if self.ycsb.workload == YcsbWorkload::F {
            found.is_some_and(|found| found.value_bytes == value_bytes)
        } else {
            found == Some(Found { value_bytes, stamp: number })
        };
        ensure!(right, "a read of key number {number} gave {found:?}");
        Ok(())
    }

    fn scan(&mut self) -> anyhow::Result<()> {
        let length = self.choices.rng().random_range(1..=SCAN_KEYS_MAX);
        let number = self.number();
        self.reader.refresh()?;
        let from = self.choices.key(number);
        let (mut seen, mut in_order, last) = (0, true, &mut self.last);
        self.reader.scan(from, length, &mut |key, value| {
            in_order &= if seen == 0 { key == from } else { key > last.as_slice() };
            std::hint::black_box(value);
            last.clear();
            last.extend_from_slice(key);
            seen += 1;
        })?;
        ensure!((1..=length).contains(&seen) && in_order, "a scan of {length} keys gave {seen}, in order: {in_order}");
        Ok(())
    }
}

impl Work for Serving<'_> {
    fn step(&mut self, due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        if self.choices.rng().random_range(0..100) < self.ycsb.writes_percent() {
            return self.write(due, recorder);
        }
        if self.ycsb.workload == YcsbWorkload::E {
            self.scan()?;
        } else {
            self.read()?;
        }
        recorder.done(due, 0);
        Ok(())
    }

    fn idle(&mut self, until: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.client.idle(until, recorder)
    }

    fn finish(&mut self, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.client.finish(recorder)
    }
}
