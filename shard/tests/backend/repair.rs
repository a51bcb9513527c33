//! RocksDB's own repair: what it cannot bring back is not taken for whole.

use crate::fixture::{Directory, EPOCH, TestRun};
use shingle_shard::Error;
use shingle_shard::backend::{Backend, RocksBackend};
use std::path::Path;

fn run(version: u64) -> TestRun {
    let mut run = TestRun::default();
    for key in 0..200_u64 {
        run.rows.insert((key.to_be_bytes().to_vec(), version), Some(vec![version as u8; 50]));
    }
    run
}

fn lose_manifest(shard: &Path) {
    for entry in std::fs::read_dir(shard).expect("a shard's directory") {
        let path = entry.expect("readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name == "CURRENT" || name.starts_with("MANIFEST-") {
            std::fs::remove_file(&path).expect("it was just listed");
        }
    }
}

/// Ingested tables do not say of which family they are: RocksDB gives them up.
#[test]
fn a_repair_that_lost_ingested_tables_is_refused() {
    let directory = Directory::new();
    let backend = directory.create().expect("a new directory");
    backend.apply(&run(1), 1, EPOCH).expect("room on the disk");
    drop(backend);
    lose_manifest(&directory.shard());
    let shared = directory.shared().expect("valid options");
    match RocksBackend::repair(&directory.shard(), &directory.options, &shared) {
        Err(Error::Damaged { what, .. }) => assert!(what.contains("gave up 2 tables"), "{what}"),
        other => panic!("it was taken for whole: {other:?}"),
    }
}

/// Compaction writes tables that do; but those of the index of changes never overlap, and are only moved.
#[test]
fn a_repair_after_compaction_lacks_the_index_of_changes() {
    let directory = Directory::new();
    let backend = directory.create().expect("a new directory");
    for version in 1..=6 {
        backend.apply(&run(version), version, EPOCH).expect("room on the disk");
    }
    backend.compact().expect("room on the disk");
    drop(backend);
    lose_manifest(&directory.shard());
    assert!(directory.open().is_err());
    let shared = directory.shared().expect("valid options");
    match RocksBackend::repair(&directory.shard(), &directory.options, &shared) {
        Err(Error::Damaged { what, .. }) => assert!(what.contains("gave up 6 tables"), "{what}"),
        other => panic!("it was taken for whole: {other:?}"),
    }
}
