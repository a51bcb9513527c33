//! The results, for people and for scripts.

mod csv;
mod curve_page;
mod page;
mod plot;

pub(super) use curve_page::CurvePage;

use super::figure::{Better, Figure, Round};
use super::machine::Machine;
use super::measure::{median, peak_memory_bytes};
use crate::args::BenchOptions;
use crate::output::Output;
use anyhow::Context;
use serde_json::{Map, Value, json};

/// Stands where there is no figure.
const NO_FIGURE: &str = "–";

const NO_FIGURE_MEANS: &str = "the store does not offer it, or the run was too short to measure it";

/// All that one run of a workload measured.
pub(super) struct Report<'a> {
    pub(super) workload: &'static str,
    pub(super) arguments: Value,
    pub(super) settings: Vec<(&'static str, String)>,
    pub(super) figures: &'static [Figure],
    pub(super) stores: Vec<Measured>,
    pub(super) options: &'a BenchOptions,
}

/// The rounds of one store.
pub(super) struct Measured {
    pub(super) name: String,
    /// The number of shards, if it is Shingle.
    pub(super) shards: Option<u64>,
    pub(super) configuration: Vec<(&'static str, String)>,
    pub(super) rounds: Vec<Round>,
}

impl Measured {
    /// The median over the rounds.
    pub(super) fn median(&self, figure: usize) -> Option<f64> {
        median(self.rounds.iter().filter_map(|round| round.values[figure]).collect())
    }
}

impl Report<'_> {
    pub(super) fn print(&self, out: &mut Output) -> anyhow::Result<()> {
        // Whatever becomes of the files, what was measured is shown.
        if out.json {
            out.document(&self.document())?
        } else {
            self.print_page(out)?
        }
        let results = &self.options.results;
        if let Some(path) = &results.csv {
            std::fs::write(path, csv::csv(self)).with_context(|| format!("cannot write {}", path.display()))?;
        }
        if let Some(path) = &results.html {
            std::fs::write(path, page::page(self)).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// The first store is Shingle; a ratio compares it with another.
    fn ratio(&self, other: &Measured, figure: usize) -> Option<f64> {
        let (ours, theirs) = (self.stores.first()?.median(figure)?, other.median(figure)?);
        (theirs != 0.0).then(|| ours / theirs)
    }

    /// What stands where two figures are compared; nothing where one would be compared with what is shown as nothing.
    fn ratio_text(&self, other: &Measured, figure: usize) -> String {
        let measured = self.stores.first().and_then(|first| first.median(figure)).and(other.median(figure));
        match (measured, self.shown_ratio(other, figure)) {
            (None, _) => NO_FIGURE.to_owned(),
            (Some(_), ratio) => ratio.map_or(String::new(), |ratio| format!("{ratio:.2} ×")),
        }
    }

    /// Whether a store has no figure where another has one.
    fn has_gaps(&self) -> bool {
        let lacks = |number| self.stores.iter().filter(|store| store.median(number).is_none()).count();
        (0..self.figures.len()).map(lacks).any(|lacking| (1..self.stores.len()).contains(&lacking))
    }

    /// A ratio to what is shown as nothing would say nothing.
    fn shown_ratio(&self, other: &Measured, figure: usize) -> Option<f64> {
        let of = &self.figures[figure];
        self.ratio(other, figure).filter(|_| other.median(figure).map(|median| of.show(median)) != Some(of.show(0.0)))
    }

    fn print_page(&self, out: &mut Output) -> anyhow::Result<()> {
        let options = self.options;
        out.line(format_args!("bench {}, {} on {}\n", self.workload, rounds_text(options.rounds), Machine::this()))?;
        let mut header = vec![""];
        header.extend(self.stores.iter().map(|store| store.name.as_str()));
        let to = self.stores.iter().skip(1).map(|other| format!("to {}", other.name)).collect::<Vec<_>>();
        if to.len() == 1 {
            header.push("ratio");
        } else {
            header.extend(to.iter().map(String::as_str));
        }
        let measured = |number: &usize| self.stores.iter().any(|store| store.median(*number).is_some());
        let rows = (0..self.figures.len()).filter(measured).map(|number| {
            let figure = &self.figures[number];
            let title = match figure.better {
                Better::Higher => figure.title.to_owned(),
                Better::Lower => format!("{} (less is better)", figure.title),
            };
            let shown = |value: Option<f64>| value.map_or(NO_FIGURE.to_owned(), |value| figure.show(value));
            let medians = self.stores.iter().map(|store| shown(store.median(number)));
            let ratios = self.stores.iter().skip(1).map(|other| self.ratio_text(other, number));
            std::iter::once(title).chain(medians).chain(ratios).collect()
        });
        let rows = rows.collect::<Vec<Vec<String>>>();
        out.table(&header, rows)?;
        if self.has_gaps() {
            out.line(format_args!("{NO_FIGURE}  {NO_FIGURE_MEANS}"))?;
        }
        out.line("")?;
        out.properties(&self.all_settings())?;
        for store in &self.stores {
            out.line(format_args!("\n{}", store.name.as_str()))?;
            out.properties(&store.configuration)?;
        }
        Ok(())
    }

    /// With those that all workloads have.
    fn all_settings(&self) -> Vec<(&'static str, String)> {
        let options = self.options;
        let keys = format!(
            "{} of {} B, values of {} B",
            crate::units::count(options.keys),
            crate::units::count(options.key_bytes),
            crate::units::count(options.value_bytes)
        );
        let mut settings: Vec<_> = std::iter::once(("keys", keys)).chain(self.settings.iter().cloned()).collect();
        // Of several stores nobody could tell whose it is.
        if self.stores.len() == 1 {
            let peak = peak_memory_bytes().map(crate::units::bytes);
            settings.extend(peak.map(|peak| ("peak memory of the process", peak)));
        }
        settings
    }

    pub(super) fn document(&self) -> Value {
        let stores = self.stores.iter().map(|store| {
            json!({
                "name": store.name,
                "configuration": pairs(&store.configuration),
                "median": self.values(|figure| store.median(figure)),
                "rounds": store.rounds.iter().map(|round| self.values(|figure| round.values[figure])).collect::<Vec<_>>(),
            })
        });
        let ratios: Map<_, _> = self
            .stores
            .iter()
            .skip(1)
            .map(|other| (other.name.clone(), self.values(|figure| self.ratio(other, figure))))
            .collect();
        json!({
            "bench": self.workload,
            "machine": Machine::this(),
            "arguments": self.arguments,
            "peak_memory_bytes": (self.stores.len() == 1).then(peak_memory_bytes).flatten(),
            "figures": self.figures,
            "stores": stores.collect::<Vec<_>>(),
            "ratio_to": ratios,
        })
    }

    fn values(&self, value: impl Fn(usize) -> Option<f64>) -> Value {
        let values =
            self.figures.iter().enumerate().map(|(number, figure)| (figure.id.to_owned(), json!(value(number))));
        Value::Object(values.collect())
    }
}

fn rounds_text(rounds: u64) -> String {
    if rounds == 1 { "one round".to_owned() } else { format!("medians of {rounds} rounds") }
}

fn pairs(pairs: &[(&'static str, String)]) -> Value {
    Value::Object(pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect())
}
