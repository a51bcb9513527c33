//! A full disk: commits fail, reads go on, nothing of a failed commit remains, and commits succeed when there is room again.

#[path = "support/mount.rs"]
mod mount;

use mount::Mount;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use shingle::{Batch, Block, Config, Database, ErrorKind, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A disk of 24 MiB, in memory.
fn small_disk() -> Option<Mount> {
    Mount::new(&["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
}

fn open(path: &Path) -> Result<Database> {
    let mut config = Config::default();
    config.log.segment_bytes = 1 << 20;
    config.rocksdb.write_buffer_size = 1 << 20;
    config.rocksdb.max_write_buffer_number = 2;
    Database::builder(path).shards(2).config(config).open()
}

/// What was acknowledged, and all that the store may hold.
type Acknowledged = BTreeMap<Vec<u8>, Vec<u8>>;

/// Commits, every third one as a block, until one fails; that one must leave nothing. Returns how many succeeded.
fn commit_until_full(db: &Database, bytes: usize, acknowledged: &mut Acknowledged) -> usize {
    for n in 0..20_000 {
        let id = acknowledged.len() as u64;
        let mut batch = Batch::new();
        // Nothing that compression could make room from.
        let mut value = vec![0; bytes];
        SmallRng::seed_from_u64(id).fill(value.as_mut_slice());
        let keys = [0, 1, 2].map(|part: u8| [id.to_be_bytes().as_slice(), &[part]].concat());
        for key in &keys {
            batch.put(key, &value);
        }
        let (version, head) = (db.version(), db.head());
        let outcome = if n % 3 == 0 {
            let height = head.map_or(1, |head| head.height + 1);
            db.commit_block(Block { height, timestamp_ms: height }, batch)
        } else {
            db.commit(batch)
        };
        match outcome {
            Ok(_) => acknowledged.extend(keys.map(|key| (key, value.clone()))),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
                assert!(error.to_string().contains("no space left"), "{error}");
                assert_eq!((db.version(), db.head()), (version, head), "a failed commit is not seen");
                for key in &keys {
                    assert_eq!(db.get(key).expect("reads go on"), None, "a part of a failed commit is seen");
                }
                return n;
            }
        }
    }
    panic!("the disk never got full");
}

fn holds_exactly(db: &Database, acknowledged: &Acknowledged) {
    let found: Acknowledged = db.prefix("").collect::<Result<_>>().expect("reads go on");
    assert!(found == *acknowledged, "{} keys were acknowledged, {} are there", acknowledged.len(), found.len());
}

/// A failed flush is tried again every now and then: there may be room before the store knows.
fn commit_when_there_is_room(db: &Database, acknowledged: &mut Acknowledged) {
    let patience = Instant::now() + Duration::from_secs(20);
    let (key, value) = (b"there is room".to_vec(), vec![1; 1000]);
    loop {
        let mut batch = Batch::new();
        batch.put(&key, &value);
        match db.commit(batch) {
            Ok(_) => break,
            Err(error) if Instant::now() < patience => assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}"),
            Err(error) => panic!("there is room again: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    acknowledged.insert(key, value);
}

#[test]
fn commits_fail_and_succeed_again_when_there_is_room() {
    for (kilobytes_left, value_bytes) in [(0, 500), (300, 500), (1100, 20_000), (2500, 3000), (4000, 60_000)] {
        let Some(disk) = small_disk() else { return };
        let (path, filler) = (disk.path().join("store"), disk.path().join("filler"));
        let db = open(&path).expect("there is room");
        let mut acknowledged = Acknowledged::new();
        db.commit({
            let mut batch = Batch::new();
            batch.put("first", "1");
            batch
        })
        .expect("there is room");
        acknowledged.insert(b"first".to_vec(), b"1".to_vec());

        let fill = || fill_but(disk.path(), &filler, kilobytes_left);
        fill();
        commit_until_full(&db, value_bytes, &mut acknowledged);
        holds_exactly(&db, &acknowledged);
        for _ in 0..3 {
            let _small_ones_may_fit = commit_until_full(&db, value_bytes, &mut acknowledged);
        }
        holds_exactly(&db, &acknowledged);

        fs::remove_file(&filler).expect("it was just written");
        commit_when_there_is_room(&db, &mut acknowledged);
        holds_exactly(&db, &acknowledged);

        fill();
        commit_until_full(&db, value_bytes, &mut acknowledged);
        let head = db.head();
        drop(db);
        fs::remove_file(&filler).expect("it was just written");
        let db = open(&path).expect("there is room");
        holds_exactly(&db, &acknowledged);
        assert_eq!(db.head(), head);
        let report = db.verify(&|_| {}).expect("there is room");
        assert!(report.is_sound(), "{report:?}");
    }
}

/// A store cannot be made where there is no room, and can be once there is.
#[test]
fn a_store_is_not_half_made_on_a_full_disk() {
    let Some(disk) = small_disk() else { return };
    let (path, filler) = (disk.path().join("store"), disk.path().join("filler"));
    for kilobytes_left in [0, 4, 40, 400, 900] {
        fill_but(disk.path(), &filler, kilobytes_left);
        match open(&path) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}"),
            Ok(_) => panic!("a store with a log of 1 MiB was made in {kilobytes_left} KiB"),
        }
        fs::remove_file(&filler).expect("it was just written");
    }
    let db = open(&path).expect("there is room");
    assert_eq!((db.version(), db.prefix("").count()), (0, 0));
}

/// Fills the disk with a file, up to so much. The store may be writing meanwhile.
fn fill_but(disk: &Path, filler: &Path, kilobytes: u64) {
    let file = fs::File::create(filler).expect("an empty file takes no room");
    let mut filled = 0;
    loop {
        let status = rustix::fs::statvfs(disk).expect("it is mounted");
        let bytes = (status.f_bavail * status.f_frsize).saturating_sub(kilobytes << 10);
        if bytes == 0 {
            return;
        }
        if rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), filled, bytes).is_ok() {
            filled += bytes;
        }
    }
}
