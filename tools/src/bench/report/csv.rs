//! The results as rows: one value each, so that any tool can pick what it wants.

use super::Report;
use std::fmt::Write;

/// Percentiles that are written, and the name of each.
const QUANTILES: [f64; 7] = [0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0];

/// `workload,store,round,series,x,value`. A series is `figure`, where x is the figure's name; `latency_us of …`, where x is the
/// quantile; or `per_second of …`, where x is the second.
pub(super) fn csv(report: &Report<'_>) -> String {
    let mut rows = String::from("workload,store,round,series,x,value\n");
    for store in &report.stores {
        for (number, round) in store.rounds.iter().enumerate() {
            let mut row = |series: &str, x: &dyn std::fmt::Display, value: f64| {
                let (workload, store) = (report.workload, field(&store.name));
                // Writing to a string cannot fail.
                writeln!(rows, "{workload},{store},{},{},{x},{value}", number + 1, field(series))
                    .expect("a string takes everything");
            };
            for (figure, value) in report.figures.iter().zip(&round.values) {
                if let Some(value) = value {
                    row("figure", &figure.id, *value);
                }
            }
            for (name, trace) in &round.traces {
                for quantile in QUANTILES {
                    let latency = trace.latency.quantile(quantile);
                    row(&format!("latency_us of {name}"), &quantile, latency.as_secs_f64() * 1e6);
                }
                let stretch = trace.stretch.as_secs_f64();
                for (index, done) in trace.done.iter().enumerate() {
                    let second = format!("{:.2}", index as f64 * stretch);
                    row(&format!("per_second of {name}"), &second, *done as f64 / stretch);
                }
            }
        }
    }
    rows
}

/// In quotes where a comma or a quote asks for it.
fn field(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
