//! The figures of a workload that clients drive, and how they are measured.

use super::clients::{Driven, Work, drive};
use super::figure::{Figure, Round, Unit};
use super::measure::Meter;
use super::store::Store;
use crate::args::PaceArgs;
use crate::latency::Latencies;
use indicatif::ProgressBar;

/// In the order of [`values`].
pub(crate) const FIGURES: &[Figure] = &[
    Figure::rate("operations_per_second", "operations"),
    Figure::cost("operation_p50_us", "latency, p50", Unit::Micros),
    Figure::cost("operation_p90_us", "latency, p90", Unit::Micros),
    Figure::cost("operation_p99_us", "latency, p99", Unit::Micros),
    Figure::cost("operation_p999_us", "latency, p99.9", Unit::Micros),
    Figure::cost("operation_max_us", "latency, longest", Unit::Micros),
    Figure::cost("conflicts_per_operation", "conflicts per operation", Unit::Ratio),
    Figure::cost("bytes_written_per_byte_committed", "bytes written per byte committed", Unit::Ratio),
    Figure::cost("bytes_written_per_operation", "bytes written per operation", Unit::Bytes),
    Figure::cost("cpu_per_operation_us", "processor time per operation", Unit::Micros),
    Figure::cost("stalled_ms", "time writes were held back", Unit::Millis),
];

/// What is known of a round besides what the clients saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    /// Bytes of keys and values that were committed; `None` if the workload does not write.
    pub(crate) committed_bytes: Option<f64>,
    pub(crate) disk_bytes: Option<u64>,
    pub(crate) stalled_ms: Option<f64>,
    pub(crate) conflicts: Option<f64>,
}

/// Percentiles p50, p90, p99, p99.9 and the longest, in microseconds.
pub(crate) fn percentiles_us(latency: &Latencies) -> [Option<f64>; 5] {
    let us = |latency: std::time::Duration| Some(latency.as_secs_f64() * 1e6);
    [
        us(latency.quantile(0.50)),
        us(latency.quantile(0.90)),
        us(latency.quantile(0.99)),
        us(latency.quantile(0.999)),
        us(latency.max()),
    ]
}

/// Drives clients that write; the store has settled when it returns. `update_bytes` are committed with each of the writes that
/// `writes` counts.
pub(crate) fn measure_writes<'w>(
    store: &dyn Store,
    threads: u64,
    pace: &PaceArgs,
    bar: &ProgressBar,
    committed_bytes: impl Fn(&Driven) -> f64,
    start: impl Fn(u64) -> anyhow::Result<Box<dyn Work + 'w>> + Sync,
) -> anyhow::Result<(Driven, Written)> {
    let stalled_before = store.stalled();
    let meter = Meter::begin();
    let driven = drive(threads, pace, bar, start)?;
    store.settle()?;
    let usage = meter.end();
    let stalled = store.stalled().zip(stalled_before).map(|(after, before)| after.saturating_sub(before));
    let written = Written {
        committed_bytes: Some(committed_bytes(&driven)),
        disk_bytes: usage.written_bytes,
        stalled_ms: stalled.map(|stalled| stalled.as_secs_f64() * 1e3),
        conflicts: None,
    };
    Ok((driven, written))
}

/// The values of [`FIGURES`].
pub(crate) fn values(driven: &Driven, written: Written) -> Vec<Option<f64>> {
    let operations = driven.recorder.trace.operations as f64;
    let [p50, p90, p99, p999, max] = percentiles_us(&driven.recorder.trace.latency);
    let disk_bytes = written.committed_bytes.and(written.disk_bytes).map(|bytes| bytes as f64);
    let committed = written.committed_bytes.filter(|bytes| *bytes > 0.0);
    vec![
        Some(driven.per_second()),
        p50,
        p90,
        p99,
        p999,
        max,
        written.conflicts.map(|conflicts| conflicts / operations),
        disk_bytes.zip(committed).map(|(disk, committed)| disk / committed),
        disk_bytes.map(|disk| disk / operations),
        driven.cpu_us_per_operation(),
        written.stalled_ms,
    ]
}

/// A round of these figures, and of what the clients saw.
pub(crate) fn round(name: &'static str, driven: Driven, written: Written) -> Round {
    Round { values: values(&driven, written), traces: vec![(name, driven.recorder.trace)] }
}
