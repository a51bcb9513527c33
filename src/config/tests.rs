//! Bounds, files and presets.

use super::{Config, ConfigError, Durability, Preset};

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn from_text(extension: &str, text: &str) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let path = dir.path().join("shingle").with_extension(extension);
    std::fs::write(&path, text).expect("a temporary file can be written");
    Config::from_file(path)
}

/// Every value on a bound passes, the one beyond it is refused by the field's name with what was given.
#[test]
fn every_bound_is_enforced() {
    type Set = fn(&mut Config, u64);
    let fields: &[(&str, Set, u64, u64)] = &[
        ("flush.interval_secs", |c, v| c.flush.interval_secs = v, 0, 86_400),
        ("flush.blocks_per_flush", |c, v| c.flush.blocks_per_flush = v, 0, 1_000_000),
        ("flush.keep_recent_versions", |c, v| c.flush.keep_recent_versions = v, 0, 1_000_000_000),
        ("checkpoint.snapshot_interval", |c, v| c.checkpoint.snapshot_interval = v, 0, 1_000_000_000),
        ("checkpoint.keep_recent", |c, v| c.checkpoint.keep_recent = v, 1, 10_000),
        ("prune.max_versions_per_key", |c, v| c.prune.max_versions_per_key = v, 0, 1_000_000_000),
        ("prune.version_ttl_secs", |c, v| c.prune.version_ttl_secs = v, 0, 3_155_760_000),
        ("prune.keep_blocks", |c, v| c.prune.keep_blocks = v, 0, 1_000_000_000_000),
        ("prune.interval_secs", |c, v| c.prune.interval_secs = v, 1, 86_400),
        ("prune.version_threshold", |c, v| c.prune.version_threshold = v, 1, 1_000_000_000),
        ("prune.reorg_window_blocks", |c, v| c.prune.reorg_window_blocks = v, 0, 1_000_000_000),
        ("log.segment_bytes", |c, v| c.log.segment_bytes = v, 1 << 20, 4 << 30),
        ("log.buffered_sync_ms", |c, v| c.log.buffered_sync_ms = v, 1, 60_000),
        ("log.batch_bytes_max", |c, v| c.log.batch_bytes_max = v, 64 << 10, 1 << 30),
    ];
    for &(name, set, least, most) in fields {
        for within in [least, most] {
            let mut config = Config::default();
            set(&mut config, within);
            assert!(config.validate().is_ok(), "{name} = {within}");
        }
        for beyond in least.checked_sub(1).into_iter().chain([most + 1]) {
            let mut config = Config::default();
            set(&mut config, beyond);
            match config.validate() {
                Err(ConfigError::OutOfRange { field, bound, given }) => {
                    assert_eq!((field.as_str(), given), (name, beyond.to_string()));
                    assert!(bound.contains(&least.to_string()) && bound.contains(&most.to_string()), "{bound}");
                }
                other => panic!("{name} = {beyond}: {other:?}"),
            }
        }
    }
}

