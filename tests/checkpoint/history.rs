//! What a store was told, in order: what it must answer at any version follows from it.

use rand::Rng;
use rand::rngs::SmallRng;
use shingle::{At, Batch, Block, Database, ErrorKind, SealedBlock, Version};
use std::collections::BTreeMap;

type Key = Vec<u8>;
type State = BTreeMap<Key, Vec<u8>>;
type Writes = BTreeMap<Key, Option<Vec<u8>>>;

#[derive(Clone, Debug)]
enum Event {
    Commit { version: Version, block: Option<Block>, writes: Writes },
    RolledBack { keep: Version, at: Version },
}

impl Event {
    fn version(&self) -> Version {
        match self {
            Event::Commit { version, .. } => *version,
            Event::RolledBack { at, .. } => *at,
        }
    }
}

/// Written by one thread, so that the order of events is the order of versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Vec<Event>);

impl History {
    /// A few commits at once, some of them blocks, and now and then a rollback.
    pub(crate) fn go_on(&mut self, db: &Database, rng: &mut SmallRng, rolls_back: bool) {
        let head = db.head();
        if rolls_back && rng.random_ratio(1, 60) {
            let blocks = db.blocks(..);
            let back = rng.random_range(1..=6).min(blocks.len());
            if back == 0 {
                return;
            }
            let to = blocks[blocks.len() - back];
            let before = db.version();
            let at = db.rollback_to(to.height).expect("a retained block");
            if at > before {
                self.0.push(Event::RolledBack { keep: to.version, at });
            }
            return;
        }
        let (mut height, mut timestamp_ms) = head.map_or((0, 0), |head| (head.height, head.timestamp_ms));
        let submitted: Vec<_> = (0..rng.random_range(1..6))
            .map(|_| {
                let writes = random_writes(rng);
                let mut batch = Batch::new();
                for (key, value) in &writes {
                    match value {
                        Some(value) => batch.put(key, value),
                        None => batch.delete(key),
                    };
                }
                let block = rng.random_ratio(1, 2).then(|| {
                    height += rng.random_range(1..3);
                    timestamp_ms += rng.random_range(0..1000);
                    Block { height, timestamp_ms }
                });
                let handle = match block {
                    Some(block) => db.submit_block(block, batch),
                    None => db.submit(batch),
                };
                (handle.expect("a sound batch"), block, writes)
            })
            .collect();
        for (handle, block, writes) in submitted {
            let version = handle.wait().expect("a sound disk");
            self.0.push(Event::Commit { version, block, writes });
        }
    }

    /// The newest version.
    pub(crate) fn version(&self) -> Version {
        self.0.last().map_or(0, Event::version)
    }

    /// Panics unless the store is exactly what this history makes of it up to version `at`: every key at every block, every change, every block.
    pub(crate) fn check(&self, db: &Database, at: Version) {
        let mut commits = BTreeMap::<Version, &Writes>::new();
        let mut blocks = Vec::<SealedBlock>::new();
        let mut removed = Vec::new();
        for event in self.0.iter().take_while(|event| event.version() <= at) {
            match event {
                Event::Commit { version, block, writes } => {
                    commits.insert(*version, writes);
                    blocks.extend(block.map(|Block { height, timestamp_ms }| SealedBlock {
                        height,
                        timestamp_ms,
                        version: *version,
                    }));
                }
                Event::RolledBack { keep, at } => {
                    commits.split_off(&(keep + 1));
                    blocks.retain(|block| block.version <= *keep);
                    removed.push(keep + 1..*at);
                }
            }
        }
        assert_eq!(db.version(), at);
        assert_eq!(db.blocks(..), blocks);
        let state = |at: Version| {
            let mut state = State::new();
            for (key, value) in commits.range(..=at).flat_map(|(_, writes)| writes.iter()) {
                match value {
                    Some(value) => state.insert(key.clone(), value.clone()),
                    None => state.remove(key),
                };
            }
            state
        };
        let read = |at| -> State {
            let snapshot = db.snapshot_at(at).expect("a retained version");
            snapshot.prefix("").collect::<shingle::Result<_>>().expect("a sound store")
        };
        assert!(read(At::Newest) == state(at), "the newest state differs");
        for block in &blocks {
            assert!(read(At::Height(block.height)) == state(block.version), "the state at {block:?} differs");
        }
        for gone in removed {
            if !gone.is_empty() {
                let refused = db.snapshot_at(At::Version(gone.start)).expect_err("it was rolled back");
                assert_eq!(refused.kind(), ErrorKind::RolledBack);
            }
        }
        let changes: Vec<_> = db
            .changes_since(0)
            .expect("nothing is pruned")
            .map(|change| change.map(|change| (change.version, change.key, change.value)))
            .collect::<shingle::Result<_>>()
            .expect("a sound store");
        let expected: Vec<_> = commits
            .iter()
            .flat_map(|(version, writes)| writes.iter().map(|(key, value)| (*version, key.clone(), value.clone())))
            .collect();
        assert!(changes == expected, "the changes differ");
        let report = db.verify(&|_| {}).expect("room on the disk");
        assert!(report.is_sound(), "{report:?}");
    }
}

fn random_writes(rng: &mut SmallRng) -> Writes {
    (0..rng.random_range(0..12))
        .map(|_| {
            let key = format!("key {}", rng.random_range(0..300)).into_bytes();
            let mut value = vec![0; rng.random_range(0..300)];
            rng.fill(value.as_mut_slice());
            (key, (!rng.random_ratio(1, 5)).then_some(value))
        })
        .collect()
}
