//! The log on a disk of this machine.

use super::*;
use crate::Error;
use crate::layout::LogFile;
use std::fs;

fn options(dir: &tempfile::TempDir) -> LogOptions {
    LogOptions { dir: dir.path().join("log"), store_id: STORE, segment_bytes: 1 << 20, recycled_max: 2 }
}

fn read(options: LogOptions) -> Result<(Vec<Record>, Recovered)> {
    let mut records = Vec::new();
    let (_, recovered) = Log::open(options, Recover::Strict, held(0), &mut |frame| {
        records.push(Record { version: frame.version, kind: frame.kind, payload: frame.payload.to_vec() });
        Ok(())
    })?;
    Ok((records, recovered))
}

#[test]
fn groups_of_any_shape_are_read_back() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut log = Log::create(options(&dir), 0)?;
    // More large payloads than the system takes pieces in one call, one larger than the window that reads it, and none.
    let sizes = [vec![5000; 1500], vec![20 << 20], vec![0; 3], vec![1, 4096, 4097, 8, 7]];
    let mut version = 0;
    let mut records = Vec::new();
    for group in sizes {
        let commit = |bytes: usize| {
            version += 1;
            Record::commit(version, vec![version as u8; bytes])
        };
        let group: Vec<Record> = group.into_iter().map(commit).collect();
        append(&mut log, &group)?;
        log.sync()?;
        records.extend(group);
    }
    drop(log);
    let (read_back, recovered) = read(options(&dir))?;
    assert!(read_back == records);
    assert!(!recovered.clean && recovered.cut.is_none());
    Ok(())
}

#[test]
fn released_segments_are_kept_for_reuse_and_a_closed_log_takes_no_spare_room() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut log = Log::create(options(&dir), 0)?;
    for version in 1..=40 {
        append(&mut log, &[Record::commit(version, vec![1; 200_000])])?;
        log.sync()?;
        log.release(version)?;
    }
    // The active one, and the one that it followed.
    assert_eq!((log.stats().segments, log.stats().recycled, log.stats().bytes), (1, 1, 2 << 20));
    log.close(41)?;
    let last = fs::read_dir(dir.path().join("log")).expect("the log's directory").filter_map(|entry| {
        let entry = entry.expect("an entry");
        let name = LogFile::parse(entry.file_name().to_str()?)?;
        matches!(name, LogFile::Segment(_)).then(|| entry.metadata().expect("its size").len())
    });
    assert!(last.sum::<u64>() < 1 << 20, "the last segment is as long as what it holds");
    Ok(())
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("log"), "in the way").expect("a writable directory");
    assert!(matches!(Log::create(options(&dir), 0), Err(Error::Io { .. })));
    assert!(matches!(read(options(&dir)), Err(Error::Io { .. })));
}
