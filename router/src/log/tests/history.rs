//! Random histories of a log: groups, syncs, releases, closings, kills, power cuts, and calls that fail, against a list.

use super::super::sim_disk::Fault;
use super::*;
use crate::{Error, ErrorKind};
use rand::SeedableRng;

/// A log, and what a test knows of it.
struct History {
    seed: u64,
    rng: SmallRng,
    disk: SimDisk,
    log: Option<Log>,
    /// What was appended since the last opening found out what is there, and before it what was there.
    records: Vec<Record>,
    /// How many of the records are durable.
    synced: usize,
    /// How many of the records must be there unless the power is cut: the rest are a group of which nobody knows.
    whole: usize,
    /// What the shards hold on their disks.
    from: Version,
    next_version: Version,
    last_given: Version,
    /// Whether the log was closed and not written to since.
    clean: bool,
}

/// How a history goes on after the log was let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Closed,
    Killed,
    PowerCut,
}

impl History {
    fn new(seed: u64) -> Result<Self> {
        let disk = SimDisk::new(seed);
        let log = Some(create(&disk)?);
        let rng = SmallRng::seed_from_u64(seed);
        let records = Vec::new();
        Ok(History {
            seed,
            rng,
            disk,
            log,
            records,
            synced: 0,
            whole: 0,
            from: 0,
            next_version: 1,
            last_given: 0,
            clean: false,
        })
    }

    fn step(&mut self) -> Result<()> {
        match self.rng.random_range(0..100) {
            0..50 => self.append(),
            50..75 => self.sync(),
            75..85 => self.release(),
            85..90 => self.end(Ending::Closed),
            90..94 => self.end(Ending::Killed),
            94..98 => self.end(Ending::PowerCut),
            _ => self.tell(),
        }
    }

