//! Clients that read, and hardly ever look at the clock.

use super::clients::Work;
use super::keys::{Choices, KeySpace};
use super::recorder::Recorder;
use super::store::{Found, Reader};
use crate::args::PaceArgs;
use anyhow::ensure;
use std::time::Instant;

/// In a closed loop, one read in so many is timed: a look at the clock takes a tenth of the time of a fast read.
const READS_PER_LOOK: u64 = 16;

/// Reads, one after the other.
pub(super) struct Reads<R> {
    read: R,
    /// Reads before each that is timed.
    untimed: u64,
}

impl<R: FnMut() -> anyhow::Result<()>> Reads<R> {
    /// Times some of them, unless each is due at a moment of its own.
    pub(super) fn at(pace: &PaceArgs, read: R) -> Self {
        Reads { read, untimed: if pace.rate.is_some() { 0 } else { READS_PER_LOOK - 1 } }
    }

    /// Times each: those that may go to a disk differ too much from one another.
    pub(super) fn each_timed(read: R) -> Self {
        Reads { read, untimed: 0 }
    }
}

impl<R: FnMut() -> anyhow::Result<()>> Work for Reads<R> {
    fn step(&mut self, mut due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        if self.untimed > 0 {
            for _ in 0..self.untimed {
                (self.read)()?;
            }
            due = Instant::now();
        }
        (self.read)()?;
        recorder.done(due, self.untimed);
        Ok(())
    }
}

/// Reads a key that is there, and fails unless its value is its own.
#[inline]
pub(super) fn read_own_value(
    reader: &mut dyn Reader,
    choices: &mut Choices<'_>,
    space: &KeySpace,
) -> anyhow::Result<()> {
    let number = choices.number();
    let found = reader.get(choices.key(number))?;
    let expected = Some(Found { value_bytes: space.value_bytes(), stamp: number });
    ensure!(found == expected, "a read gave {found:?} instead of {expected:?}");
    Ok(())
}
