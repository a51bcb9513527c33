//! Settings for a class of load, to start from.

use super::Config;
use serde::{Deserialize, Serialize};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A class of load. In a configuration file, `preset = "high"` sets what the file itself does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Under 1 000 transactions a second; 10–50 GB of state. The defaults.
    Light,
    /// 1 000–10 000 transactions a second; 50–200 GB of state.
    Medium,
    /// 10 000–100 000 transactions a second; 200 GB–1 TB of state.
    High,
    /// Over 100 000 transactions a second; 1 TB and more. To be opened with many shards, on several disks where there are any.
    Extreme,
    /// A node in production whose load is not known better.
    Production,
}

impl Preset {
    /// Every preset, lightest first.
    pub const ALL: [Preset; 5] = [Preset::Light, Preset::Medium, Preset::High, Preset::Extreme, Preset::Production];
}

impl From<Preset> for Config {
    fn from(preset: Preset) -> Self {
        let mut config = Config::default();
        let Config { rocksdb: rocks, row_cache_size, .. } = &mut config;
        match preset {
            Preset::Light => {}
            Preset::Medium => rocks.write_buffer_size = 128 * MIB,
            Preset::High => {
                *row_cache_size = GIB;
                rocks.write_buffer_size = 256 * MIB;
                rocks.block_cache_size = 4 * GIB;
                rocks.max_background_jobs = 4;
                rocks.min_write_buffer_number_to_merge = Some(2);
                rocks.level0_file_num_compaction_trigger = 8;
            }
            Preset::Extreme => {
                *row_cache_size = 2 * GIB;
                rocks.write_buffer_size = 256 * MIB;
                rocks.max_write_buffer_number = 6;
                rocks.block_cache_size = 8 * GIB;
                rocks.max_background_jobs = 8;
                rocks.min_write_buffer_number_to_merge = Some(2);
                rocks.level0_file_num_compaction_trigger = 8;
                rocks.target_file_size_base = 128 * MIB;
                rocks.max_bytes_for_level_base = GIB;
                rocks.max_open_files = 8_000;
            }
            Preset::Production => {
                *row_cache_size = 512 * MIB;
                rocks.write_buffer_size = 128 * MIB;
                rocks.max_write_buffer_number = 4;
                rocks.max_background_jobs = 8;
                rocks.block_cache_size = 2 * GIB;
                rocks.bloom_filter_bits_per_key = 10;
                rocks.enable_statistics = true;
            }
        }
        config
    }
}