/// A setting of RocksDB is refused under the name that it has in the file.
#[test]
fn rocksdb_settings_are_validated_under_their_name() {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 0;
    match config.validate() {
        Err(ConfigError::OutOfRange { field, given, .. }) => {
            assert_eq!(field, "rocksdb.write_buffer_size");
            assert!(given.starts_with('0'), "{given}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_validated() {
    let refused = from_text("toml", "[log]\nsegment_bytes = 1\n").map_err(|error| error.to_string());
    let said = refused.expect_err("one byte is below the bound");
    assert!(said.contains("log.segment_bytes") && said.contains("1048576") && said.contains("1 was given"), "{said}");
}

#[test]
fn files_round_trip() -> TestResult {
    for preset in Preset::ALL {
        let config = Config::from(preset);
        assert_eq!(from_text("toml", &toml::to_string(&config)?)?, config, "{preset:?} as TOML");
        assert_eq!(from_text("json", &serde_json::to_string(&config)?)?, config, "{preset:?} as JSON");
    }
    Ok(())
}

#[test]
fn an_empty_file_is_the_defaults() -> TestResult {
    assert_eq!(from_text("toml", "")?, Config::default());
    assert_eq!(from_text("json", "{}")?, Config::default());
    Ok(())
}

#[test]
fn a_file_lies_over_its_preset() -> TestResult {
    let toml = "preset = \"production\"\ndurability = \"buffered\"\n[rocksdb]\nmax_background_jobs = 3\n";
    let json = r#"{"preset": "production", "durability": "buffered", "rocksdb": {"max_background_jobs": 3}}"#;
    let mut expected = Config::production();
    expected.durability = Durability::Buffered;
    expected.rocksdb.max_background_jobs = 3;
    assert_eq!(from_text("toml", toml)?, expected);
    assert_eq!(from_text("json", json)?, expected);
    Ok(())
}

/// A misspelt field must not be taken for its default: with or without a preset, in every table, in both formats.
#[test]
fn unknown_fields_are_refused_by_name() {
    for preset in ["", "preset = \"high\"\n"] {
        for (table, field) in [
            ("", "writ_buffer_size"),
            ("[rocksdb]", "writ_buffer_size"),
            ("[flush]", "intervall"),
            ("[log]", "segment"),
        ] {
            let said = from_text("toml", &format!("{preset}{table}\n{field} = 1\n"))
                .expect_err("the field is unknown")
                .to_string();
            assert!(said.contains(field), "{said}");
        }
    }
    let said = from_text("json", r#"{"flush": {"intervall": 1}}"#).expect_err("the field is unknown").to_string();
    assert!(said.contains("intervall"), "{said}");
}

#[test]
fn wrong_types_presets_and_extensions_are_refused() {
    for (extension, text) in [
        ("toml", "[flush]\ninterval_secs = \"often\"\n"),
        ("toml", "[flush]\ninterval_secs = -1\n"),
        ("toml", "preset = \"huge\"\n"),
        ("toml", "flush = \n"),
        ("json", "{"),
    ] {
        assert!(matches!(from_text(extension, text), Err(ConfigError::Parse { .. })), "{text}");
    }
    assert!(matches!(from_text("yaml", ""), Err(ConfigError::Format { .. })));
    assert!(matches!(Config::from_file("/nonexistent/shingle.toml"), Err(ConfigError::Read { .. })));
}

#[test]
fn presets_are_valid_and_as_the_capacity_table_says() {
    for preset in Preset::ALL {
        assert!(Config::from(preset).validate().is_ok(), "{preset:?}");
    }
    assert_eq!(Config::light(), Config::default());
    assert_eq!(Config::medium().rocksdb.write_buffer_size, 128 << 20);
    assert_eq!(
        (Config::high().rocksdb.write_buffer_size, Config::high().rocksdb.block_cache_size),
        (256 << 20, 4 << 30)
    );
    let production = Config::production();
    assert_eq!(production.memtable_bytes(), 512 << 20);
    assert_eq!((production.rocksdb.max_background_jobs, production.rocksdb.block_cache_size), (8, 2 << 30));
    assert!(production.rocksdb.enable_statistics);
}

/// Buffers are those of the whole store, however many shards it has.
#[test]
fn write_buffers_are_the_memory_of_all_shards() {
    let mut config = Config::default();
    config.rocksdb.write_buffer_size = 10 << 20;
    config.rocksdb.max_write_buffer_number = 5;
    assert_eq!((config.router().write_buffer_bytes, config.router().memory_budget_bytes), (10 << 20, 50 << 20));
    config.rocksdb.min_write_buffer_number_to_merge = Some(2);
    assert_eq!((config.router().write_buffer_bytes, config.router().memory_budget_bytes), (20 << 20, 50 << 20));
}
