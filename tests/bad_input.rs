//! Bad input: each is refused with a kind and a sentence, and nothing is changed.

#[path = "support/child.rs"]
mod child;
#[path = "support/files.rs"]
mod files;
#[path = "support/refusal.rs"]
mod refusal;

use refusal::refused;
use shingle::{At, Batch, Block, Builder, Config, Database, Error, ErrorKind, Result, RoutingKey};
use std::io::{BufRead, BufReader, Write};

const KEY_BYTES_MAX: usize = 64 << 10;

fn batch(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, value);
    batch
}

fn block(height: u64, timestamp_ms: u64) -> Block {
    Block { height, timestamp_ms }
}

/// A store in memory and one on disk, for what both must refuse.
fn with_both(check: impl Fn(&Database) -> Result<()>) -> Result<()> {
    check(&Database::in_memory()?)?;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = Database::builder(dir.path().join("store")).shards(3).open()?;
    check(&db)?;
    db.close()
}

#[test]
fn keys_out_of_bounds_are_refused_wherever_they_are_given() -> Result<()> {
    with_both(|db| {
        let over_long = vec![b'k'; KEY_BYTES_MAX + 1];
        for (key, bytes) in [(&[][..], "0 bytes"), (&over_long, "65537 bytes")] {
            let words = [bytes, "65536"];
            let kind = ErrorKind::InvalidArgument;
            refused(db.get(key), kind, &words);
            refused(db.multi_get(&[b"fine".as_slice(), key]), kind, &words);
            refused(db.snapshot().get(key), kind, &words);
            let mut mixed = batch("fine", "1");
            mixed.put(key, "x").put("fine too", "2");
            refused(db.commit(mixed.clone()), kind, &words);
            refused(db.submit(mixed.clone()), kind, &words);
            refused(db.commit_block(block(1, 1), mixed), kind, &words);
            let mut deletion = Batch::new();
            deletion.delete(key);
            refused(db.commit(deletion), kind, &words);
            let mut txn = db.begin();
            txn.put("fine", "1")?;
            refused(txn.get(key), kind, &words);
            refused(txn.put(key, "x"), kind, &words);
            refused(txn.delete(key), kind, &words);
            txn.abort();
        }
        assert_eq!((db.get("fine")?, db.get("fine too")?, db.head(), db.version()), (None, None, None, 0));
        Ok(())
    })
}

#[test]
fn keys_of_any_bytes_and_of_the_longest_length_are_fine() -> Result<()> {
    with_both(|db| {
        let longest = vec![0xff; KEY_BYTES_MAX];
        let keys: [&[u8]; 7] =
            [b"\xff\xfe", b"\x00", b"\x00\x00", b"\xc3\x28", b"\xff", &longest, "schlüssel".as_bytes()];
        for key in keys {
            db.commit(batch(key, key))?;
        }
        for key in keys {
            assert_eq!(db.get(key)?.as_deref(), Some(key));
        }
        db.flush()?;
        let mut sorted = keys.to_vec();
        sorted.sort();
        let found = db.prefix("").map(|row| Ok(row?.0)).collect::<Result<Vec<_>>>()?;
        assert_eq!(found, sorted);
        Ok(())
    })
}

#[test]
fn a_value_over_the_limit_is_refused_and_one_at_the_limit_is_not() -> Result<()> {
    let db = Database::in_memory()?;
    let longest = vec![7; 64 << 20];
    db.commit(batch("large", &longest))?;
    assert_eq!(db.get("large")?.map(|value| value.len()), Some(longest.len()));
    let longer = vec![7; longest.len() + 1];
    refused(db.commit(batch("larger", &longer)), ErrorKind::InvalidArgument, &["67108865", "67108864"]);
    refused(db.begin().put("larger", &longer), ErrorKind::InvalidArgument, &["67108865"]);
    assert_eq!(db.get("larger")?, None);
    Ok(())
}

#[test]
fn a_batch_over_the_limit_is_refused_whole() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut config = Config::default();
    config.log.batch_bytes_max = 64 << 10;
    let db = Database::builder(dir.path().join("store")).shards(3).config(config).open()?;
    let mut large = Batch::new();
    for n in 0..100_u32 {
        large.put(n.to_be_bytes(), [0; 1000]);
    }
    assert!(large.bytes() > 64 << 10);
    let bytes = large.bytes().to_string();
    refused(db.commit(large.clone()), ErrorKind::InvalidArgument, &[&bytes, "65536"]);
    refused(db.commit_block(block(1, 1), large), ErrorKind::InvalidArgument, &[&bytes]);
    let mut txn = db.begin();
    for n in 0..100_u32 {
        txn.put(n.to_be_bytes(), [0; 1000])?;
    }
    refused(txn.commit(), ErrorKind::InvalidArgument, &["65536"]);
    assert_eq!((db.version(), db.head(), db.prefix("").count()), (0, None, 0));
    db.commit_block(block(1, 1), batch("small", "1"))?;
    Ok(())
}

