//! A chain whose blocks write what follows from their height alone: the state at each is known whatever was done, killed or rolled back meanwhile.

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use shingle::{Batch, Block, Database};
use std::collections::BTreeMap;

pub(crate) const KEYS: u16 = 60;

pub(crate) type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn block(height: u64) -> Block {
    Block { height, timestamp_ms: height * 1000 }
}

pub(crate) fn writes(height: u64) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let mut rng = SmallRng::seed_from_u64(height);
    let mut keys: Vec<_> = (0..KEYS).collect();
    keys.shuffle(&mut rng);
    let count = rng.random_range(1..20);
    let write =
        |key: &u16| (key.to_be_bytes().to_vec(), (key % 4 != (height % 4) as u16).then(|| vec![height as u8; 9]));
    keys[..count].iter().map(write).collect()
}

fn batch(height: u64) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in writes(height) {
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        };
    }
    batch
}

pub(crate) fn state_at(height: u64) -> State {
    let mut state = State::new();
    for (key, value) in (1..=height).flat_map(writes) {
        match value {
            Some(value) => state.insert(key, value),
            None => state.remove(&key),
        };
    }
    state
}

/// Seals the block above the newest one; its height.
pub(crate) fn seal(db: &Database) -> u64 {
    let height = db.head().map_or(0, |head| head.height) + 1;
    db.commit_block(block(height), batch(height)).expect("a sound store");
    height
}
