//! Settings reach RocksDB, and bad ones are refused before anything is made.

use crate::fixture::{Directory, EPOCH, TestRun};
use crate::subject::files;
use shingle_shard::Error;
use shingle_shard::backend::{Backend, Compression, RocksBackend, RocksShared};

#[test]
fn a_setting_out_of_bounds_is_refused_and_nothing_is_made() {
    let mut directory = Directory::new();
    let shared = directory.shared().expect("valid options");
    directory.options.block_cache_size = 1;
    let refused = RocksShared::new(&directory.options, 1).expect_err("a cache of one byte");
    assert!(matches!(&refused, Error::Option(error) if error.field == "block_cache_size"), "{refused:?}");
    let identity = Directory::identity();
    let refused = RocksBackend::create(&directory.shard(), &identity, &directory.options, &shared);
    assert!(matches!(&refused, Err(Error::Option(error)) if error.given == "1"), "{refused:?}");
    assert!(!directory.shard().exists());
}

#[test]
fn compression_may_change_between_openings() {
    let mut directory = Directory::new();
    drop(directory.create().expect("a new directory"));
    for (i, compression) in [Compression::None, Compression::Lz4, Compression::Zstd].into_iter().enumerate() {
        directory.options.compression_type = compression;
        let backend = directory.open().expect("it was closed");
        let version = i as u64 + 1;
        let value = vec![7; 200_000];
        let applied =
            backend.apply(&TestRun::of([(&b"a"[..], version, Some(value.as_slice()))]), version, EPOCH).expect("sound");
        assert_eq!(applied.bytes < 100_000, compression != Compression::None, "{compression:?}: {applied:?}");
        for read in 1..=version {
            let row = backend.get(b"a", read).expect("sound").expect("written above");
            assert!(row.version == read && row.value.as_deref() == Some(&value));
        }
    }
}

#[test]
fn statistics_are_counted_when_they_are_on() {
    for on in [false, true] {
        let mut directory = Directory::new();
        directory.options.enable_statistics = on;
        let backend = directory.create().expect("a new directory");
        for version in 1..=3 {
            let keys: Vec<Vec<u8>> = (0..2000_u32).map(|i| i.to_be_bytes().repeat(8)).collect();
            let run = TestRun::of(keys.iter().map(|key| (key.as_slice(), version, Some(key.as_slice()))));
            backend.apply(&run, version, EPOCH).expect("sound");
            for key in &keys {
                backend.get(key, version).expect("sound").expect("written above");
            }
        }
        backend.compact().expect("sound");
        let stats = backend.stats();
        assert_eq!(stats.counted.is_some(), on, "{stats:?}");
        if let Some(counted) = stats.counted {
            let (hits, misses) = (counted.block_cache_hits, counted.block_cache_misses);
            assert!(hits > 0 && misses > 0 && counted.compaction_cpu_micros > 0, "{stats:?}");
        }
        assert_eq!(stats.rows_estimate, 6000, "{stats:?}");
        assert!(stats.file_bytes > 0 && stats.live_bytes > 0 && stats.level0_files == 0, "{stats:?}");
    }
}

#[test]
fn pressure_counts_files_at_level_0() {
    let mut directory = Directory::new();
    directory.options.level0_file_num_compaction_trigger = 100;
    let backend = directory.create().expect("a new directory");
    for version in 1..=5 {
        let ends = [(&b"a"[..], version, None), (&b"z"[..], version, None)];
        backend.apply(&TestRun::of(ends), version, EPOCH).expect("sound");
    }
    // The first one goes to the lowest level, as nothing is there yet.
    assert_eq!(backend.pressure().level0_files, 4);
    backend.compact().expect("sound");
    assert_eq!(backend.pressure().level0_files, 0);
}

/// An iterator that waits for the next read keeps the files of its time; whoever watches the pressure lets them go.
#[test]
fn idle_iterators_do_not_keep_files_that_compaction_left() {
    let mut directory = Directory::new();
    directory.options.level0_file_num_compaction_trigger = 100;
    directory.options.compression_type = Compression::None;
    let backend = directory.create().expect("a new directory");
    for version in 1..=8_u64 {
        let value = vec![version as u8; 10_000];
        let ends = [(&b"a"[..], version, Some(value.as_slice())), (&b"z"[..], version, None)];
        backend.apply(&TestRun::of(ends), version, EPOCH).expect("sound");
    }
    backend.get(b"a", 8).expect("sound");
    backend.compact().expect("sound");
    backend.pressure();
    let there: u64 = files(&directory, "sst").iter().map(|file| file.metadata().expect("it is there").len()).sum();
    // The values have 80 000 bytes; kept twice, they would have more than 160 000.
    assert!((80_000..130_000).contains(&there), "{there} bytes of files");
}

