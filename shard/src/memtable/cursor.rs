//! Going through several runs at once in the order of keys.

use super::arena::{ChunkTable, EntryRef};
use super::order::{Run, Slot};
use crate::{KeyRange, Order};
use std::ops::Bound;

/// Entries are asked for so far ahead of their turn: they lie scattered over the log.
const LOOKAHEAD: usize = 6;

/// The newest entry of each key of a range, in order.
pub(crate) struct Cursor<'a> {
    chunks: &'a ChunkTable,
    order: Order,
    /// What is left of each run, none of them empty.
    rests: Vec<&'a [Slot]>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(
        chunks: &'a ChunkTable,
        runs: impl Iterator<Item = &'a Run>,
        range: &KeyRange,
        order: Order,
    ) -> Self {
        let within = |run: &'a Run| {
            let start = match &range.start {
                Bound::Included(key) => run.position(chunks, key, false),
                Bound::Excluded(key) => run.position(chunks, key, true),
                Bound::Unbounded => 0,
            };
            let end = match &range.end {
                Bound::Included(key) => run.position(chunks, key, true),
                Bound::Excluded(key) => run.position(chunks, key, false),
                Bound::Unbounded => run.slots().len(),
            };
            run.slots().get(start..end).unwrap_or_default()
        };
        let rests: Vec<_> = runs.map(within).filter(|slots| !slots.is_empty()).collect();
        for rest in &rests {
            (0..LOOKAHEAD).for_each(|ahead| Cursor::prefetch(chunks, order, rest, ahead));
        }
        Cursor { chunks, order, rests }
    }

    #[inline]
    fn prefetch(chunks: &ChunkTable, order: Order, rest: &[Slot], ahead: usize) {
        let slot = match order {
            Order::Ascending => rest.get(ahead),
            Order::Descending => rest.iter().nth_back(ahead),
        };
        if let Some(slot) = slot {
            slot.prefetch(chunks);
        }
    }

    #[inline]
    fn front(order: Order, rest: &'a [Slot]) -> Slot {
        let front = match order {
            Order::Ascending => rest.first(),
            Order::Descending => rest.last(),
        };
        *front.expect("empty rests are removed")
    }
}

impl<'a> Iterator for Cursor<'a> {
    type Item = EntryRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<EntryRef<'a>> {
        let (chunks, order) = (self.chunks, self.order);
        let (first, others) = self.rests.split_first()?;
        let mut best = Cursor::front(order, first);
        let mut ties = false;
        for rest in others {
            let slot = Cursor::front(order, rest);
            let by_key = match order {
                Order::Ascending => slot.cmp_key(best, chunks),
                Order::Descending => best.cmp_key(slot, chunks),
            };
            if by_key.is_lt() {
                (best, ties) = (slot, false);
            } else if by_key.is_eq() {
                ties = true;
                if slot.is_newer(best) {
                    best = slot;
                }
            }
        }
        self.rests.retain_mut(|rest| {
            let slot = Cursor::front(order, rest);
            if slot.is(best) || (ties && slot.cmp_key(best, chunks).is_eq()) {
                *rest = match order {
                    Order::Ascending => &rest[1..],
                    Order::Descending => &rest[..rest.len() - 1],
                };
                Cursor::prefetch(chunks, order, rest, LOOKAHEAD - 1);
            }
            !rest.is_empty()
        });
        Some(best.entry(chunks))
    }
}
