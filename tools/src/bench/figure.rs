//! The figures that a workload measures.

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
        use crate::units::{duration, rate, significant};
        let seconds = |seconds| Duration::try_from_secs_f64(seconds).map_or("–".to_owned(), duration);
        match self.unit {
            Unit::PerSecond => format!("{}/s", rate(value)),
            Unit::Millis => seconds(value / 1e3),
            Unit::Micros => seconds(value / 1e6),
            Unit::Ratio => significant(value),
        }
    }
}

/// What one round of one store gave: a value for each figure of the workload, `None` where there is none.
pub(crate) type Round = Vec<Option<f64>>;