#[test]
fn heights_and_timestamps_that_go_back_are_refused() -> Result<()> {
    with_both(|db| {
        db.commit_block(block(10, 1000), batch("a", "1"))?;
        let version = db.version();
        for height in [10, 9, 0] {
            let given = height.to_string();
            refused(db.commit_block(block(height, 2000), batch("a", "2")), ErrorKind::InvalidArgument, &[&given, "10"]);
            refused(db.seal_block(block(height, 2000)), ErrorKind::InvalidArgument, &[&given, "10"]);
            refused(db.submit_block(block(height, 2000), Batch::new()), ErrorKind::InvalidArgument, &[&given]);
        }
        refused(db.commit_block(block(11, 999), batch("a", "2")), ErrorKind::InvalidArgument, &["999", "1000"]);
        assert_eq!((db.get("a")?, db.version()), (Some(b"1".to_vec()), version));
        assert_eq!(db.head().map(|head| head.height), Some(10));
        // The same timestamp, and a height far up, are fine; and back there is room again after a rollback.
        db.seal_block(block(u64::MAX - 1, 1000))?;
        db.rollback_to(10)?;
        db.seal_block(block(11, 1000))?;
        Ok(())
    })
}

#[test]
fn states_that_do_not_exist_are_refused() -> Result<()> {
    with_both(|db| {
        let kind = ErrorKind::InvalidArgument;
        refused(db.snapshot_at(At::Height(0)), kind, &["no block"]);
        refused(db.snapshot_at(At::Time(5)), kind, &["no block", "5"]);
        refused(db.rollback_to(1), kind, &["height 1"]);
        refused(db.diff(1, 2), kind, &["height 1"]);
        let version = db.commit_block(block(5, 500), batch("a", "1"))?;
        refused(db.snapshot_at(At::Version(version + 1)), kind, &[&(version + 1).to_string(), &version.to_string()]);
        refused(db.snapshot_at(At::Version(u64::MAX)), kind, &[]);
        refused(db.snapshot_at(At::Height(6)), kind, &["6", "5"]);
        refused(db.snapshot_at(At::Height(4)), kind, &["4"]);
        refused(db.snapshot_at(At::Time(499)), kind, &["499"]);
        refused(db.changes_since(version + 1), kind, &[&(version + 1).to_string()]);
        refused(db.rollback_to(6), kind, &["height 6", "5"]);
        refused(db.rollback_to(4), kind, &["height 4"]);
        refused(db.diff(5, 6), kind, &["6"]);
        assert_eq!(db.snapshot_at(At::Time(u64::MAX))?.version(), version);
        Ok(())
    })
}

#[test]
fn a_snapshot_of_what_was_rolled_back_says_so() -> Result<()> {
    with_both(|db| {
        let kept = db.commit_block(block(1, 1), batch("a", "1"))?;
        let snapshot_below = db.snapshot();
        let gone = db.commit_block(block(2, 2), batch("a", "2"))?;
        let snapshot_above = db.snapshot();
        let mut half_read = snapshot_above.prefix("");
        let at = db.rollback_to(1)?;
        assert!(at > gone);
        let kind = ErrorKind::RolledBack;
        refused(snapshot_above.get("a"), kind, &[&gone.to_string(), &kept.to_string()]);
        refused(snapshot_above.multi_get(&["a", "b"]), kind, &[]);
        refused(half_read.next().transpose(), kind, &[]);
        refused(db.snapshot_at(At::Version(gone)), kind, &[&gone.to_string()]);
        refused(db.changes_since(gone), kind, &[&gone.to_string()]);
        assert_eq!(snapshot_below.get("a")?, Some(b"1".to_vec()));
        assert_eq!(db.snapshot_at(At::Version(at))?.get("a")?, Some(b"1".to_vec()));
        assert_eq!(db.get("a")?, Some(b"1".to_vec()));
        Ok(())
    })
}

#[test]
fn settings_out_of_bounds_are_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("store");
    let store = || Database::builder(&path);
    // In one way, whoever notices: the configuration, or the store.
    let refused = |builder: Builder, words: &[&str]| {
        let error = refused(builder.open(), ErrorKind::InvalidArgument, words);
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error:?}");
    };
    refused(store().shards(0), &["`shards` must be", "0 was given"]);
    refused(store().shards(1 << 20), &["`shards` must be", "1048576 was given"]);
    refused(store().slots(0), &["`slots` must be", "0 was given"]);
    refused(store().shards(8).slots(4), &["`slots` must be", "8; 4 was given"]);
    refused(store().routing_key(RoutingKey::Prefix(0)), &["`routing_key` must be", "0 bytes was given"]);
    refused(store().with_write_buffer_size(1), &["write_buffer_size` must be", "1 was given"]);
    refused(store().with_max_background_jobs(0), &["max_background_jobs` must be", "0 was given"]);
    refused(store().with_buffered_sync_ms(0), &["`log.buffered_sync_ms` must be", "0 was given"]);
    assert!(!path.exists(), "a refused opening makes nothing");
}

