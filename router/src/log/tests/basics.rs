//! What the log does on a disk that works.

use super::*;
use crate::{Error, ErrorKind};

fn commits(versions: impl IntoIterator<Item = Version>, bytes: usize) -> Vec<Record> {
    versions.into_iter().map(|version| Record::commit(version, vec![version as u8; bytes])).collect()
}

#[test]
fn a_closed_log_gives_back_what_was_appended_and_goes_on_at_the_next_version() -> Result<()> {
    let disk = SimDisk::new(1);
    let mut log = create(&disk)?;
    let records = commits(1..=50, 300);
    for group in records.chunks(7) {
        append(&mut log, group)?;
    }
    assert_eq!((log.written(), log.synced() < 50), (50, true));
    log.close(0)?;
    let (mut log, recovered, read) = open(&disk, Recover::Strict, 0)?;
    assert_eq!(read, records);
    assert_eq!((recovered.last_version, recovered.next_version, recovered.clean, recovered.cut), (50, 51, true, None));
    assert_eq!((log.written(), log.synced()), (50, 50));
    let before = disk.paths();
    log.close(0)?;
    assert_eq!(disk.paths(), before, "opening and closing writes nothing");
    let (_, recovered, read) = open(&disk, Recover::Strict, 20)?;
    assert_eq!((read.as_slice(), recovered.next_version), (&records[20..], 51));
    Ok(())
}

#[test]
fn a_closed_log_can_be_written_to_and_closed_again() -> Result<()> {
    let disk = SimDisk::new(1);
    let mut log = create(&disk)?;
    append(&mut log, &commits(1..=3, 300))?;
    log.close(10)?;
    log.close(10)?;
    append(&mut log, &commits(10..=12, 300))?;
    log.sync()?;
    let (_, recovered, read) = open(&disk.fork(1), Recover::Strict, 0)?;
    assert_eq!((read.len(), recovered.clean), (6, false));
    log.close(13)?;
    let (_, recovered, read) = open(&disk, Recover::Strict, 0)?;
    assert_eq!((read.len(), recovered.clean, recovered.next_version), (6, true, 13));
    Ok(())
}

#[test]
fn a_log_that_was_not_closed_skips_the_versions_that_it_reserved() -> Result<()> {
    let disk = SimDisk::new(1);
    let mut log = create(&disk)?;
    append(&mut log, &commits(1..=3, 10))?;
    log.sync()?;
    drop(log);
    let (_, recovered, read) = open(&disk, Recover::Strict, 0)?;
    assert_eq!((read.len(), recovered.last_version, recovered.clean), (3, 3, false));
    assert!(recovered.next_version > 4);
    Ok(())
}

#[test]
fn a_segment_that_is_left_early_gives_its_spare_room_back() -> Result<()> {
    let disk = SimDisk::new(1);
    let mut log = create(&disk)?;
    for version in 1..=20 {
        append(&mut log, &commits([version], 10))?;
        log.sync()?;
        let (opened, _, read) = open(&disk, Recover::Strict, 0)?;
        assert_eq!(read.len() as u64, version);
        log = opened;
    }
    assert!(log.stats().segments >= 20 && log.stats().bytes < 13 * SEGMENT_BYTES, "{:?}", log.stats());
    Ok(())
}

#[test]
fn a_group_larger_than_a_segment_gets_one_of_its_own() -> Result<()> {
    let disk = SimDisk::new(1);
    let mut log = create(&disk)?;
    let records = [commits(1..=1, 10), commits(2..=2, 100_000), commits(3..=9, 5_000), commits(10..=10, 1)].concat();
    append(&mut log, &records[..1])?;
    append(&mut log, &records[1..2])?;
    append(&mut log, &records[2..9])?;
    append(&mut log, &records[9..])?;
    log.close(0)?;
    let (mut log, _, read) = open(&disk, Recover::Strict, 0)?;
    assert_eq!(read, records);
    log.release(10)?;
    assert_eq!(log.stats().segments, 1, "the last one is kept");
    assert!(log.stats().bytes < 4 * SEGMENT_BYTES, "large segments are not kept for reuse: {:?}", log.stats());
    Ok(())
}

