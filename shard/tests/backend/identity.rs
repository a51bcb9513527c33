//! A directory that is not the shard it should be is refused.

use crate::fixture::{Directory, EPOCH, TestRun};
use shingle_shard::Error;
use shingle_shard::backend::{Backend, Identity, RocksBackend};

fn foreign(result: Result<RocksBackend, Error>) -> String {
    match result {
        Err(Error::Foreign { what, .. }) => what,
        other => panic!("expected a foreign directory, got {other:?}"),
    }
}

#[test]
fn another_stores_number_or_format_is_refused_by_name() {
    let directory = Directory::new();
    drop(directory.create().expect("a new directory"));
    let shared = directory.shared().expect("valid options");
    let mine = Directory::identity();
    let others = [
        (Identity { store: "0000".into(), ..mine.clone() }, "it belongs to store 7f3a, not to 0000"),
        (Identity { shard: 4, ..mine.clone() }, "it is shard 3, not shard 4"),
        (Identity { format: 2, ..mine.clone() }, "it has format 1, not 2"),
    ];
    for (other, what) in others {
        let open = RocksBackend::open(&directory.shard(), &other, &directory.options, &shared);
        assert_eq!(foreign(open), what);
        let create = RocksBackend::create(&directory.shard(), &other, &directory.options, &shared);
        assert_eq!(foreign(create), what);
    }
    directory.open().expect("the refusals changed nothing");
}

#[test]
fn opening_never_creates() {
    let directory = Directory::new();
    assert_eq!(foreign(directory.open()), "there is no shard in it");
    assert!(!directory.shard().exists());
    std::fs::create_dir(directory.shard()).expect("it is not there yet");
    std::fs::write(directory.shard().join("notes.txt"), b"not a shard").expect("it was made above");
    assert_eq!(foreign(directory.open()), "there is no shard in it");
}

#[test]
fn creating_twice_keeps_what_is_there() {
    let directory = Directory::new();
    let backend = directory.create().expect("a new directory");
    backend.apply(&TestRun::of([(&b"a"[..], 1, None)]), 1, EPOCH).expect("sound");
    drop(backend);
    let backend = directory.create().expect("its own");
    assert_eq!(backend.applied_through(), 1);
}

#[test]
fn a_second_opening_at_the_same_time_is_refused() {
    let directory = Directory::new();
    let first = directory.create().expect("a new directory");
    let second = directory.open();
    assert!(matches!(second, Err(Error::Io { .. })), "{second:?}");
    drop(first);
    directory.open().expect("the first is closed");
}

#[test]
fn a_database_of_something_else_is_refused_untouched() {
    let directory = Directory::new();
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    drop(rocksdb::DB::open_cf(&options, directory.shard(), ["accounts"]).expect("a new directory"));
    assert_eq!(foreign(directory.open()), "it has a column family \"accounts\"");
    assert_eq!(foreign(directory.create()), "it has a column family \"accounts\"");
    drop(rocksdb::DB::open_cf(&options, directory.shard(), ["accounts"]).expect("still what it was"));
}

#[test]
fn a_plain_database_is_refused() {
    let directory = Directory::new();
    drop(rocksdb::DB::open_default(directory.shard()).expect("a new directory"));
    assert_eq!(foreign(directory.open()), "it has no column family \"versions\"");
}
