//! The versions of one key: a list from newest to oldest, with express links over long histories.
//!
//! An entry's depth is how many versions its key had in memory before it. Depths that are multiples of 8 are stops. An
//! entry between stops has an express link to the stop before it; a stop's goes to an earlier stop, chosen as in Myers'
//! skew-binary random-access stack: twice as far where two equal jumps meet, so that any version is reached in a
//! logarithmic number of steps, and a new entry costs a look at three stops every eighth time.

use super::arena::{Address, ChunkTable, EntryRef};
use crate::Version;

const STOP_EVERY: u32 = 8;

/// Steps along the list before express links are tried: most reads want one of the newest versions.
const STEPS_BEFORE_EXPRESS: u32 = 3;

/// Where a new entry hangs in its key's history.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lineage {
    pub(super) older: Option<Address>,
    pub(super) express: Option<Address>,
    pub(super) depth: u32,
}

impl Lineage {
    /// The place on top of `old`, which lies at `address`.
    pub(super) fn above(table: &ChunkTable, address: Address, old: EntryRef<'_>) -> Self {
        // A hot key's depth may run over: links then reach less far until the next stops, and no read goes wrong by it.
        let depth = old.depth().wrapping_add(1);
        let stop_below = if old.depth().is_multiple_of(STOP_EVERY) { Some(address) } else { old.express() };
        let express = if depth.is_multiple_of(STOP_EVERY) {
            stop_below.map(|stop| jump_over(table, stop).unwrap_or(stop))
        } else {
            stop_below
        };
        Lineage { older: Some(address), express, depth }
    }

    /// The place of `old`, which the new entry replaces.
    pub(super) fn of(old: EntryRef<'_>) -> Self {
        Lineage { older: old.older(), express: old.express(), depth: old.depth() }
    }
}

/// Where the stop after `stop` jumps to, if farther than to `stop`.
fn jump_over(table: &ChunkTable, stop: Address) -> Option<Address> {
    let top = table.entry(stop)?;
    let first = table.entry(top.express()?)?;
    let second_address = first.express()?;
    let second = table.entry(second_address)?;
    let equal = top.depth().wrapping_sub(first.depth()) == first.depth().wrapping_sub(second.depth());
    equal.then_some(second_address)
}

/// The newest living entry whose version is at most `at`, from `entry` down its key's history. `None`: none in memory.
#[inline]
pub(super) fn newest_at_most<'a>(table: &'a ChunkTable, entry: EntryRef<'a>, at: Version) -> Option<EntryRef<'a>> {
    descend(table, entry, at, || ())
}

/// As [`newest_at_most`], and tells of each step.
#[inline]
fn descend<'a>(
    table: &'a ChunkTable,
    mut entry: EntryRef<'a>,
    at: Version,
    mut step: impl FnMut(),
) -> Option<EntryRef<'a>> {
    let mut steps = 0;
    while entry.version() > at || entry.is_dead() {
        step();
        steps += 1;
        // What an express link skips lies between two versions above `at`.
        let express =
            if steps > STEPS_BEFORE_EXPRESS { entry.express().and_then(|stop| table.entry(stop)) } else { None };
        entry = match express.filter(|stop| stop.version() > at) {
            Some(stop) => stop,
            None => table.entry(entry.older()?)?,
        };
    }
    Some(entry)
}

/// How many steps lead from `entry` to version `at`.
#[cfg(test)]
pub(crate) fn steps_to(table: &ChunkTable, entry: EntryRef<'_>, at: Version) -> usize {
    let mut steps = 0;
    descend(table, entry, at, || steps += 1);
    steps
}
