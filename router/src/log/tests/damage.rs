//! A byte of the log changes, or a file of it is gone.

use super::*;
use crate::Error;
use crate::layout::LogFile;
use rand::SeedableRng;
use std::path::Path;

/// A log of several segments. All records but the last were durable when the last was written, so that it proves them.
struct Written {
    disk: SimDisk,
    records: Vec<Record>,
    last_given: Version,
}

fn write(seed: u64) -> Result<Written> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let disk = SimDisk::new(seed);
    let mut log = create(&disk)?;
    let mut records = Vec::new();
    let mut version = 1;
    let mut released = 0;
    for _ in 0..rng.random_range(3..25) {
        let count = rng.random_range(1..5);
        let group: Vec<Record> = (0..count).map(|at| Record::random(version + at, &mut rng)).collect();
        version += count;
        append(&mut log, &group)?;
        records.extend(group);
        if rng.random_bool(0.5) {
            log.sync()?;
        }
        if rng.random_bool(0.1) {
            // So that some segments stand on files with old records in them.
            log.sync()?;
            log.release(version - 1)?;
            released = version - 1;
        }
        if rng.random_bool(0.1) {
            drop(log);
            let (opened, recovered, _) = open(&disk, Recover::Strict, released)?;
            log = opened;
            version = recovered.next_version;
        }
    }
    log.sync()?;
    let last = Record::commit(version, "the last one");
    append(&mut log, std::slice::from_ref(&last))?;
    records.push(last);
    records.retain(|record| record.version > released);
    Ok(Written { disk, records, last_given: version })
}

impl Written {
    fn from(&self) -> Version {
        self.records.first().map_or(0, |first| first.version - 1)
    }

