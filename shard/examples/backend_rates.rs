//! How fast the RocksDB backend takes runs in, reads them back, and what its files weigh.
//!
//! ```text
//! cargo run --release --workspace --example backend_rates -- DIR [MILLIONS OF KEYS]
//! ```
//! DIR must be empty or missing; the figures are for keys of 32 bytes and values of 100, on Linux. They are CPU time of the calling
//! thread, which other processes disturb less than elapsed time.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod keys;

use keys::{key, mix};
use shingle_shard::backend::{
    Backend, ChangesFrom, Identity, Page, PageLimit, RocksBackend, RocksOptions, RocksShared, RowRef, Run,
};
use shingle_shard::{Error, KeyRange, Order, Version};
use std::hint::black_box;
use std::path::PathBuf;

const ROWS_PER_RUN: u64 = 400_000;
const VERSIONS_PER_RUN: u64 = 100;
const READS: u64 = 200_000;
const VALUE: [u8; 100] = [0x5a; 100];

struct SortedRun {
    rows: Vec<([u8; 32], Version)>,
    changes: Vec<(Version, [u8; 32])>,
    values: Vec<[u8; 100]>,
}

impl SortedRun {
    fn new(first: u64, keys: u64, version: Version) -> Self {
        let numbers = (first..first + ROWS_PER_RUN).map(|n| if n < keys { n } else { mix(n) % keys });
        let per_version = ROWS_PER_RUN / VERSIONS_PER_RUN;
        let mut rows: Vec<_> = numbers.enumerate().map(|(i, n)| (key(n), version + i as u64 / per_version)).collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        rows.dedup();
        let mut changes: Vec<_> = rows.iter().map(|(key, version)| (*version, *key)).collect();
        changes.sort_unstable();
        let values = rows
            .iter()
            .map(|(key, version)| {
                let mut value = VALUE;
                value[..32].copy_from_slice(key);
                value[32..40].copy_from_slice(&mix(*version).to_be_bytes());
                value
            })
            .collect();
        SortedRun { rows, changes, values }
    }
}

impl Run for SortedRun {
    fn rows(&self) -> Box<dyn Iterator<Item = RowRef<'_>> + '_> {
        let rows = self.rows.iter().zip(&self.values);
        Box::new(rows.map(|((key, version), value)| RowRef { key, version: *version, value: Some(value) }))
    }

    fn changes(&self) -> Box<dyn Iterator<Item = (Version, &[u8])> + '_> {
        Box::new(self.changes.iter().map(|(version, key)| (*version, &key[..])))
    }
}

/// CPU time that this thread has used.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let nanoseconds: f64 = stat.split(' ').next().and_then(|n| n.parse().ok()).expect("it begins with a number");
    nanoseconds / 1e9
}

fn per_second(what: &str, count: u64, seconds: f64) {
    println!("{what:<24} {:>9.3} M/s {:>9.3} µs each", count as f64 / seconds / 1e6, seconds * 1e6 / count as f64);
}

fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().expect("usage: backend_rates DIR [MILLIONS OF KEYS]"));
    let keys = args.next().map_or(2, |n| n.parse().expect("a number of millions")) * 1_000_000_u64;
    let options = RocksOptions { block_cache_size: 256 << 20, ..RocksOptions::default() };
    let shared = RocksShared::new(&options, 1)?;
    let backend =
        RocksBackend::create(&dir, &Identity { store: "bench".into(), shard: 0, format: 1 }, &options, &shared)?;

    let (mut applied, mut seconds, mut bytes, mut version) = (0, 0.0, 0, 1);
    for first in (0..keys * 2).step_by(ROWS_PER_RUN as usize) {
        let run = SortedRun::new(first, keys, version);
        version += VERSIONS_PER_RUN;
        let start = cpu_seconds();
        let done = backend.apply(&run, version - 1, 1)?;
        seconds += cpu_seconds() - start;
        applied += done.rows;
        bytes += done.bytes;
    }
    per_second("apply", applied, seconds);
    println!("{} bytes written a row", bytes / applied);
    backend.wait_for_compactions()?;
    println!("{:?}", backend.stats());

    for (what, offset) in [("get, key there", 0), ("get, key absent", 1 << 40)] {
        for round in ["cold", "warm"] {
            let start = cpu_seconds();
            for i in 0..READS {
                black_box(backend.get(&key(mix(i) % keys + offset), u64::MAX)?);
            }
            per_second(&format!("{what}, {round}"), READS, cpu_seconds() - start);
        }
    }
    let mut page = Page::default();
    for order in [Order::Ascending, Order::Descending] {
        let mut range = KeyRange::all();
        let (mut count, start) = (0, cpu_seconds());
        loop {
            backend.scan(&range, u64::MAX, order, PageLimit { rows: 1000, bytes: 1 << 20 }, &mut page)?;
            count += page.len() as u64;
            let Some(last) = page.len().checked_sub(1).and_then(|last| page.get(last)) else { break };
            let bound = std::ops::Bound::Excluded(last.key.to_vec());
            *(if order == Order::Ascending { &mut range.start } else { &mut range.end }) = bound;
        }
        per_second(&format!("scan, {order:?}"), count, cpu_seconds() - start);
    }
    let (start, from) = (cpu_seconds(), ChangesFrom::After(version - 2 * VERSIONS_PER_RUN));
    backend.changes(from, Version::MAX, PageLimit { rows: 200_000, bytes: usize::MAX }, &mut page)?;
    per_second("changes, with values", page.len() as u64, cpu_seconds() - start);
    let start = cpu_seconds();
    backend.verify(&mut |_| Ok(()), &mut |_, _| Ok(()))?;
    per_second("verify", applied, cpu_seconds() - start);
    let (keep, start) = (version - 2 * VERSIONS_PER_RUN, cpu_seconds());
    let retracted = backend.retract(keep, 1)?;
    per_second("retract", retracted, cpu_seconds() - start);
    Ok(())
}
