//! Checkpoints: made while the store works, found when they are damaged, restored to exactly what they were.

#[path = "../support/files.rs"]
mod files;
mod history;
#[path = "../support/mount.rs"]
mod mount;
#[path = "../support/refusal.rs"]
mod refusal;

mod closing;
mod damage;
mod full_disk;
mod in_use;
mod links;
mod names;
mod odd_places;
mod places;
mod under_load;

use shingle::{Builder, Checkpoint, Config, Database, RestoreOptions, Restored, Result};
use std::path::Path;

/// A store that flushes, rotates its log and evicts all the time.
fn builder(dir: &Path, shards: usize) -> Builder {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 64 << 10;
    config.rocksdb.max_write_buffer_number = 2;
    config.log.segment_bytes = 1 << 20;
    config.flush.blocks_per_flush = 20;
    config.checkpoint.snapshot_interval = 0;
    Database::builder(dir).shards(shards).config(config)
}

fn restore(checkpoint: &Checkpoint, target: &Path) -> Result<Restored> {
    Database::restore(&checkpoint.path, target, &RestoreOptions::default(), &|_| {})
}