    /// Opens the log after it was changed, by the strict rule and then at the last good version.
    fn check(&self, disk: &SimDisk, path: &Path, what: &str) -> Result<Outcome> {
        let (from, all) = (self.from(), self.records.len());
        let (segment, offset, last_good) = match open(disk, Recover::Strict, from) {
            Ok((_, _, read)) => {
                assert!(
                    read == self.records || read == self.records[..all - 1],
                    "{what}: {} of {all} silently",
                    read.len()
                );
                return Ok(if read.len() == all { Outcome::NoEffect } else { Outcome::LastLost });
            }
            Err(Error::LogDamaged { segment, offset, last_good, .. }) => (segment, offset, last_good),
            Err(error) => return Err(error),
        };
        assert_eq!(segment, path, "{what}: another segment is named");
        let mut before = None;
        for round in 0..2 {
            let (log, recovered, read) = open(disk, Recover::ToLastGood, from)?;
            assert_eq!(read.last().map_or(from, |record| record.version), last_good, "{what}, round {round}");
            assert_eq!(read, self.records[..read.len()], "{what}, round {round}");
            assert!(recovered.next_version > self.last_given, "{what}: a version comes twice");
            assert_eq!(recovered.cut.is_some_and(|cut| cut.damage.is_some()), round == 0, "{what}, round {round}");
            drop(log);
            let paths = disk.paths();
            assert!(before.is_none_or(|before| before == paths), "{what}: doing it again changes something");
            before = Some(paths);
            disk.cut_power();
        }
        let (mut log, recovered, mut read) = open(disk, Recover::Strict, from)?;
        let next = Record::commit(recovered.next_version, "and on it goes");
        append(&mut log, std::slice::from_ref(&next))?;
        log.close(0)?;
        read.push(next);
        assert_eq!(open(disk, Recover::Strict, from)?.2, read, "{what}");
        Ok(Outcome::Damaged { offset })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    NoEffect,
    /// The last record, of which nothing proves that it was durable.
    LastLost,
    Damaged {
        offset: u64,
    },
}

#[test]
fn a_flipped_bit_is_damage_or_has_no_effect() -> Result<()> {
    let (mut damaged, mut none) = (0, 0);
    for seed in 0..150 {
        let written = write(seed)?;
        let mut rng = SmallRng::seed_from_u64(seed);
        for path in written.disk.paths() {
            let bytes = written.disk.read(&path).len();
            for _ in 0..12 {
                // Half of them where the headers are.
                let at = if rng.random_bool(0.2) { rng.random_range(0..100) } else { rng.random_range(0..bytes) };
                let disk = written.disk.fork(seed);
                let bit = rng.random_range(0..8);
                disk.rot(&path, |contents| contents[at] ^= 1 << bit);
                match written.check(&disk, &path, &format!("seed {seed}, {path:?}, byte {at}"))? {
                    Outcome::NoEffect | Outcome::LastLost => none += 1,
                    Outcome::Damaged { offset } => {
                        assert!(offset <= at as u64, "seed {seed}: {offset} is named for byte {at}");
                        damaged += 1;
                    }
                }
            }
        }
    }
    assert!(damaged > 2000 && none > 1000, "{damaged} damaged, {none} without effect: the test tests little");
    Ok(())
}

#[test]
fn a_segment_that_is_missing_cut_short_or_exchanged_is_damage() -> Result<()> {
    for seed in 0..150 {
        let written = write(seed)?;
        let mut rng = SmallRng::seed_from_u64(seed);
        let is_segment = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).and_then(LogFile::parse);
            matches!(name, Some(LogFile::Segment(_)))
        };
        let segments: Vec<_> = written.disk.paths().into_iter().filter(is_segment).collect();
        // The oldest may hold nothing that the shards do not.
        let Some((_, needed)) = segments.split_first() else { continue };
        let Some((newest, needed)) = needed.split_last() else { continue };
        let disk = written.disk.fork(seed);
        super::super::disk::Disk::remove(&disk, newest).expect("it is there");
        let outcome = written.check(&disk, newest, &format!("seed {seed}: {newest:?} is missing"))?;
        assert_eq!(outcome, Outcome::Damaged { offset: 0 }, "seed {seed}: {newest:?}");
        for path in needed {
            let disk = written.disk.fork(seed);
            super::super::disk::Disk::remove(&disk, path).expect("it is there");
            let outcome = written.check(&disk, path, &format!("seed {seed}: {path:?} is missing"))?;
            assert!(
                outcome == Outcome::Damaged { offset: 0 } || outcome == Outcome::NoEffect,
                "seed {seed}: {path:?} {outcome:?}"
            );

            let disk = written.disk.fork(seed);
            let bytes = rng.random_range(0..disk.read(path).len());
            disk.rot(path, |contents| contents.truncate(bytes));
            let outcome = written.check(&disk, path, &format!("seed {seed}: {path:?} has {bytes} bytes"))?;
            assert_ne!(outcome, Outcome::LastLost);

            let disk = written.disk.fork(seed);
            let other = disk.read(&segments[0]);
            disk.rot(path, |contents| *contents = other);
            let outcome = written.check(&disk, path, &format!("seed {seed}: {path:?} is another"))?;
            assert!(
                outcome == Outcome::Damaged { offset: 0 } || outcome == Outcome::NoEffect,
                "seed {seed}: {path:?} {outcome:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_log_that_ends_before_what_a_shard_holds_is_damage() -> Result<()> {
    for by_all in [0, 2, 3] {
        let disk = SimDisk::new(1);
        let mut log = create(&disk)?;
        append(&mut log, &[Record::commit(1, "x"), Record::commit(2, "y")])?;
        log.close(0)?;
        let held = Held { by_all, by_any: 3 };
        let reopen = |recover, held| Log::open_on(Arc::new(disk.clone()), options(), recover, held, &mut |_| Ok(()));
        let last_good = by_all.max(2);
        match reopen(Recover::Strict, held) {
            Err(Error::LogDamaged { last_good: reported, .. }) => assert_eq!(reported, last_good),
            other => panic!("{other:?}"),
        }
        let (mut log, recovered) = reopen(Recover::ToLastGood, held)?;
        assert_eq!(recovered.last_version, last_good);
        assert!(recovered.next_version > 3 && recovered.cut.is_some());
        // As long as the log does not say what becomes of what the shard holds, the store is not opened.
        assert!(by_all == 3 || reopen(Recover::Strict, held).is_err());
        append(&mut log, &[Record::commit(recovered.next_version, "z")])?;
        log.sync()?;
        assert!(reopen(Recover::Strict, held).is_ok());
    }
    Ok(())
}
