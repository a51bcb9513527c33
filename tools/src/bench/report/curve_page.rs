//! A curve as a page: how each figure grows along one dimension.

use super::super::curve::Line;
use super::super::figure::{Better, Unit, time};
use super::super::machine::Machine;
use super::page::{COLOURS, document, figure, settings_of, short_rate};
use super::plot::{Axis, Scale, Series, escape};
use super::{NO_FIGURE, Report, rounds_text};

/// The points of one dimension, and what was measured at each.
pub(in super::super) struct CurvePage<'a> {
    pub(in super::super) dimension: &'static str,
    pub(in super::super) labels: &'a [String],
    pub(in super::super) lines: &'a [Line],
    pub(in super::super) measured: &'a [Vec<Report<'a>>],
    pub(in super::super) rounds: u64,
}

impl CurvePage<'_> {
    pub(in super::super) fn html(&self) -> String {
        let plots: String = self.lines.iter().map(|line| self.plot(line)).collect();
        let tables: String = self.lines.iter().map(|line| self.table(line)).collect();
        let settings = self.measured.first().and_then(|reports| reports.first()).map(settings_of);
        let body = format!(
            "<h2>Plots</h2>\n<div class=\"plots\">\n{plots}</div>\n<h2>Figures</h2>\n{tables}<h2>Settings at the first point</h2>\n{}",
            settings.unwrap_or_default()
        );
        let below = format!("{} at each point, on {}", rounds_text(self.rounds), Machine::this());
        document(&format!("shingle bench: how figures grow with {}", self.dimension), &below, &body)
    }

    fn plot(&self, line: &Line) -> String {
        let series = line.stores.iter().enumerate().map(|(colour, (name, medians))| {
            let points = medians.iter().enumerate().filter_map(|(at, median)| Some((at, (*median)?)));
            let points: Vec<_> = points.collect();
            Series {
                colour: colour.min(COLOURS - 1),
                name: name.clone(),
                notes: points
                    .iter()
                    .map(|(at, value)| format!("{}, {}", self.labels[*at], line.figure.show(*value)))
                    .collect(),
                points: points.into_iter().map(|(at, value)| (at as f64, value)).collect(),
                dashed: false,
            }
        });
        let series: Vec<_> = series.collect();
        // What was said in parentheses about a point is in its table.
        let short = |label: &String| label.split(" (").next().unwrap_or_default().to_owned();
        let x = Axis {
            label: self.dimension.to_owned(),
            scale: Scale::Linear,
            low: 0.0,
            high: self.labels.len().saturating_sub(1).max(1) as f64,
            ticks: (0..).map(f64::from).zip(self.labels.iter().map(short)).collect(),
        };
        let highest = series.iter().flat_map(|line| &line.points).fold(0.0, |max, (_, y)| y.max(max));
        let y = match line.figure.unit {
            Unit::PerSecond => Axis::from_zero("", highest, short_rate),
            Unit::Millis => Axis::from_zero("", highest, |ms| time(ms * 1e-3)),
            Unit::Micros => Axis::from_zero("", highest, |us| time(us * 1e-6)),
            Unit::Seconds => Axis::from_zero("", highest, time),
            Unit::Bytes | Unit::Ratio => Axis::from_zero("", highest, crate::units::significant),
        };
        let remark = if line.figure.better == Better::Lower { "less is better" } else { "more is better" };
        figure(line.figure.title, remark, &x, &y, &series)
    }

    fn table(&self, line: &Line) -> String {
        let points: String = self.labels.iter().map(|label| format!("<th>{}</th>", escape(label))).collect();
        let rows = line.stores.iter().map(|(store, medians)| {
            let cells =
                medians.iter().map(|median| median.map_or(NO_FIGURE.to_owned(), |median| line.figure.show(median)));
            let cells: String = cells.map(|cell| format!("<td>{cell}</td>")).collect();
            format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape(store))
        });
        format!(
            "<div class=\"scroll\"><table>\n<thead><tr><th>{}</th>{points}</tr></thead>\n<tbody>\n{}</tbody></table></div>\n<p></p>\n",
            escape(line.figure.title),
            rows.collect::<String>()
        )
    }
}
