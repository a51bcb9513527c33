//! What the README shows works as it stands there.

use shingle::{Config, Database, ErrorKind};
use std::path::Path;

type TestResult = Result<(), Box<dyn std::error::Error>>;

const README: &str = include_str!("../../README.md");

mod quick_start {
    include!("quick_start.rs");

    pub(super) fn run() -> shingle::Result<()> {
        main()
    }
}

/// The blocks of `language`, without their fences.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    README.split("\n```").filter_map(move |block| block.strip_prefix(language)?.split_once('\n').map(|(_, text)| text))
}

/// On its second run the store is there and has blocks. This test alone changes the directory of the process.
#[test]
fn the_example_runs_again_and_again() -> TestResult {
    let shown = blocks("rust").next().ok_or("the README has an example")?;
    assert_eq!(shown.trim(), include_str!("quick_start.rs").trim(), "the README shows another example");
    let dir = tempfile::tempdir()?;
    let back = std::env::current_dir()?;
    std::env::set_current_dir(dir.path())?;
    for height in 1..=3 {
        quick_start::run()?;
        let db = Database::open("my-node/state")?;
        assert_eq!(db.head().map(|block| block.height), Some(height));
        let second = quick_start::run().expect_err("the store is open");
        assert_eq!(second.kind(), ErrorKind::Locked);
        // What a `main` that returns it ends with.
        let said = format!("{second:?}");
        assert!(said.starts_with("my-node/state is open already") && !said.contains('{'), "{said}");
        db.close()?;
    }
    std::env::set_current_dir(back)?;
    Ok(())
}

#[test]
fn the_sample_configuration_is_read() -> TestResult {
    let sample = blocks("toml").find(|block| block.contains("[flush]")).ok_or("the README has a configuration")?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("shingle.toml");
    std::fs::write(&path, sample)?;
    let mut expected = Config::medium();
    expected.rocksdb.block_cache_size = 1 << 30;
    expected.rocksdb.max_background_jobs = 4;
    expected.flush.interval_secs = 30;
    expected.prune.background = true;
    expected.prune.max_versions_per_key = 100;
    expected.log.buffered_sync_ms = 2;
    assert_eq!(Config::from_file(&path)?, expected);
    Ok(())
}

/// The flags that a node has to copy are those that this repository is built with.
#[test]
fn the_flags_are_those_of_this_repository() -> TestResult {
    // Asked when the test runs: a target directory that clones share keeps the program of the first of them.
    let clone = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo runs the tests")?;
    let ours: toml::Table = std::fs::read_to_string(Path::new(&clone).join(".cargo/config.toml"))?.parse()?;
    let flags = &ours["target"]["cfg(target_arch = \"x86_64\")"]["rustflags"];
    for flag in flags.as_array().ok_or("an array")?.iter().filter_map(toml::Value::as_str).filter(|flag| *flag != "-C")
    {
        assert!(README.contains(flag), "the README does not name {flag}");
    }
    let shown = blocks("toml").find(|block| block.contains("[dependencies]")).ok_or("the README has a dependency")?;
    let shown: toml::Table = shown.parse()?;
    assert!(shown["dependencies"]["shingle"].is_table());
    Ok(())
}
