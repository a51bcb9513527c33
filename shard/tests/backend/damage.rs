//! Damage on the disk is reported, never served.

use crate::fixture::{Directory, EPOCH, TestRun, UNLIMITED, scan};
use crate::subject::files;
use shingle_shard::backend::{Backend, RocksBackend};
use shingle_shard::{Error, KeyRange, Order};
use std::fs;
use std::path::{Path, PathBuf};

fn filled() -> Directory {
    let directory = Directory::new();
    let backend = directory.create().expect("a new directory");
    let keys: Vec<Vec<u8>> = (0..1500_u32).map(|i| i.to_be_bytes().repeat(4)).collect();
    let run = TestRun::of(keys.iter().map(|key| (key.as_slice(), 1, Some(key.as_slice()))));
    backend.apply(&run, 1, EPOCH).expect("sound");
    directory
}

fn flip(file: &Path, offset: usize) {
    let mut bytes = fs::read(file).expect("it is there");
    bytes[offset] ^= 0x10;
    fs::write(file, bytes).expect("it can be written");
}

fn verify(backend: &RocksBackend) -> Result<(), Error> {
    backend.verify(&mut |_| Ok(()), &mut |_, _| Ok(()))
}

/// Every byte of every table belongs to a block with a checksum: wherever one bit flips, it is found.
#[test]
fn a_flipped_bit_anywhere_in_a_table_is_found() {
    let directory = filled();
    let tables = files(&directory, "sst");
    assert_eq!(tables.len(), 3, "one of each family");
    for table in tables {
        let length = fs::metadata(&table).expect("it is there").len() as usize;
        let near_end = length.saturating_sub(600)..length;
        for offset in (0..length).step_by(211).chain(near_end.step_by(7)) {
            flip(&table, offset);
            let found = directory.open().and_then(|backend| verify(&backend));
            assert!(
                matches!(&found, Err(Error::Damaged { path, .. }) if *path == directory.shard()),
                "byte {offset} of {length} in {table:?}: {found:?}"
            );
            flip(&table, offset);
        }
    }
    verify(&directory.open().expect("healed")).expect("healed");
}

#[test]
fn reads_of_a_damaged_table_fail_or_answer_right() {
    let directory = filled();
    let mut failures_of_tables = Vec::new();
    for table in files(&directory, "sst") {
        let length = fs::metadata(&table).expect("it is there").len() as usize;
        let mut failures = 0;
        for offset in (0..length).step_by(487) {
            flip(&table, offset);
            if let Ok(backend) = directory.open() {
                for i in (0..1500_u32).step_by(50) {
                    let key = i.to_be_bytes().repeat(4);
                    match backend.get(&key, 9) {
                        Ok(row) => assert_eq!(row.and_then(|row| row.value), Some(key), "byte {offset} of {table:?}"),
                        Err(error) => {
                            assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
                            failures += 1;
                        }
                    }
                }
                match scan(&backend, &KeyRange::all(), 9, Order::Descending, UNLIMITED) {
                    Ok(rows) => assert_eq!(rows.len(), 1500),
                    Err(error) => {
                        assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
                        failures += 1;
                    }
                }
            } else {
                failures += 1;
            }
            flip(&table, offset);
        }
        failures_of_tables.push(failures > 0);
    }
    assert!(failures_of_tables.contains(&true), "no table is ever read");
}

fn assert_damaged(directory: &Directory, what: &str) {
    let found = directory.open().and_then(|backend| verify(&backend));
    assert!(matches!(found, Err(Error::Damaged { .. })), "{what}: {found:?}");
}

#[test]
fn a_missing_or_short_file_is_damage() {
    let directory = filled();
    let mut files = files(&directory, "sst");
    let manifest = manifest(&directory);
    files.extend([manifest.clone(), directory.shard().join("CURRENT")]);
    for file in files {
        let bytes = fs::read(&file).expect("it is there");
        fs::remove_file(&file).expect("it is there");
        assert_damaged(&directory, &format!("{file:?} is gone"));
        if file != manifest {
            fs::write(&file, &bytes[..bytes.len() / 2]).expect("it can be written");
            assert_damaged(&directory, &format!("{file:?} is cut"));
        }
        fs::write(&file, bytes).expect("it can be written");
    }
    verify(&directory.open().expect("healed")).expect("healed");
}

/// RocksDB opens with what a cut manifest still names and deletes the rest: rows would be missing without a word.
#[test]
fn a_manifest_cut_anywhere_is_damage() {
    let length = fs::metadata(manifest(&filled())).expect("it is there").len();
    for cut in (0..length).step_by(23) {
        let directory = filled();
        let manifest = manifest(&directory);
        let file = fs::OpenOptions::new().write(true).open(&manifest).expect("it is there");
        file.set_len(cut).expect("it can be cut");
        match directory.open() {
            // Cut in a record after the last ingestion: nothing is lost.
            Ok(backend) => {
                assert_eq!(backend.get(&7_u32.to_be_bytes().repeat(4), 1).expect("sound").map(|r| r.version), Some(1))
            }
            Err(error) => {
                assert!(matches!(error, Error::Damaged { .. } | Error::Foreign { .. }), "cut at {cut}: {error:?}")
            }
        }
    }
}

fn manifest(directory: &Directory) -> PathBuf {
    let current = fs::read_to_string(directory.shard().join("CURRENT")).expect("RocksDB keeps it");
    directory.shard().join(current.trim_end())
}
