//! Replays files of test chains, several cases at a time.

use crate::case::{self, Case, CaseError, Cases};
use crate::files;
use crate::report::{Failure, FileReport, Report, Totals};
use crate::run::{Outcome, StoreOptions, run_case};
use crate::stores::Stores;
use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

/// How to replay.
#[derive(Clone, Debug)]
pub struct Options {
    /// Shards of each store. Every case has a store of its own.
    pub shards: usize,
    /// Where the stores are made, and left for inspection: `DIR/FILE/CASE`. It has to be new or empty. Without one they
    /// are made in memory (`/dev/shm`), or among the temporary files if `TMPDIR` is set or memory is short, and removed.
    pub dir: Option<PathBuf>,
    /// Stores are flushed after so many blocks, over and over. Without it they are flushed when they are opened again.
    pub flush_every: Option<NonZero<usize>>,
    /// Slots move from shard to shard, and shards come and go, while the chains are executed and examined.
    pub rebalance: bool,
    /// Cases at a time.
    pub threads: NonZero<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shards: 8,
            flush_every: None,
            rebalance: false,
            dir: None,
            threads: std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
        }
    }
}

/// How far a replay is. Told after each case.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file of the case.
    pub path: &'a Path,
    /// The case.
    pub case: &'a str,
    /// Cases done.
    pub cases_done: usize,
    /// Cases in all.
    pub cases_total: usize,
    /// Figures up to now.
    pub totals: Totals,
}

/// Why nothing was replayed, or not to the end. A chain that fails is not an error: the report says so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// There is no file at these paths.
    #[error("there are no test chains at the given paths: no file ends in .json")]
    NoChains,
    /// No directory could be made for a store.
    #[error("no directory for a store: {0}")]
    Directory(#[source] io::Error),
}

/// Replays every chain of the files at `paths`; of directories, every `.json` under them.
pub fn run(paths: &[PathBuf], options: &Options, on_progress: &mut dyn FnMut(Progress<'_>)) -> Result<Report, Error> {
    let started = Instant::now();
    let files = files::find(paths).map_err(|(path, cause)| Error::Path { path, cause })?;
    if files.is_empty() {
        return Err(Error::NoChains);
    }
    let stores = Stores::new(options.dir.as_deref()).map_err(Error::Directory)?;
    let read = files.iter().map(|path| case::read(path)).collect::<Vec<_>>();
    let jobs = jobs(&files, &read);
    let mut report = Report { shards: options.shards, files: unread(&files, &read), ..Report::default() };
    play(&jobs, options, &stores, &mut |job, outcome, done| {
        add(&mut report.files[job.file], job, outcome);
        report.add_up();
        let (cases_done, cases_total) = (done, jobs.len());
        on_progress(Progress { path: job.path, case: job.name, cases_done, cases_total, totals: report.totals });
    })?;
    report.add_up();
    // Cases end in any order.
    report.files.iter_mut().for_each(|file| file.failures.sort_by(|a, b| a.case.cmp(&b.case)));
    report.elapsed_ms = started.elapsed().as_millis() as u64;
    Ok(report)
}

/// A case to be run, and where it comes from.
struct Job<'a> {
    file: usize,
    path: &'a Path,
    name: &'a str,
    case: &'a Case,
}

fn jobs<'a>(files: &'a [PathBuf], read: &'a [Result<Cases, CaseError>]) -> Vec<Job<'a>> {
    let cases = files.iter().zip(read).enumerate();
    cases
        .flat_map(|(file, (path, cases))| {
            cases.iter().flatten().map(move |(name, case)| Job { file, path, name, case })
        })
        .collect()
}

/// A report of every file, empty but for those that were not read.
fn unread(files: &[PathBuf], read: &[Result<Cases, CaseError>]) -> Vec<FileReport> {
    let failures = |error: &CaseError| Failure {
        case: None,
        block: None,
        check: "file".to_owned(),
        expected: "test chains".to_owned(),
        got: error.to_string(),
    };
    let report = |(path, cases): (&PathBuf, &Result<Cases, CaseError>)| FileReport {
        path: path.clone(),
        failures: cases.as_ref().err().map(failures).into_iter().collect(),
        ..FileReport::default()
    };
    files.iter().zip(read).map(report).collect()
}

fn add(file: &mut FileReport, job: &Job<'_>, outcome: Outcome) {
    file.counts += outcome.counts;
    let named = outcome.failures.into_iter().map(|failure| Failure { case: Some(job.name.to_owned()), ..failure });
    file.failures.extend(named);
}

/// Runs the jobs on several threads. `on_done` runs on the caller's.
fn play(
    jobs: &[Job<'_>],
    options: &Options,
    stores: &Stores,
    on_done: &mut dyn FnMut(&Job<'_>, Outcome, usize),
) -> Result<(), Error> {
    let store = StoreOptions { shards: options.shards, flush_every: options.flush_every, rebalance: options.rebalance };
    let next = AtomicUsize::new(0);
    let (sender, outcomes) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..options.threads.get().min(jobs.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = stores.make(job.path, job.name).map(|dir| run_case(job.case, store, dir.path()));
                    // Nobody listens once a directory could not be made: the replay is over.
                    if sender.send((job, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (done, (job, outcome)) in outcomes.into_iter().enumerate() {
            on_done(job, outcome.map_err(Error::Directory)?, done + 1);
        }
        Ok(())
    })
}
