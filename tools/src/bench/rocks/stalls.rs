//! How long RocksDB held writes back, as one of its properties tells.

use std::time::Duration;

/// The property that tells.
pub(super) const PROPERTY: &str = "rocksdb.dbstats";

/// Reads `Cumulative stall: 00:00:1.234 H:M:S, 0.0 percent`.
pub(super) fn stalled(stats: &str) -> Option<Duration> {
    let line = stats.lines().find_map(|line| line.strip_prefix("Cumulative stall: "))?;
    let (time, _) = line.split_once(' ')?;
    let mut seconds = 0.0;
    for part in time.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::stalled;
    use std::time::Duration;

    #[test]
    fn stalls_are_read() {
        let stats =
            "** DB Stats **\nUptime(secs): 1.0 total\nCumulative stall: 01:02:3.250 H:M:S, 0.4 percent\nInterval";
        assert_eq!(stalled(stats), Some(Duration::from_millis(3_723_250)));
        assert_eq!(stalled("** DB Stats **"), None);
    }
}
