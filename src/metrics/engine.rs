//! RocksDB's figures, under the names that its users know: of each shard, and of all.

use super::family::{Families, Sample};
use crate::Status;
use shingle_router::{EngineStats, ShardStats};

const MICROS_PER_SECOND: f64 = 1e6;

pub(super) fn describe(status: &Status, families: &mut Families) {
    let shards = &status.stats.shards;
    let mut gauge = |name: &str, help: &str, of: fn(&ShardStats) -> u64| {
        families.gauges(
            &format!("rocksdb_{name}"),
            &format!("{help} of this shard."),
            shards.iter().map(|shard| Sample::of_shard(shard.number, of(shard) as f64)),
        );
        let sum: u64 = shards.iter().map(of).sum();
        families.gauge(&format!("shingle_rocksdb_{name}"), &format!("{help} of all shards."), sum as f64);
    };
    gauge("estimate_num_keys", "Estimated rows, every version of a key counted,", |shard| shard.rows_estimate);
    gauge("total_sst_size_bytes", "Bytes of the SST files", |shard| shard.file_bytes);
    gauge("num_files_level0", "Level-0 files", |shard| shard.level0_files);
    gauge("num_immutable_mem_table", "Memtables of RocksDB that wait for their flush,", |shard| {
        shard.immutable_memtables
    });
    // RocksDB counts the rest only with `enable_statistics`.
    let counted: Vec<_> = shards.iter().filter_map(|shard| Some((shard.number, shard.engine?))).collect();
    if counted.is_empty() {
        return;
    }
    let mut sum = EngineStats::default();
    for (_, engine) in &counted {
        sum.block_cache_hits += engine.block_cache_hits;
        sum.block_cache_misses += engine.block_cache_misses;
        sum.compaction_cpu_micros += engine.compaction_cpu_micros;
        sum.write_stall_micros += engine.write_stall_micros;
    }
    let of_shards = |of: fn(&EngineStats) -> f64| {
        counted.iter().map(move |(number, engine)| Sample::of_shard(*number, of(engine))).collect::<Vec<_>>()
    };
    // Not a number until a block was asked for: no alarm compares with that.
    let hit_rate = |engine: &EngineStats| engine.block_cache_hit_percent().unwrap_or(f64::NAN);
    let hit_rates = of_shards(hit_rate);
    families.gauges("rocksdb_cache_hit_rate", "Blocks found in the block cache, per cent, of this shard.", hit_rates);
    families.gauge("shingle_rocksdb_cache_hit_rate", "Blocks found in the block cache, per cent.", hit_rate(&sum));
    families.counters(
        "rocksdb_compaction_cpu_micros",
        "CPU time of compactions of this shard, in microseconds.",
        of_shards(|engine| engine.compaction_cpu_micros as f64),
    );
    families.counter(
        "shingle_rocksdb_compaction_cpu_seconds_total",
        "CPU time of compactions of all shards.",
        sum.compaction_cpu_micros as f64 / MICROS_PER_SECOND,
    );
    families.counters(
        "rocksdb_write_stall_micros",
        "Time that RocksDB stalled writes of this shard, in microseconds.",
        of_shards(|engine| engine.write_stall_micros as f64),
    );
    families.counter(
        "shingle_rocksdb_write_stall_seconds_total",
        "Time that RocksDB stalled writes of all shards.",
        sum.write_stall_micros as f64 / MICROS_PER_SECOND,
    );
    families.counters(
        "shingle_shard_block_cache_hits_total",
        "Blocks that this shard found in the block cache.",
        of_shards(|engine| engine.block_cache_hits as f64),
    );
    families.counters(
        "shingle_shard_block_cache_misses_total",
        "Blocks that this shard did not find in the block cache.",
        of_shards(|engine| engine.block_cache_misses as f64),
    );
}
