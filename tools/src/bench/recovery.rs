//! `shingle bench recovery`: the time to open a store whose process was killed while its log was long.
//!
//! A child process loads the store, commits that much more, none of it flushed, says so, and is killed with SIGKILL. This process then
//! opens what it has left, and finds every key as it was committed last.

use super::contender::{Contender, Opening};
use super::figure::{Figure, Round, Unit};
use super::keys::{Choices, KeySpace};
use super::measure::Meter;
use super::store::{Found, Store};
use super::workload::{Plan, load, loaded_height};
use crate::args::{Asked, BenchOptions, RecoveryArgs};
use crate::units;
use anyhow::{Context, bail, ensure};
use indicatif::ProgressBar;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Instant;

/// What the child says once everything is committed.
const COMMITTED: &str = "committed";

const GIB: f64 = (1_u64 << 30) as f64;

pub(crate) struct Recovery<'a> {
    args: &'a RecoveryArgs,
    space: KeySpace,
}

impl<'a> Recovery<'a> {
    pub(crate) fn new(args: &'a RecoveryArgs, options: &BenchOptions) -> Self {
        Recovery { args, space: KeySpace::new(options) }
    }

    fn blocks(&self) -> u64 {
        self.args.log.div_ceil(self.args.updates * self.space.update_bytes())
    }

    /// Bytes of keys and values that are in the log alone.
    fn committed_bytes(&self) -> u64 {
        self.blocks() * self.args.updates * self.space.update_bytes()
    }

    /// The key number and stamp of the next update.
    fn next_update(&self, choices: &mut Choices<'_>, height: u64) -> (u64, u64) {
        (choices.number(), height)
    }

    fn commit_all(&self, round: u64, store: &dyn Store) -> anyhow::Result<()> {
        let mut choices = self.space.choices(round);
        let loaded = loaded_height(&self.space);
        for height in loaded + 1..=loaded + self.blocks() {
            store.commit_block(height, &mut |writes| {
                for _ in 0..self.args.updates {
                    let (number, stamp) = self.next_update(&mut choices, height);
                    let (key, value) = choices.entry(number, stamp, self.space.value_bytes());
                    writes.put(key, value);
                }
            })?;
        }
        Ok(())
    }

    /// What every key's value must begin with after [`Recovery::commit_all`].
    fn expected_stamps(&self, round: u64) -> Vec<u64> {
        let mut stamps: Vec<u64> = (0..self.space.keys).collect();
        let mut choices = self.space.choices(round);
        let loaded = loaded_height(&self.space);
        for height in loaded + 1..=loaded + self.blocks() {
            for _ in 0..self.args.updates {
                let (number, stamp) = self.next_update(&mut choices, height);
                choices.entry(number, stamp, self.space.value_bytes());
                stamps[number as usize] = stamp;
            }
        }
        stamps
    }

    fn check(&self, round: u64, store: &dyn Store) -> anyhow::Result<()> {
        let mut reader = store.reader()?;
        let mut choices = self.space.choices(0);
        for (number, stamp) in (0..).zip(self.expected_stamps(round)) {
            let expected = Some(Found { value_bytes: self.space.value_bytes(), stamp });
            let found = reader.get(choices.key(number))?;
            ensure!(found == expected, "after the kill, key number {number} is {found:?} instead of {expected:?}");
        }
        Ok(())
    }
}

/// The child's part: `ROUND:PLACE:DIR` says which store it is, and where.
pub(super) fn run_child(args: &Asked<RecoveryArgs>, child: &str) -> anyhow::Result<()> {
    let recovery = Recovery::new(&args.own, &args.options);
    let mut parts = child.splitn(3, ':');
    let (Some(round), Some(place), Some(dir)) = (parts.next(), parts.next(), parts.next()) else {
        bail!("the benchmark's child was called with {child:?}");
    };
    let (round, place): (u64, usize) = (round.parse()?, place.parse()?);
    // Ends with the parent, if the parent ends before it kills.
    std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(1)
    });
    let mut contenders = Contender::all(&args.options, recovery.opening(), Path::new(dir));
    let store = contenders.get_mut(place).context("there is no such store")?.store()?;
    load(&recovery.space, store, &ProgressBar::hidden())?;
    recovery.commit_all(round, store)?;
    let mut stdout = std::io::stdout();
    stdout.write_all(COMMITTED.as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()?;
    loop {
        std::thread::park();
    }
}

