//! Sorting entries by key without looking at most keys twice.

use super::arena::{Address, ChunkTable, EntryRef, OrderKey, Position};

/// Bytes of a key that one comparison takes.
const WORD_BYTES: usize = 8;

/// The class of keys that go on after their word. Lower ones are the bytes of a key that ends within it: of two such keys
/// with the same word, padded with zeros, the shorter comes first.
const GOES_ON: u8 = WORD_BYTES as u8 + 1;

/// Fewer ties than this are broken by comparing whole keys.
const FEW: usize = 12;

/// So far ahead of their turn are ties looked for.
const LOOKAHEAD: usize = 16;

/// How often ties are broken by one more word before whole keys are compared, so that no choice of keys makes the stack deep.
const WORDS_MAX: usize = 6;

/// The first 8 bytes of `key`, in the order of keys, padded with zeros.
#[inline]
pub(super) fn word(key: &[u8]) -> u64 {
    match key.first_chunk::<WORD_BYTES>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; WORD_BYTES];
            bytes[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(bytes)
        }
    }
}

#[inline]
fn order_key(address: Address, rest_of_key: &[u8]) -> OrderKey {
    OrderKey::new(word(rest_of_key), rest_of_key.len().min(usize::from(GOES_ON)) as u8, address)
}

/// The living entries between two positions, by key, then the newest first. Those that are not the newest of their key are
/// marked as repeated.
pub(crate) fn sorted(chunks: &ChunkTable, from: Position, to: Position) -> Vec<OrderKey> {
    let living = chunks.entries(from, to).filter(|(_, entry)| !entry.is_dead());
    let mut keys: Vec<_> = living.map(|(address, entry)| order_key(address, entry.key())).collect();
    sort_words(chunks, &mut keys, 0, 0);
    keys
}

fn entry_of(chunks: &ChunkTable, key: OrderKey) -> EntryRef<'_> {
    chunks.entry(key.address()).expect("the caller's table has the entries that it gave")
}

/// Sorts keys whose bytes before `depth` are the same.
fn sort_words(chunks: &ChunkTable, keys: &mut [OrderKey], depth: usize, words: usize) {
    keys.sort_unstable();
    let mut start = 0;
    while let Some(first) = keys.get(start) {
        // Ties need a look at their entries, which lie scattered over the log.
        if let [.., a, b] = keys[start..].get(..LOOKAHEAD).unwrap_or_default()
            && a.ties_with(*b)
        {
            chunks.prefetch(a.address());
            chunks.prefetch(b.address());
        }
        let len = keys[start..].iter().take_while(|key| key.ties_with(*first)).count();
        let ties = &mut keys[start..start + len];
        start += len;
        if let [first, rest @ ..] = ties
            && !rest.is_empty()
        {
            if first.class() == GOES_ON {
                break_ties(chunks, ties, depth + WORD_BYTES, words + 1);
            } else {
                rest.iter_mut().for_each(OrderKey::mark_repeated);
            }
        }
    }
}

/// As [`sort_words`], by what follows `depth`, and without changing the words.
fn break_ties(chunks: &ChunkTable, ties: &mut [OrderKey], mut depth: usize, words: usize) {
    if ties.len() <= FEW || words > WORDS_MAX {
        ties.sort_unstable_by(|&a, &b| {
            let by_key = entry_of(chunks, a).key()[depth..].cmp(&entry_of(chunks, b).key()[depth..]);
            by_key.then_with(|| b.address().cmp(&a.address()))
        });
        for at in (1..ties.len()).rev() {
            if entry_of(chunks, ties[at]).key()[depth..] == entry_of(chunks, ties[at - 1]).key()[depth..] {
                ties[at].mark_repeated();
            }
        }
        return;
    }
    let first = entry_of(chunks, ties[0]).key();
    depth = ties.iter().fold(first.len(), |common, tie| {
        let key = entry_of(chunks, *tie).key();
        let differ = first[depth..common].iter().zip(&key[depth..]).position(|(a, b)| a != b);
        differ.map_or(common.min(key.len()), |at| depth + at)
    });
    let mut rest: Vec<_> =
        ties.iter().map(|tie| order_key(tie.address(), &entry_of(chunks, *tie).key()[depth..])).collect();
    sort_words(chunks, &mut rest, depth, words);
    for (tie, sorted) in ties.iter_mut().zip(rest) {
        *tie = tie.with_address_of(sorted);
    }
}