    fn append(&mut self) -> Result<()> {
        let count = self.rng.random_range(1..6);
        let group: Vec<Record> = (0..count).map(|at| Record::random(self.next_version + at, &mut self.rng)).collect();
        self.next_version += count;
        let last = self.next_version - 1;
        let Some(log) = &mut self.log else { return Ok(()) };
        self.clean = false;
        match append(log, &group) {
            Ok(()) => {
                assert_eq!(log.written(), last);
                self.last_given = last;
                self.records.extend(group);
                self.whole = self.records.len();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Poisoned => {
                self.records.extend(group);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Versions are told that never come to the log, as many as it has reserved.
    fn tell(&mut self) -> Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        self.clean &= self.next_version <= log.reserved_through();
        let reserved = log.reserve(self.next_version)?;
        assert!(reserved >= self.next_version, "seed {}: nothing is reserved", self.seed);
        let wanted = if self.rng.random_bool(0.1) { u64::MAX } else { self.rng.random_range(0..1000) };
        self.last_given = reserved.min(self.next_version.saturating_add(wanted));
        self.next_version = self.last_given + 1;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        log.sync()?;
        assert_eq!(log.synced(), log.written());
        self.synced = self.records.len();
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let synced = self.records[..self.synced].last().map_or(self.from, |record| record.version);
        self.from = self.rng.random_range(self.from..=synced.max(self.from));
        log.release(self.from)
    }

    fn end(&mut self, ending: Ending) -> Result<()> {
        let Some(mut log) = self.log.take() else { return Ok(()) };
        if ending == Ending::Closed {
            log.close(self.next_version)?;
            self.synced = self.records.len();
            self.clean = true;
        }
        self.reopen(ending)
    }

    fn reopen(&mut self, ending: Ending) -> Result<()> {
        if ending == Ending::PowerCut {
            self.disk.cut_power();
        }
        let (log, recovered, read) = open(&self.disk, Recover::Strict, self.from)?;
        let History { seed, from, .. } = *self;
        let above =
            |records: &[Record]| records.iter().filter(|record| record.version > from).cloned().collect::<Vec<_>>();
        let must = match ending {
            Ending::Closed | Ending::Killed => above(&self.records[..self.whole]).len(),
            Ending::PowerCut => above(&self.records[..self.synced]).len(),
        };
        let may = above(&self.records);
        assert!(read.len() >= must, "seed {seed}: {} of {must} records are back after {ending:?}", read.len());
        assert!(read.len() <= may.len() && read == may[..read.len()], "seed {seed}: other records than were appended");
        assert_eq!(recovered.clean, self.clean, "seed {seed}");
        assert_eq!(recovered.last_version, read.last().map_or(from, |record| record.version).max(from), "seed {seed}");
        assert!(recovered.next_version > self.last_given, "seed {seed}: a version comes twice");
        if ending == Ending::Closed {
            assert_eq!(recovered.next_version, self.next_version, "seed {seed}");
        }
        // What was served once must stay.
        self.records = read;
        (self.synced, self.whole) = (self.records.len(), self.records.len());
        self.next_version = self.next_version.max(recovered.next_version);
        self.log = Some(log);
        Ok(())
    }
}

#[test]
fn after_any_history_all_synced_records_are_back_and_no_others() -> Result<()> {
    for seed in 0..1500 {
        let mut history = History::new(seed)?;
        for _ in 0..60 {
            history.step().inspect_err(|error| eprintln!("seed {seed}: {error}"))?;
        }
        history.end(Ending::PowerCut)?;
        history.end(Ending::PowerCut)?;
    }
    Ok(())
}

/// A call fails somewhere, in any operation; then the store is opened again, which may fail once, too.
#[test]
fn after_any_failing_call_the_same_holds() -> Result<()> {
    for seed in 0..3000 {
        let mut history = History::new(seed)?;
        for _ in 0..4 {
            let calls = history.rng.random_range(0..40);
            history.disk.fail_after(calls, Fault::Io);
            let failed = (0..60).find_map(|_| history.step().err());
            history.disk.heal();
            let Some(error) = failed else { continue };
            assert!(matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Io), "seed {seed}: {error}");
            if let Some(log) = &mut history.log
                && matches!(error, Error::Poisoned { .. })
            {
                assert_eq!(log.sync().map_err(|error| error.kind()), Err(ErrorKind::Poisoned));
                assert!(log.append(&[Record::commit(u64::MAX, "x").frame()]).is_err(), "seed {seed}: written on");
            }
            history.log = None;
            history.reopen_unsure()?;
        }
        history.end(Ending::PowerCut)?;
    }
    Ok(())
}

impl History {
    /// Opens after a failure, of which only the durable records are sure to have survived: a system may forget what
    /// it could not write.
    fn reopen_unsure(&mut self) -> Result<()> {
        let calls = self.rng.random_range(0..20);
        self.disk.fail_after(calls, Fault::Io);
        let seed = self.seed;
        if self.rng.random_bool(0.5) {
            self.disk.cut_power();
        }
        self.whole = self.synced;
        let first = open(&self.disk, Recover::Strict, self.from);
        if let Err(error) = &first {
            assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned), "seed {seed}: {error}");
        }
        drop(first);
        self.disk.heal();
        let (_, recovered, _) = open(&self.disk, Recover::Strict, self.from)?;
        // The failure may have come after the closing record.
        self.clean = recovered.clean;
        self.reopen(Ending::PowerCut)
    }
}

/// The disk is full for a while: the groups that fail are nowhere, the others are all there.
#[test]
fn a_full_disk_leaves_nothing_of_the_group_and_the_log_goes_on() -> Result<()> {
    let mut failures = 0;
    for seed in 0..3000 {
        let mut history = History::new(seed)?;
        for _ in 0..50 {
            let calls = history.rng.random_range(0..4);
            let records = history.records.len();
            history.disk.fail_after(calls, Fault::NoSpace);
            let appended = history.append();
            history.disk.heal();
            match appended {
                Ok(()) => {}
                Err(Error::NoSpace { .. }) => {
                    failures += 1;
                    assert_eq!(history.records.len(), records);
                }
                // A full disk that shows only at the sync of an older segment, or of a name.
                Err(Error::Poisoned { .. }) => break,
                Err(error) => return Err(error),
            }
            if history.rng.random_bool(0.3) {
                history.sync()?;
            }
            if history.rng.random_bool(0.05) {
                history.end(Ending::Killed)?;
            }
        }
        if history.log.as_mut().is_some_and(|log| log.sync().is_err()) {
            history.whole = history.synced;
        }
        history.end(Ending::PowerCut)?;
    }
    assert!(failures > 1000, "the disk was full {failures} times only");
    Ok(())
}

