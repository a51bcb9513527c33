//! Ethereum's own test chains, where they are.

use shingle_replay::{Options, Report, run};
use std::num::NonZero;
use std::path::{Path, PathBuf};

type TestResult = Result<(), Box<dyn std::error::Error>>;

/// They lie beside the project, or where the variable says.
fn chains() -> Option<PathBuf> {
    let beside = || {
        Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests")).join("../../../shared/chains")
    };
    let path = std::env::var_os("SHINGLE_CHAINS").map_or_else(beside, PathBuf::from);
    path.is_dir().then_some(path)
}

#[test]
fn every_chain_ends_where_ethereum_says_and_every_height_stays_what_it_was() -> TestResult {
    let Some(chains) = chains() else {
        eprintln!("skipped: Ethereum's test chains are not here");
        return Ok(());
    };
    let options = Options { shards: 4, flush_every: NonZero::new(4), ..Options::default() };
    let report = succeeds(chains, &options)?;
    assert!(report.totals.counts.reorganisations > 0, "some of the chains change branches");
    Ok(())
}

#[test]
fn the_chains_end_there_too_while_slots_move_and_shards_come_and_go() -> TestResult {
    let Some(chains) = chains() else {
        eprintln!("skipped: Ethereum's test chains are not here");
        return Ok(());
    };
    let options = Options { shards: 3, flush_every: NonZero::new(4), rebalance: true, ..Options::default() };
    let report = succeeds(chains, &options)?;
    assert!(report.totals.counts.slots_moved > report.totals.counts.cases, "each chain has some on their way");
    Ok(())
}

fn succeeds(chains: PathBuf, options: &Options) -> Result<Report, Box<dyn std::error::Error>> {
    let report = run(&[chains], options, &mut |_| ())?;
    let failures = report.failures().map(|(file, failure)| format!("{}: {failure}", file.path.display()));
    assert_eq!(failures.collect::<Vec<_>>(), Vec::<String>::new());
    Ok(report)
}
