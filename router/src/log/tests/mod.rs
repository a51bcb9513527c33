//! Tests of the whole log on a simulated disk.

mod basics;
mod damage;
mod history;
mod real_disk;

use super::sim_disk::SimDisk;
use super::{Frame, Held, Kind, Log, LogOptions, Recover, Recovered, payload_checksum};
use crate::Result;
use crate::layout::StoreId;
use rand::Rng;
use rand::rngs::SmallRng;
use shingle_shard::Version;
use std::path::PathBuf;
use std::sync::Arc;

const STORE: StoreId = *b"0123456789abcdef";

/// Room for one page of frames: a few groups fill a segment.
const SEGMENT_BYTES: u64 = 8192;

/// A record as a test remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    version: Version,
    kind: Kind,
    payload: Vec<u8>,
}

impl Record {
    fn commit(version: Version, payload: impl Into<Vec<u8>>) -> Self {
        Record { version, kind: Kind::Commit, payload: payload.into() }
    }

    /// A record of a size that may be nothing, small, larger than what is copied, or rarely larger than a segment.
    fn random(version: Version, rng: &mut SmallRng) -> Self {
        let bytes = match rng.random_range(0..20) {
            0 => 0,
            1..12 => rng.random_range(1..200),
            12..17 => rng.random_range(200..2000),
            17..19 => rng.random_range(3000..6000),
            _ => rng.random_range(6000..20_000),
        };
        let kind = if rng.random_bool(0.1) { Kind::Rollback } else { Kind::Commit };
        let mut payload = vec![0; bytes];
        rng.fill(payload.as_mut_slice());
        Record { version, kind, payload }
    }

    fn frame(&self) -> Frame<'_> {
        let checksum = payload_checksum(&self.payload);
        Frame { version: self.version, kind: self.kind, payload: &self.payload, checksum }
    }
}

fn options() -> LogOptions {
    LogOptions { dir: PathBuf::from("log"), store_id: STORE, segment_bytes: SEGMENT_BYTES, recycled_max: 2 }
}

fn create(disk: &SimDisk) -> Result<Log> {
    Log::create_on(Arc::new(disk.clone()), options(), 0)
}

fn open(disk: &SimDisk, recover: Recover, from: Version) -> Result<(Log, Recovered, Vec<Record>)> {
    let mut records = Vec::new();
    let mut visit = |frame: Frame<'_>| {
        assert_eq!(payload_checksum(frame.payload), frame.checksum);
        records.push(Record { version: frame.version, kind: frame.kind, payload: frame.payload.to_vec() });
        Ok(())
    };
    let (log, recovered) = Log::open_on(Arc::new(disk.clone()), options(), recover, held(from), &mut visit)?;
    Ok((log, recovered, records))
}

fn held(version: Version) -> Held {
    Held { by_all: version, by_any: version }
}

fn append(log: &mut Log, records: &[Record]) -> Result<()> {
    log.append(&records.iter().map(Record::frame).collect::<Vec<_>>())
}