/// What cannot be reserved is not: what was reserved before stays what may be told.
#[test]
fn a_full_disk_reserves_nothing() -> Result<()> {
    for calls in 0..6 {
        let disk = SimDisk::new(calls);
        let mut log = create(&disk)?;
        let reserved = log.reserve(1)?;
        assert_eq!(log.reserve(reserved)?, reserved, "more is reserved than is needed");
        disk.fail_after(calls, Fault::NoSpace);
        let more = log.reserve(reserved + 1);
        disk.heal();
        let told = match more {
            Ok(more) => more,
            Err(_) => log.reserved_through(),
        };
        assert!(more.is_err() || told > reserved, "after {calls} calls");
        assert!(more.is_ok() || told == reserved, "after {calls} calls");
        drop(log);
        disk.cut_power();
        let (mut log, recovered, _) = open(&disk, Recover::Strict, 0)?;
        assert!(recovered.next_version > told, "after {calls} calls: a version comes twice");
        assert!(log.reserve(recovered.next_version)? >= recovered.next_version);
    }
    Ok(())
}

/// A group fails on a full disk, and a shorter one is written where it stood: what the first one left behind the second
/// would continue it.
#[test]
fn the_remains_of_a_group_do_not_follow_the_next_one() -> Result<()> {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let mut log = create(&disk)?;
        append(&mut log, &[Record::commit(1, "before")])?;
        let group = [Record::commit(2, "lost"), Record::commit(3, "lost, too")];
        disk.fail_after(0, Fault::NoSpace);
        assert!(matches!(append(&mut log, &group), Err(Error::NoSpace { .. })), "seed {seed}");
        let (_, _, read) = open(&disk.fork(seed), Recover::Strict, 0)?;
        assert_eq!(read.len(), 1, "seed {seed}: something of the group remains");
        append(&mut log, &[Record::commit(2, "here")])?;
        let (_, _, read) = open(&disk, Recover::Strict, 0)?;
        assert_eq!(read, [Record::commit(1, "before"), Record::commit(2, "here")], "seed {seed}");
    }
    Ok(())
}

/// Giving segments up is cut short by a failing call; what was given up before is written to as another segment, and the power goes.
#[test]
fn a_segment_given_up_before_a_failure_has_lost_its_old_name() -> Result<()> {
    for (seed, failing) in (0..600).flat_map(|seed| (0..6).map(move |failing| (seed, failing))) {
        let disk = SimDisk::new(seed);
        let mut log = create(&disk)?;
        let records: Vec<_> = (1..=60).map(|version| Record::commit(version, vec![7; 600])).collect();
        records[..40].iter().try_for_each(|record| append(&mut log, std::slice::from_ref(record)))?;
        log.sync()?;
        disk.fail_after(1, Fault::NoSpace);
        assert!(log.release(39).is_err(), "three segments and more are given up");
        disk.heal();
        disk.fail_after(failing, Fault::Io);
        let mut synced = 40;
        for record in &records[40..] {
            if append(&mut log, std::slice::from_ref(record)).and_then(|()| log.sync()).is_err() {
                break;
            }
            synced = record.version;
        }
        drop(log);
        disk.cut_power();
        let (_, _, read) = open(&disk, Recover::Strict, 39)?;
        let read: Vec<_> = read.iter().map(|record| record.version).filter(|version| *version > 39).collect();
        assert!((40..=synced).all(|version| read.contains(&version)), "seed {seed}, call {failing}: {read:?}");
    }
    Ok(())
}
