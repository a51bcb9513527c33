//! Makes and opens a log.

use super::disk::{Disk, RealDisk};
use super::files::{list_files, may_hold_records};
use super::recovery::{Recovery, recover};
use super::writer::{LogEnd, Sealed, Spare};
use super::{Cut, Frame, Held, Log, LogOptions, LogStats, Recover, Recovered};
use crate::histogram::{Histogram, LATENCY_MICROS};
use crate::layout::LogFile;
use crate::{Error, Result};
use shingle_shard::Version;
use std::collections::VecDeque;
use std::sync::Arc;

impl Log {
    /// Makes the empty log of a store whose newest version is `base`: 0 for a new store.
    pub(crate) fn create(options: LogOptions, base: Version) -> Result<Log> {
        Log::create_on(Arc::new(RealDisk), options, base)
    }

    /// Reads the log without changing anything, and says what is wrong with it. Hands every commit and rollback above `held.by_all` to `visit`.
    pub(crate) fn check(
        options: &LogOptions,
        held: Held,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<()> {
        recover(&RealDisk, options, Recover::Strict, held, visit).map(drop)
    }

    /// Opens the log and hands every commit and rollback above `held.by_all` to `visit`, in order.
    ///
    /// Nothing is written before the first append or reservation, unless damage is cut off. The visitor may have been called for a
    /// part of the log when an error is returned.
    pub(crate) fn open(
        options: LogOptions,
        recover: Recover,
        held: Held,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<(Log, Recovered)> {
        Log::open_on(Arc::new(RealDisk), options, recover, held, visit)
    }

    pub(super) fn create_on(disk: Arc<dyn Disk>, options: LogOptions, base: Version) -> Result<Log> {
        disk.create_dir(&options.dir).map_err(|error| Error::io("create", &options.dir, error))?;
        let files = list_files(disk.as_ref(), &options.dir)?;
        for &number in files.segments.keys() {
            // A segment without a record is what an interrupted creation leaves.
            let path = options.dir.join(LogFile::Segment(number).name());
            if may_hold_records(disk.as_ref(), &path)? {
                return Err(Error::Occupied { path: options.dir, what: "it holds a commit log".to_owned() });
            }
            disk.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
        }
        let end = LogEnd { previous: 0, position: 0, closed_with: None, spare: None };
        let mut log = Log {
            disk,
            sealed: VecDeque::new(),
            active: None,
            end,
            next_number: files.last_number() + 1,
            free: files.free,
            written: base,
            synced: base,
            next_version: base + 1,
            synced_to: 0,
            failed: None,
            scratch: Vec::new(),
            counts: LogStats::default(),
            sync_micros: Histogram::new(LATENCY_MICROS),
            options,
        };
        log.remove_useless_free()?;
        log.begin_segment(0, base)?;
        Ok(log)
    }

    pub(super) fn open_on(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        mode: Recover,
        held: Held,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<()>,
    ) -> Result<(Log, Recovered)> {
        let recovery = recover(disk.as_ref(), &options, mode, held, visit)?;
        let recovered = recovery.report(&options);
        let mut log = Log::after(disk, options, &recovery);
        if recovery.damage.is_some() {
            // 1. The segment that says where the log goes on is durable before 2. what was given up is removed, so that
            // a crash in between leaves one log or the other.
            log.begin_segment(0, recovery.last_version)?;
        }
        log.remove_dead(&recovery)?;
        log.remove_useless_free()?;
        Ok((log, recovered))
    }

    fn after(disk: Arc<dyn Disk>, options: LogOptions, recovery: &Recovery) -> Log {
        let segments = &recovery.files.segments;
        let (previous, position) = recovery.end;
        let last_path = options.dir.join(LogFile::Segment(previous).name());
        // Damage is left where it is until the segment is released: somebody may want to look at it.
        let spare = (previous != 0 && recovery.damage.is_none())
            .then_some(Spare { path: last_path, keep_bytes: recovery.end_offset });
        // Before the first segment that was read stand those that were due to be released. Within the log, no segment
        // has newer versions than the base of the next.
        let first_read = recovery.chain.first().copied();
        let base_version = |number: &u64| segments[number].header.as_ref().map_or(0, |header| header.base_version);
        let due = segments.range(..first_read.unwrap_or(0)).map(|(&number, file)| {
            let last_version = first_read.map_or(0, |first| base_version(&first));
            Sealed { number, bytes: file.bytes, last_version }
        });
        let read = recovery.chain.iter().enumerate().map(|(at, number)| {
            let last_version = recovery.chain.get(at + 1).map_or(recovery.last_version, base_version);
            Sealed { number: *number, bytes: segments[number].bytes, last_version }
        });
        Log {
            sealed: due.chain(read).collect(),
            active: None,
            end: LogEnd { previous, position, closed_with: recovery.clean.then_some(recovery.next_version), spare },
            free: recovery.files.free.clone(),
            next_number: recovery.files.last_number() + 1,
            written: recovery.last_version,
            synced: recovery.last_version,
            next_version: recovery.next_version,
            synced_to: position,
            failed: None,
            scratch: Vec::new(),
            counts: LogStats::default(),
            sync_micros: Histogram::new(LATENCY_MICROS),
            disk,
            options,
        }
    }

    /// Removes the segments that are newer than where the log was cut off, and those that an interrupted opening left.
    fn remove_dead(&mut self, recovery: &Recovery) -> Result<()> {
        let first_read = recovery.chain.first().copied().unwrap_or(u64::MAX);
        let alive = |number: &u64| recovery.chain.contains(number) || *number < first_read && first_read != u64::MAX;
        let dead: Vec<u64> = recovery.files.segments.keys().copied().filter(|number| !alive(number)).collect();
        for &number in &dead {
            self.remove(LogFile::Segment(number))?;
        }
        if dead.is_empty() { Ok(()) } else { self.sync_dir() }
    }

    /// Removes files that no segment can be made of: those of another size, and those beyond what may be kept.
    fn remove_useless_free(&mut self) -> Result<()> {
        let fits = |(&number, &bytes): (&u64, &u64)| (bytes == self.options.segment_bytes).then_some(number);
        let kept: Vec<u64> = self.free.iter().filter_map(fits).take(self.options.recycled_max).collect();
        let useless: Vec<u64> = self.free.keys().copied().filter(|number| !kept.contains(number)).collect();
        for number in useless {
            self.remove(LogFile::Free(number))?;
            self.free.remove(&number);
        }
        Ok(())
    }
}

impl Recovery {
    fn report(&self, options: &LogOptions) -> Recovered {
        let cut = match &self.damage {
            Some(damage) => {
                Some(Cut { segment: damage.segment.clone(), offset: damage.offset, damage: Some(damage.what.clone()) })
            }
            None if self.torn => {
                let segment = options.dir.join(LogFile::Segment(self.end.0).name());
                Some(Cut { segment, offset: self.end_offset, damage: None })
            }
            None => None,
        };
        Recovered { last_version: self.last_version, next_version: self.next_version, clean: self.clean, cut }
    }
}
