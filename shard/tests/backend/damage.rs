//! Damage on the disk is reported, never served.

use crate::fixture::{Directory, EPOCH, TestRun, UNLIMITED, scan};
use shingle_shard::backend::{Backend, RocksBackend};
use shingle_shard::{Error, KeyRange, Order};
use std::fs;
use std::path::Path;

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
    let tables = directory.files("sst");
    assert_eq!(tables.len(), 2);
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
    for table in directory.files("sst") {
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
        assert!(failures > 0, "{table:?} is never read");
    }
}

#[test]
fn a_missing_or_short_file_is_damage() {
    let directory = filled();
    let damaged = |what: &str| {
        let found = directory.open().and_then(|backend| verify(&backend));
        assert!(matches!(found, Err(Error::Damaged { .. })), "{what}: {found:?}");
    };
    let mut files = directory.files("sst");
    files.push(directory.shard().join("CURRENT"));
    let manifest = fs::read_to_string(directory.shard().join("CURRENT")).expect("RocksDB keeps it");
    files.push(directory.shard().join(manifest.trim_end()));
    for file in files {
        let bytes = fs::read(&file).expect("it is there");
        fs::remove_file(&file).expect("it is there");
        damaged(&format!("{file:?} is gone"));
        fs::write(&file, &bytes[..bytes.len() / 2]).expect("it can be written");
        damaged(&format!("{file:?} is cut"));
        fs::write(&file, bytes).expect("it can be written");
    }
    verify(&directory.open().expect("healed")).expect("healed");
}
