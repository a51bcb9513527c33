//! What a block writes follows from its height alone, so that the state at each is known whatever a child has lived to do.

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use shingle::{Batch, Block};
use std::collections::BTreeMap;

pub(crate) const KEYS: u16 = 60;

pub(crate) type State = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) fn block(height: u64) -> Block {
    Block { height, timestamp_ms: height * 1000 }
}

fn writes(height: u64) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let mut rng = SmallRng::seed_from_u64(height);
    let mut keys: Vec<_> = (0..KEYS).collect();
    keys.shuffle(&mut rng);
    let count = rng.random_range(1..20);
    let write =
        |key: &u16| (key.to_be_bytes().to_vec(), (key % 4 != (height % 4) as u16).then(|| vec![height as u8; 9]));
    keys[..count].iter().map(write).collect()
}

pub(crate) fn batch(height: u64) -> Batch {
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
