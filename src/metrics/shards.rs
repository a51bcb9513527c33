//! What the store knows of each shard, and the sums.

use super::family::{Families, Sample};
use crate::Status;
use shingle_router::ShardStats;

pub(super) fn describe(status: &Status, families: &mut Families) {
    let shards = &status.stats.shards;
    families.gauge("shingle_shards", "Shards.", shards.len() as f64);
    let mut gauge = |name: &str, help: &str, of: fn(&ShardStats) -> u64| {
        families.gauges(
            &format!("shingle_shard_{name}"),
            &format!("{help} of this shard."),
            shards.iter().map(|shard| Sample::of_shard(shard.number, of(shard) as f64)),
        );
        let sum: u64 = shards.iter().map(of).sum();
        families.gauge(&format!("shingle_{name}"), &format!("{help} of all shards."), sum as f64);
    };
    gauge("slots", "Slots", |shard| shard.slots);
    gauge("live_bytes", "Bytes of live data in the SST files", |shard| shard.live_bytes);
    gauge("pending_compaction_bytes", "Bytes that compaction still has to rewrite, estimated,", |shard| {
        shard.pending_compaction_bytes
    });
    gauge("memtable_bytes", "Bytes of the memtables", |shard| shard.memory_bytes);
    gauge("unflushed_bytes", "Bytes of the memtables that are not flushed,", |shard| shard.unflushed_bytes);
    families.gauges(
        "shingle_shard_flushed_version",
        "Version through which this shard is flushed.",
        shards.iter().map(|shard| Sample::of_shard(shard.number, shard.flushed_version as f64)),
    );
    families.counters(
        "shingle_shard_writes_total",
        "Keys put and deleted on this shard.",
        shards.iter().map(|shard| Sample::of_shard(shard.number, shard.writes as f64)),
    );
    let writes: u64 = shards.iter().map(|shard| shard.writes).sum();
    families.counter("shingle_writes_total", "Keys put and deleted.", writes as f64);
    reads(shards, families);
}

/// A figure of one shard.
type Figure = fn(&ShardStats) -> u64;

/// Where point reads found their answer.
const READS: [(&str, Figure); 3] = [
    ("memory", |shard| shard.reads_from_memory),
    ("row_cache", |shard| shard.reads_from_row_cache),
    ("rocksdb", |shard| shard.reads_from_engine),
];

fn reads(shards: &[ShardStats], families: &mut Families) {
    let of_shard = |shard: &ShardStats| {
        let number = shard.number;
        READS.map(|(source, of)| Sample::of_shard(number, of(shard) as f64).with("source", source))
    };
    let samples = shards.iter().flat_map(of_shard);
    families.counters("shingle_shard_reads_total", "Point reads of this shard, by what answered them.", samples);
    let sums = READS.map(|(source, of)| {
        let sum: u64 = shards.iter().map(of).sum();
        Sample::plain(sum as f64).with("source", source)
    });
    families.counters("shingle_reads_total", "Point reads, by what answered them.", sums);
}