/// The process that loads a store, while it does.
static CHILD: Mutex<Option<Killed>> = Mutex::new(None);

fn child() -> MutexGuard<'static, Option<Killed>> {
    CHILD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process that loads a store, for good: no other one is begun.
pub(super) fn end_child() {
    static ENDED: Once = Once::new();
    ENDED.call_once(|| {
        let mut child = child();
        *child = None;
        std::mem::forget(child);
    });
}

/// A process that does not outlive its owner.
struct Killed(Child);

impl Killed {
    fn kill(&mut self) -> std::io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

const FIGURES: &[Figure] = &[
    Figure::cost("open_s_per_gib", "open, per GiB committed since the last flush", Unit::Seconds),
    Figure::cost("open_s", "open", Unit::Seconds),
    Figure::cost("committed_bytes", "committed since the last flush", Unit::Bytes),
    Figure::cost("cpu_s", "processor time of the open", Unit::Seconds),
    Figure::cost("written_bytes", "bytes written by the open", Unit::Bytes),
];

impl Plan for Recovery<'_> {
    fn name(&self) -> &'static str {
        "recovery"
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn space(&self) -> &KeySpace {
        &self.space
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("committed, not flushed", units::bytes(self.committed_bytes())),
            ("updates per block", units::count(self.args.updates)),
            ("memtables of each store", "as large as it takes to flush nothing".to_owned()),
            ("killed", "with SIGKILL, after the last block was committed".to_owned()),
            ("page cache", "holds the log, as after the crash of a process".to_owned()),
            ("checked", "every key is as it was committed last".to_owned()),
        ]
    }

    fn opening(&self) -> Opening {
        Opening { long_log_bytes: Some(self.args.log), ..Opening::default() }
    }

    fn prepare(&self, _contender: &mut Contender, _bar: &ProgressBar) -> anyhow::Result<()> {
        Ok(())
    }

    fn round(&self, number: u64, contender: &mut Contender, bar: &ProgressBar) -> anyhow::Result<Round> {
        contender.remove()?;
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        let parent_dir = contender.dir().parent().context("a store lies in the benchmark's directory")?;
        let mut child_arg = OsString::from(format!("--child={number}:{}:", contender.place()));
        child_arg.push(parent_dir);
        let stdout = {
            let mut child = child();
            let mut begun = Command::new(std::env::current_exe()?)
                .args(std::env::args_os().skip(1))
                .arg(child_arg)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .context("cannot start the process that is to be killed")?;
            let stdout = begun.stdout.take();
            *child = Some(Killed(begun));
            stdout
        };
        let mut said = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut said)?;
        }
        let loaded = child().take();
        ensure!(said.trim_end() == COMMITTED, "the process that was to be killed ended before");
        if let Some(mut loaded) = loaded {
            loaded.kill()?;
        }

        let meter = Meter::begin();
        let begun = Instant::now();
        let store = contender.store()?;
        let opened = begun.elapsed();
        let usage = meter.end();
        self.check(number, store)?;
        let committed = self.committed_bytes() as f64;
        let values = vec![
            Some(opened.as_secs_f64() / (committed / GIB)),
            Some(opened.as_secs_f64()),
            Some(committed),
            usage.cpu.map(|cpu| cpu.as_secs_f64()),
            usage.written_bytes.map(|bytes| bytes as f64),
        ];
        Ok(Round { values, traces: Vec::new() })
    }
}