/// The newest file in which RocksDB keeps the options of its families.
fn rocks_options(directory: &Directory) -> String {
    let entries = std::fs::read_dir(directory.shard()).expect("the shard was made");
    let paths = entries.map(|entry| entry.expect("the directory can be read").path());
    let newest = paths.filter(|path| path.to_string_lossy().contains("OPTIONS-")).max();
    std::fs::read_to_string(newest.expect("an open instance has one")).expect("it is text")
}

#[test]
fn indexes_and_filters_are_partitioned_once_they_outgrow_the_cache() {
    let mut directory = Directory::new();
    directory.options.block_cache_size = 1 << 20;
    directory.options.compression_type = Compression::None;
    let backend = directory.create().expect("a new directory");
    let key = |version: u64, i: u64| (i * 64 + version).to_be_bytes();
    // The smallest rows that there are: of no others are the filters so large a part.
    let value = [];
    let mut was_whole = false;
    for version in 1..=10 {
        let keys: Vec<_> = (0..60_000).map(|i| key(version, i)).collect();
        let rows = keys.iter().map(|key| (&key[..], version, Some(&value[..])));
        backend.apply(&TestRun::of(rows), version, EPOCH).expect("sound");
        let partitioned = rocks_options(&directory).contains("partition_filters=true");
        assert!(version > 1 || !partitioned, "60 000 rows have filters of far less than half the cache");
        was_whole |= !partitioned;
    }
    assert!(was_whole && rocks_options(&directory).contains("partition_filters=true"), "600 000 rows have more");
    let check = |backend: &RocksBackend| {
        for (version, i) in (1..=10).flat_map(|version| (0..60_000).step_by(701).map(move |i| (version, i))) {
            let row = backend.get(&key(version, i), u64::MAX).expect("sound").expect("written above");
            assert_eq!(row.version, version);
            assert_eq!(backend.get(&(i * 64 + 63).to_be_bytes(), u64::MAX).expect("sound"), None);
        }
    };
    check(&backend);
    backend.compact().expect("sound");
    check(&backend);
    drop(backend);
    check(&directory.open().expect("it was closed"));
    assert!(rocks_options(&directory).contains("partition_filters=true"), "from the beginning: the rows are there");
}

#[test]
fn keys_are_found_after_any_number_that_are_not_there() {
    let directory = Directory::new();
    let backend = directory.create().expect("a new directory");
    for version in 1..=3_u64 {
        let keys: Vec<_> = (0..300_u64).map(|i| (i * version).to_be_bytes()).collect();
        let rows = keys.iter().map(|key| (&key[..], version, Some(&key[..])));
        backend.apply(&TestRun::of(rows), version, EPOCH).expect("sound");
    }
    let newest = |i: u64, at: u64| (1..=at).rev().find(|version| i.is_multiple_of(*version) && i / version < 300);
    for absent_between in [0, 1, 10, 500, 3] {
        for i in 0..900_u64 {
            for absent in 0..absent_between {
                assert_eq!(backend.get(&(1_000_000 + absent * i).to_be_bytes(), 3).expect("sound"), None);
            }
            for at in 0..=3 {
                let row = backend.get(&i.to_be_bytes(), at).expect("sound");
                assert_eq!(row.map(|row| row.version), newest(i, at), "key {i} at {at}");
            }
        }
    }
}

/// Whatever the filter of the whole instance knows by then: its thread has just begun to read, and runs come in beside it.
#[test]
fn every_row_is_found_from_the_moment_of_opening_on() {
    let directory = Directory::new();
    let key = |version: u64, i: u64| (i * 1000 + version).to_be_bytes();
    let write = |backend: &RocksBackend, version: u64| {
        let keys: Vec<_> = (0..20_000).map(|i| key(version, i)).collect();
        let rows = keys.iter().map(|key| (&key[..], version, Some(&key[..])));
        backend.apply(&TestRun::of(rows), version, EPOCH).expect("sound");
    };
    let check = |backend: &RocksBackend, versions: std::ops::RangeInclusive<u64>, step: usize| {
        for version in versions {
            for i in (0..20_000).step_by(step) {
                let row = backend.get(&key(version, i), u64::MAX).expect("sound");
                assert_eq!(row.expect("written before").version, version, "key {i}");
            }
        }
        assert_eq!(backend.get(&key(999, 5), u64::MAX).expect("sound"), None);
    };
    write(&directory.create().expect("a new directory"), 1);
    for version in 2..=8 {
        let backend = directory.open().expect("it was closed");
        std::thread::scope(|scope| {
            scope.spawn(|| check(&backend, 1..=version - 1, 7));
            scope.spawn(|| check(&backend, 1..=version - 1, 5));
            scope.spawn(|| {
                write(&backend, version);
                check(&backend, version..=version, 3);
            });
        });
        check(&backend, 1..=version, 11);
    }
}
