//! The figures that a workload measures.

use super::recorder::Trace;
use serde::Serialize;
use std::time::Duration;

/// One thing that is measured, in every round of every store.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figure {
    /// Its name in JSON, with its unit last.
    pub(crate) id: &'static str,
    /// Its name for people.
    pub(crate) title: &'static str,
    #[serde(skip)]
    pub(crate) unit: Unit,
    pub(crate) better: Better,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    PerSecond,
    Millis,
    Micros,
    Seconds,
    Bytes,
    /// A number without a unit: bytes per byte, for instance.
    Ratio,
}

/// Which way is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

impl Figure {
    pub(crate) const fn rate(id: &'static str, title: &'static str) -> Self {
        Figure { id, title, unit: Unit::PerSecond, better: Better::Higher }
    }

    pub(crate) const fn cost(id: &'static str, title: &'static str, unit: Unit) -> Self {
        Figure { id, title, unit, better: Better::Lower }
    }

    pub(crate) fn show(&self, value: f64) -> String {
        use crate::units::{bytes, rate, significant};
        match self.unit {
            Unit::PerSecond => format!("{}/s", rate(value)),
            Unit::Millis if value == 0.0 => "0 ms".to_owned(),
            Unit::Micros if value == 0.0 => "0 µs".to_owned(),
            Unit::Seconds if value == 0.0 => "0 s".to_owned(),
            Unit::Millis => time(value * 1e-3),
            Unit::Micros => time(value * 1e-6),
            Unit::Seconds => time(value),
            Unit::Bytes => bytes(value as u64),
            Unit::Ratio => significant(value),
        }
    }
}

/// Seconds in the unit that fits them.
pub(super) fn time(seconds: f64) -> String {
    if seconds == 0.0 {
        return "0".to_owned();
    }
    Duration::try_from_secs_f64(seconds).map_or("–".to_owned(), crate::units::duration)
}

/// What one round of one store gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// A value for each figure of the workload, `None` where there is none.
    pub(crate) values: Vec<Option<f64>>,
    /// What clients saw, by the name of what they did.
    pub(crate) traces: Vec<(&'static str, Trace)>,
}