#[test]
fn released_segments_are_used_again_and_their_old_records_stay_dead() -> Result<()> {
    let disk = SimDisk::new(1);
    let mut log = create(&disk)?;
    for version in 1..=400 {
        append(&mut log, &commits([version], 500))?;
        log.sync()?;
        log.release(version - 1)?;
    }
    assert!(disk.paths().len() <= 4, "{:?}", disk.paths());
    assert!(log.stats().recycled <= 2);
    drop(log);
    let (_, recovered, read) = open(&disk, Recover::Strict, 399)?;
    assert_eq!(read, commits([400], 500));
    assert_eq!(recovered.cut, None, "what a file held before it was used again is no remains of a write");
    Ok(())
}

#[test]
fn versions_may_leap_beyond_what_a_segment_reserved() -> Result<()> {
    let disk = SimDisk::new(1);
    let mut log = create(&disk)?;
    let records = [1, 2, 1 << 30, (1 << 30) + 1, 1 << 50].map(|version| Record::commit(version, "x"));
    records.iter().try_for_each(|record| append(&mut log, std::slice::from_ref(record)))?;
    drop(log);
    let (_, recovered, read) = open(&disk, Recover::Strict, 0)?;
    assert_eq!(read, records);
    assert!(recovered.next_version > 1 << 50);
    Ok(())
}

#[test]
fn another_stores_log_and_a_directory_without_one_are_refused() -> Result<()> {
    let disk = SimDisk::new(1);
    assert!(matches!(open(&disk, Recover::Strict, 0), Err(Error::LogMissing { .. })));
    let mut log = create(&disk)?;
    append(&mut log, &commits(1..=1, 10))?;
    log.close(0)?;
    let foreign = LogOptions { store_id: *b"ffffffffffffffff", ..options() };
    for recover in [Recover::Strict, Recover::ToLastGood] {
        let opened = Log::open_on(Arc::new(disk.clone()), foreign.clone(), recover, held(0), &mut |_| Ok(()));
        assert_eq!(opened.map(|_| ()).map_err(|error| error.kind()), Err(ErrorKind::Mismatch));
    }
    let created = Log::create_on(Arc::new(disk.clone()), foreign, 0);
    assert!(matches!(created, Err(Error::Occupied { .. })), "a log with records is not overwritten");
    assert_eq!(open(&disk, Recover::Strict, 0)?.2.len(), 1);
    Ok(())
}

#[test]
fn what_an_interrupted_creation_left_is_replaced() -> Result<()> {
    let disk = SimDisk::new(1);
    drop(create(&disk)?);
    let again = LogOptions { store_id: *b"ffffffffffffffff", ..options() };
    let mut log = Log::create_on(Arc::new(disk.clone()), again.clone(), 7)?;
    append(&mut log, &commits(8..=8, 10))?;
    log.close(0)?;
    let (_, recovered) = Log::open_on(Arc::new(disk.clone()), again, Recover::Strict, held(7), &mut |_| Ok(()))?;
    assert_eq!((recovered.last_version, recovered.next_version), (8, 9));
    Ok(())
}

#[test]
fn an_error_of_the_visitor_ends_the_opening() -> Result<()> {
    let disk = SimDisk::new(1);
    let mut log = create(&disk)?;
    append(&mut log, &commits(1..=3, 10))?;
    log.close(0)?;
    let mut seen = 0;
    let opened = Log::open_on(Arc::new(disk), options(), Recover::Strict, held(0), &mut |_| {
        seen += 1;
        Err(Error::Closed)
    });
    assert!(matches!(opened, Err(Error::Closed)));
    assert_eq!(seen, 1);
    Ok(())
}
