//! Keys and values that are hard on codecs, prefixes and bounds.

use super::oracle::{Key, Range, Value, prefix_range};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use std::ops::Bound;

/// Bytes at which an escape, a separator or the end of a prefix range would break.
const EDGES: [u8; 7] = [0x00, 0x01, 0x2f, 0x7f, 0x80, 0xfe, 0xff];
const KEY_BYTES_MAX: usize = 64 << 10;

/// The keys that one run works with.
pub(crate) struct Pool {
    keys: Vec<Key>,
}

impl Pool {
    pub(crate) fn new(rng: &mut SmallRng) -> Self {
        let count = *[8, 60, 400, 1500].choose(rng).expect("four sizes");
        let mut keys: Vec<Key> = (0..count).map(|_| short_key(rng)).collect();
        for _ in 0..rng.random_range(0..4) {
            keys.extend(long_keys(rng));
        }
        keys.sort_unstable();
        keys.dedup();
        Pool { keys }
    }

    /// A key of the pool; a third of the time one of the few that are written again and again.
    pub(crate) fn key(&self, rng: &mut SmallRng) -> Key {
        let hot = self.keys.len().min(5);
        let index =
            if rng.random_ratio(1, 3) { rng.random_range(0..hot) } else { rng.random_range(0..self.keys.len()) };
        self.keys[index].clone()
    }

    /// A key of the pool, or one beside it that was perhaps never written.
    pub(crate) fn any_key(&self, rng: &mut SmallRng) -> Key {
        let mut key = self.key(rng);
        match rng.random_range(0..8) {
            0 => key = short_key(rng),
            1 if key.len() < KEY_BYTES_MAX => key.push(*EDGES.choose(rng).expect("not empty")),
            2 if key.len() > 1 => {
                key.pop();
            }
            _ => {}
        }
        key
    }

    pub(crate) fn range(&self, rng: &mut SmallRng) -> Range {
        let mut bound = || match rng.random_range(0..5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(self.any_key(rng)),
            _ => Bound::Excluded(self.any_key(rng)),
        };
        (bound(), bound())
    }

    pub(crate) fn prefix(&self, rng: &mut SmallRng) -> Key {
        let key = self.any_key(rng);
        let bytes = rng.random_range(0..=key.len().min(8));
        key[..bytes].to_vec()
    }

    pub(crate) fn prefix_range(&self, rng: &mut SmallRng) -> (Key, Range) {
        let prefix = self.prefix(rng);
        let range = prefix_range(&prefix);
        (prefix, range)
    }
}

fn short_key(rng: &mut SmallRng) -> Key {
    match rng.random_range(0..7) {
        0 => vec![rng.random()],
        1 => vec![0x00; rng.random_range(1..10)],
        2 => vec![0xff; rng.random_range(1..10)],
        3 => format!("account/{:04}/storage/{:02}", rng.random_range(0..40), rng.random_range(0..20)).into_bytes(),
        4 => {
            let mut key = vec![0xff; rng.random_range(1..4)];
            key.extend((0..rng.random_range(0..4)).map(|_| rng.random::<u8>()));
            key
        }
        _ => (0..rng.random_range(1..7)).map(|_| *EDGES.choose(rng).expect("not empty")).collect(),
    }
}

/// Long keys that differ only at the end, or only in length.
fn long_keys(rng: &mut SmallRng) -> Vec<Key> {
    let bytes = *[255, 256, 4096, KEY_BYTES_MAX - 1].choose(rng).expect("four lengths");
    let stem = vec![*EDGES.choose(rng).expect("not empty"); bytes];
    let with = |last| [stem.as_slice(), &[last]].concat();
    vec![with(0x00), with(0x01), with(0xff), stem]
}

/// A value: mostly short and unlike any other, sometimes empty, seldom large.
pub(crate) fn value(rng: &mut SmallRng) -> Value {
    let bytes = match rng.random_range(0..1000) {
        0..80 => 0,
        80..900 => rng.random_range(1..40),
        900..997 => rng.random_range(40..2000),
        _ => rng.random_range(2000..150_000),
    };
    let mut value = vec![rng.random(); bytes];
    let unlike = rng.random::<u64>().to_be_bytes();
    let stamped = value.len().min(unlike.len());
    value[..stamped].copy_from_slice(&unlike[..stamped]);
    value
}
