//! What a benchmark asks of a store. Every store that is measured implements this, so that all run the same code.

use super::clients::sleep_until;
use super::keys::STAMP_BYTES;
use super::recorder::Recorder;
use std::time::{Duration, Instant};

/// Takes the writes of one block.
pub(crate) trait Writes {
    fn put(&mut self, key: &[u8], value: &[u8]);
}

/// A store under measurement.
pub(crate) trait Store: Sync {
    /// How it is configured: printed with the results.
    fn configuration(&self) -> Vec<(&'static str, String)>;

    /// Commits what `fill` writes as one atomic block, which is durable when this returns. Heights rise by one.
    fn commit_block(&self, height: u64, fill: &mut dyn FnMut(&mut dyn Writes)) -> anyhow::Result<()>;

    /// Flushes memory, waits until compaction has nothing left to do, and tells since when that is so.
    fn settle(&self) -> anyhow::Result<Instant>;

    /// Reads of the newest state.
    fn reader(&self) -> anyhow::Result<Box<dyn Reader + '_>>;

    /// Reads of the state as of `height`; `None` if the store keeps no old versions.
    fn reader_at(&self, height: u64) -> anyhow::Result<Option<Box<dyn Reader + '_>>>;

    /// A client that commits, and keeps up to `in_flight` commits under way if the store can.
    fn client(&self, in_flight: usize) -> anyhow::Result<Box<dyn Client + '_>>;

    /// How long writes were held back since the store was opened; `None` if it does not tell.
    fn stalled(&self) -> Option<Duration> {
        None
    }
}

/// What a read has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) value_bytes: usize,
    /// The beginning of the value.
    pub(crate) stamp: u64,
}

impl Found {
    #[inline]
    pub(crate) fn of(value: &[u8]) -> Self {
        Found { value_bytes: value.len(), stamp: stamp(value).unwrap_or_default() }
    }
}

/// The number at the beginning of a value.
#[inline]
pub(crate) fn stamp(value: &[u8]) -> Option<u64> {
    value.first_chunk::<STAMP_BYTES>().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Reads on one thread.
pub(crate) trait Reader {
    fn get(&mut self, key: &[u8]) -> anyhow::Result<Option<Found>>;

    /// Up to `limit` keys from `from` on, in order, with their values.
    fn scan(&mut self, from: &[u8], limit: usize, each: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<()>;

    /// From here on, reads see what is committed now. Does nothing where they always do.
    fn refresh(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Commits on one thread. Each is recorded as done once it is durable, from when it was due on.
pub(crate) trait Client {
    /// Adds `amounts` to the numbers at the beginning of the values of `keys`, which exist and differ, in one serializable
    /// transaction. Runs it again after a conflict, which is recorded.
    fn add(&mut self, keys: &[&[u8]], amounts: &[u64], due: Instant, recorder: &mut Recorder<'_>)
    -> anyhow::Result<()>;

    /// Sets one key.
    fn put(&mut self, key: &[u8], value: &[u8], due: Instant, recorder: &mut Recorder<'_>) -> anyhow::Result<()>;

    /// Commits that are under way.
    fn under_way(&self) -> usize {
        0
    }

    /// Nothing is due until `until`.
    fn idle(&mut self, until: Instant, _recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        sleep_until(until);
        Ok(())
    }

    /// Waits for what is under way.
    fn finish(&mut self, _recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        Ok(())
    }
}

/// `value` with `amount` added to the number at its beginning. Numbers wrap, so that their sum is exact.
pub(crate) fn added(value: Option<&[u8]>, amount: u64) -> anyhow::Result<Vec<u8>> {
    let value = value.ok_or_else(|| anyhow::anyhow!("a loaded key is gone"))?;
    let number = stamp(value).ok_or_else(|| anyhow::anyhow!("a value of {} bytes holds no number", value.len()))?;
    let mut value = value.to_vec();
    value[..STAMP_BYTES].copy_from_slice(&number.wrapping_add(amount).to_be_bytes());
    Ok(value)
}