/// A store that is opened otherwise than it was made is left as it is.
#[test]
fn opening_otherwise_than_it_was_made_is_refused() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("store");
    let store = || Database::builder(&path);
    let db = store().shards(3).slots(64).routing_key(RoutingKey::Prefix(4)).open()?;
    db.commit(batch("a", "1"))?;
    db.close()?;
    let before = files::contents(&path);
    let kind = ErrorKind::Mismatch;
    refused(store().shards(4).open(), kind, &["shards", "3", "4"]);
    refused(store().slots(128).open(), kind, &["slots", "64", "128"]);
    refused(store().routing_key(RoutingKey::Whole).open(), kind, &["routing key", "4"]);
    refused(store().routing_key(RoutingKey::Prefix(5)).open(), kind, &["routing key", "4", "5"]);
    assert_eq!(files::contents(&path), before, "a refused opening changes nothing");
    // What is not asked for is as it was made.
    let db = store().open()?;
    assert_eq!((db.shards(), db.get("a")?), (3, Some(b"1".to_vec())));
    db.close()?;
    store().shards(3).slots(64).routing_key(RoutingKey::Prefix(4)).open()?.close()
}

#[test]
fn a_directory_that_is_not_a_store_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let missing = dir.path().join("missing");
    refused(Database::builder(&missing).create_if_missing(false).open(), ErrorKind::NotAStore, &["missing"]);
    assert!(!missing.exists());

    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).expect("the test's own directory");
    refused(Database::builder(&empty).create_if_missing(false).open(), ErrorKind::NotAStore, &["empty"]);
    assert_eq!(files::walk(&empty).len(), 0);

    let photos = dir.path().join("photos");
    std::fs::create_dir_all(photos.join("2024")).expect("the test's own directory");
    std::fs::write(photos.join("2024/cat.jpg"), "not a store").expect("the test's own file");
    let before = files::contents(&photos);
    for create in [false, true] {
        let Err(error) = Database::builder(&photos).create_if_missing(create).open() else {
            panic!("somebody's photos were taken for a place for a store")
        };
        assert!(matches!(error.kind(), ErrorKind::NotAStore | ErrorKind::InvalidArgument), "{error}");
        assert!(error.to_string().contains("photos"), "{error}");
        assert_eq!(files::contents(&photos), before, "somebody's files were touched");
    }

    let file = dir.path().join("file");
    std::fs::write(&file, "a file").expect("the test's own file");
    let Err(error) = Database::open(&file) else { panic!("a file was taken for a store") };
    assert!(error.to_string().contains("file"), "{error}");
    assert_eq!(std::fs::read(&file).expect("it is still there"), b"a file");
}

#[test]
fn a_second_opening_in_this_process_is_refused() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("store");
    let db = Database::builder(&path).shards(2).open()?;
    let me = std::process::id().to_string();
    refused(Database::open(&path), ErrorKind::Locked, &["store", &me]);
    refused(Database::open(dir.path().join("./store")), ErrorKind::Locked, &[]);
    db.commit(batch("a", "1"))?;
    let snapshot = db.snapshot();
    db.close()?;
    // The lock stays as long as somebody can read.
    refused(Database::open(&path), ErrorKind::Locked, &[]);
    assert_eq!(snapshot.get("a")?, Some(b"1".to_vec()));
    drop(snapshot);
    assert_eq!(Database::open(&path)?.get("a")?, Some(b"1".to_vec()));
    Ok(())
}

#[test]
fn writing_to_a_closed_store_is_refused() -> Result<()> {
    with_both(|db| {
        db.commit_block(block(1, 1), batch("a", "1"))?;
        let mut txn = db.begin();
        txn.put("b", "2")?;
        db.clone().close()?;
        let kind = ErrorKind::Closed;
        refused(db.commit(batch("b", "2")), kind, &["closed"]);
        refused(db.seal_block(block(2, 2)), kind, &["closed"]);
        refused(txn.commit(), kind, &["closed"]);
        refused(db.rollback_to(1).and(db.commit(Batch::new())), kind, &["closed"]);
        assert_eq!((db.get("a")?, db.get("b")?), (Some(b"1".to_vec()), None));
        db.clone().close()
    })
}

const DIR: &str = "SHINGLE_TEST_DIR";

/// Not a test: a process that has the store open until its input ends.
#[test]
fn holder() {
    if child::is_child("holder") {
        let _db = Database::open(std::env::var_os(DIR).expect("the parent has set it")).expect("nobody has it open");
        writeln!(std::io::stdout(), "\nopen").expect("the parent listens");
        let _ended = std::io::stdin().lines().next();
    }
}

#[test]
fn a_second_process_is_told_who_has_the_store_open() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("store");
    Database::builder(&path).shards(2).open()?.close()?;
    let mut holder = child::command("holder")
        .env(DIR, &path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("this binary can be run");
    let output = holder.stdout.take().expect("it is piped");
    assert!(BufReader::new(output).lines().map_while(std::io::Result::ok).any(|line| line == "open"));
    refused(Database::open(&path), ErrorKind::Locked, &["store", &holder.id().to_string()]);
    // A killed holder leaves no lock behind.
    holder.kill().expect("it is not waited for yet");
    holder.wait().expect("it is waited for once");
    assert!(path.join("LOCK").exists());
    Database::open(&path)?.close()
}
