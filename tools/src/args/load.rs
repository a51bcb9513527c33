//! How clients of a benchmark work, and where the results go.

use super::number::number;
use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::fs::OpenOptions;
use std::path::PathBuf;

/// When a write counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DurabilityArg {
    // Comments, not documentation: clap would spread the whole help page to show it.
    // Once it is on disk.
    Sync,
    // Once it is in the system's page cache.
    Buffered,
}

/// The clients of a workload.
#[derive(Args, Clone, Debug, Serialize)]
#[command(next_help_heading = "Clients")]
pub(crate) struct ClientsArgs {
    /// Client threads.
    #[arg(long, default_value_t = 2, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of threads", 1..=1024))]
    pub(crate) threads: u64,

    /// Commits that each thread keeps under way; 1 waits for each. A store without such a thing always waits.
    #[arg(long, default_value_t = 1, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of commits", 1..=1_000_000))]
    pub(crate) in_flight: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) pace: PaceArgs,
}

/// The clients of a workload that only reads.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct ReadersArgs {
    /// Threads that read.
    #[arg(long, default_value_t = 1, value_name = "N", allow_negative_numbers = true, value_parser = number("a number of threads", 1..=1024))]
    pub(crate) threads: u64,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) pace: PaceArgs,
}

/// How long clients work, and how fast they ask.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct PaceArgs {
    /// Length of one measurement; a round of a workload that measures several things has several.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", allow_negative_numbers = true, value_parser = number("seconds", 1..=86_400))]
    pub(crate) seconds: u64,

    /// Ask at this rate, over all threads, whether or not the store keeps up; latency counts from when each request was due.
    /// Without it, each thread asks again once it has its answer, and a store that stalls is asked less while it does.
    #[arg(long, value_name = "N/s", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,
}

/// Where the results go beside standard output.
#[derive(Args, Clone, Debug, Default, Serialize)]
#[command(next_help_heading = "Results")]
pub(crate) struct ResultsArgs {
    /// Write every round's figures, latency percentiles and throughput over time to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,

    /// Write a page with tables and plots to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

impl ResultsArgs {
    /// Refuses files that cannot be written, before anything is measured. One that is there stays as it is.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for path in self.csv.iter().chain(&self.html) {
            let was_there = path.exists();
            let cannot = || format!("cannot write {}", path.display());
            OpenOptions::new().append(true).create(true).open(path).with_context(cannot)?;
            if !was_there {
                std::fs::remove_file(path).with_context(cannot)?;
            }
        }
        Ok(())
    }
}

/// Slower than any run is long, to faster than any clock.
const RATES: std::ops::RangeInclusive<f64> = 1e-3..=1e9;

/// `5000`, `20k`, `1.5M`, each with or without `/s`.
pub(super) fn parse_rate(given: &str) -> Result<f64, String> {
    let number = given.strip_suffix("/s").unwrap_or(given).trim_end();
    let (number, scale) = match number.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => number.strip_suffix('M').map_or((number, 1.0), |number| (number, 1e6)),
    };
    match number.trim_end().parse::<f64>().map(|number| number * scale) {
        Ok(rate) if RATES.contains(&rate) => Ok(rate),
        Ok(_) | Err(_) => Err("expected a rate, such as 5000/s, 20k/s or 1.5M/s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_rate;

    #[test]
    fn rates_are_read() {
        assert_eq!(parse_rate("5000"), Ok(5e3));
        assert_eq!(parse_rate("5000/s"), Ok(5e3));
        assert_eq!(parse_rate("20k/s"), Ok(2e4));
        assert_eq!(parse_rate("1.5M/s"), Ok(1.5e6));
        for refused in ["", "/s", "0", "-1", "NaN", "inf", "1e-300", "1e300", "k", "5 parsecs"] {
            assert!(parse_rate(refused).is_err(), "{refused}");
        }
    }
}
