//! A store that is made once and damaged often.

use crate::{bytes, files};
use shingle::{At, Batch, Block, Builder, Config, Database, ErrorKind, Result, SealedBlock, Version};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) const SHARDS: usize = 3;

pub(crate) fn builder(path: &Path) -> Builder {
    let mut config = Config::default();
    config.log.segment_bytes = 1 << 20;
    config.flush.blocks_per_flush = 0;
    config.flush.interval_secs = 0;
    Database::builder(path).config(config)
}

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store as one moment left it, and what it must answer.
pub(crate) struct Specimen {
    dir: TempDir,
    /// The state that each commit has left; damage may take the newest, but never change one.
    states: Vec<(Version, State)>,
    blocks: Vec<SealedBlock>,
    /// Where the record of each commit that is not flushed lies in the log.
    pub(crate) records: Vec<Record>,
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) version: Version,
    pub(crate) segment: PathBuf,
    pub(crate) bytes: Range<usize>,
}

impl Specimen {
    /// Some commits that are flushed, then `unflushed` ones that are only in the log.
    pub(crate) fn make(unflushed: usize, closed: bool) -> Specimen {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let live = dir.path().join("live");
        let db = builder(&live).shards(SHARDS).open().expect("an empty directory takes a store");
        let mut specimen =
            Specimen { dir, states: vec![(0, BTreeMap::new())], blocks: Vec::new(), records: Vec::new() };
        for n in 0..40 {
            specimen.commit(&db, n);
        }
        db.flush().expect("room on the disk");
        for n in 40..40 + unflushed {
            let before = log_files(&live);
            specimen.commit(&db, n);
            specimen.note_record(&live, &before);
        }
        if closed {
            db.close().expect("a sound disk");
            bytes::copy(&live, &specimen.pristine());
        } else {
            bytes::copy(&live, &specimen.pristine());
            drop(db);
        }
        fs::remove_dir_all(live).expect("nobody has it open");
        specimen
    }

    fn commit(&mut self, db: &Database, n: usize) {
        let mut batch = Batch::new();
        let mut state = self.newest_state().clone();
        for k in 0..20 {
            let key = format!("key/{:03}", (n * 7 + k) % 200).into_bytes();
            let value = format!("value {n} of {k} {}", "x".repeat((n * k) % 90)).into_bytes();
            batch.put(&key, &value);
            state.insert(key, value);
        }
        let block = Block { height: n as u64 * 2 + 2, timestamp_ms: n as u64 * 100 };
        let version = db.commit_block(block, batch).expect("a sound block");
        self.blocks.push(SealedBlock { height: block.height, timestamp_ms: block.timestamp_ms, version });
        self.states.push((version, state));
    }

    /// The bytes of the log that have changed since `before`.
    fn note_record(&mut self, live: &Path, before: &BTreeMap<PathBuf, Option<Vec<u8>>>) {
        let (version, _) = self.states.last().expect("a commit was made");
        for (segment, bytes) in log_files(live) {
            let bytes = bytes.expect("the log has no directories");
            let old = before.get(&segment).cloned().flatten().unwrap_or_else(|| vec![0; bytes.len()]);
            if let Some(bytes) = bytes::first_difference(&old, &bytes) {
                self.records.push(Record { version: *version, segment, bytes });
            }
        }
    }

    fn newest_state(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.states.last().expect("there is the empty one").1
    }

    pub(crate) fn newest_version(&self) -> Version {
        self.states.last().expect("there is the empty one").0
    }

    pub(crate) fn pristine(&self) -> PathBuf {
        self.dir.path().join("pristine")
    }

    /// A fresh copy to be damaged; the one before is gone.
    pub(crate) fn copy(&self) -> PathBuf {
        let copy = self.dir.path().join("copy");
        if copy.exists() {
            fs::remove_dir_all(&copy).expect("nobody has it open");
        }
        bytes::copy(&self.pristine(), &copy);
        copy
    }

    /// Reads everything. Each answer must be right for the version that the store shows, or an error that says damage. Returns whether there was one.
    pub(crate) fn answers(&self, db: &Database) -> bool {
        self.answers_as_of(db, db.version())
    }

    /// The same for a store that has gone back to version `at`.
    fn answers_as_of(&self, db: &Database, at: Version) -> bool {
        let (_, state) = self.states.iter().rfind(|(version, _)| *version <= at).expect("there is the empty one");
        let mut damaged = false;
        let mut seen = BTreeMap::new();
        let mut whole = true;
        for row in db.prefix("") {
            match row {
                Ok((key, value)) => drop(seen.insert(key, value)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
                    whole = false;
                }
            }
        }
        damaged |= !whole;
        assert!(seen.iter().all(|(key, value)| state.get(key) == Some(value)), "a scan served what was never there");
        assert!(!whole || seen.len() == state.len(), "a scan left out what is there");
        for (key, value) in state {
            match db.get(key) {
                Ok(found) => assert_eq!(found.as_ref(), Some(value), "a wrong value was served"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
                    damaged = true;
                }
            }
        }
        for block in self.blocks.iter().filter(|block| block.version <= at) {
            assert_eq!(db.block(block.height), Some(*block), "a block was lost");
            let then = db.snapshot_at(At::Height(block.height)).expect("the block is there");
            let state = &self.states.iter().find(|(version, _)| *version == block.version).expect("it was made").1;
            match then.prefix("").collect::<Result<BTreeMap<_, _>>>() {
                Ok(found) => assert_eq!(&found, state, "a wrong past was served"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
                    damaged = true;
                }
            }
        }
        assert!(db.head().is_none_or(|head| self.blocks.contains(&head)));
        damaged
    }

    /// The store in `path` must have lost nothing before `lost`, and all of it from there on; it goes on as if nothing had been.
    pub(crate) fn ends_before(&self, db: Database, lost: Version, path: &Path) {
        // What is given up on request is rolled back, which has a version of its own.
        assert!(db.version() == lost - 1 || db.version() > self.newest_version(), "it stands at {}", db.version());
        assert!(!self.answers_as_of(&db, lost - 1));
        let mut batch = Batch::new();
        batch.put("afterwards", "1");
        let version = db.commit(batch).expect("a sound store");
        assert!(version > self.newest_version(), "version {version} was given before the damage");
        drop(db);
        let db = builder(path).open().expect("what was lost once does not get in the way again");
        assert_eq!(db.get("afterwards").expect("a sound store"), Some(b"1".to_vec()));
        assert_eq!(db.version(), version);
        let report = db.verify(&|_| {}).expect("room on the disk");
        assert!(report.is_sound(), "{report:?}");
    }
}

pub(crate) fn log_files(store: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    files::contents(&store.join("log")).into_iter().map(|(path, bytes)| (Path::new("log").join(path), bytes)).collect()
}
