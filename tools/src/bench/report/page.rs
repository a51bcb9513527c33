//! The results as one page that needs nothing else: styles and drawings are in it.

use super::super::figure::{Better, Figure, Unit, time};
use super::super::machine::Machine;
use super::super::recorder::Trace;
use super::plot::{Axis, Scale, Series, escape, svg};
use super::{Measured, NO_FIGURE, NO_FIGURE_MEANS, Report};
use crate::units::rate;

const STYLE: &str = include_str!("page.css");

/// Colours that the style has; more stores share the last.
pub(super) const COLOURS: usize = 8;

/// Figures that stand large at the top.
const CARDS: usize = 4;

/// Points of a curve, at most.
const POINTS_MAX: usize = 100;

/// Percentiles of a plot, each with its name.
const QUANTILES: [(f64, &str); 6] =
    [(0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %"), (1.0, "100 %")];

pub(super) fn page(report: &Report<'_>) -> String {
    let below = format!("{} on {}", super::rounds_text(report.options.rounds), Machine::this());
    let body = format!(
        "{}{}<h2>Figures</h2>\n{}<h2>Settings</h2>\n{}",
        cards(report),
        plots(report),
        table(report),
        settings_of(report)
    );
    document(&format!("shingle bench {}", report.workload), &below, &body)
}

/// A whole page.
pub(super) fn document(title: &str, below_title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n<p class=\"soft\">{}</p>\n{body}</body>\n</html>\n",
        escape(below_title),
    )
}

fn cards(report: &Report<'_>) -> String {
    let Some(first) = report.stores.first() else { return String::new() };
    let mut html = String::from("<div class=\"cards\">\n");
    let measured = (0..report.figures.len()).filter_map(|number| Some((number, first.median(number)?)));
    for (number, value) in measured.take(CARDS) {
        let figure = &report.figures[number];
        let compared = report.stores.iter().find(|store| store.shards.is_none()).and_then(|other| {
            let ratio = report.shown_ratio(other, number)?;
            Some(format!("{ratio:.2} × {}", escape(&other.name)))
        });
        html += &format!(
            "<div class=\"card\"><div class=\"soft\">{}</div><div class=\"value c0\">{}</div><div class=\"soft\">{}</div></div>\n",
            escape(figure.title),
            figure.show(value),
            compared.unwrap_or_else(|| escape(&first.name)),
        );
    }
    html + "</div>\n"
}

fn plots(report: &Report<'_>) -> String {
    let mut drawn = scaling(report);
    for name in trace_names(report) {
        drawn.extend(throughput(report, name));
        drawn.extend(percentiles(report, name));
    }
    if drawn.is_empty() {
        String::new()
    } else {
        format!("<h2>Plots</h2>\n<div class=\"plots\">\n{}</div>\n", drawn.concat())
    }
}

fn trace_names(report: &Report<'_>) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (name, _) in report.stores.iter().flat_map(|store| &store.rounds).flat_map(|round| &round.traces) {
        if !names.contains(name) {
            names.push(*name);
        }
    }
    names
}

/// The traces of this name, one a round.
fn traces<'a>(store: &'a Measured, name: &str) -> Vec<&'a Trace> {
    let traces = store.rounds.iter().flat_map(|round| &round.traces);
    traces.filter(|(of, _)| *of == name).map(|(_, trace)| trace).collect()
}

/// Of each store the round in the middle, by what was done in it.
fn throughput(report: &Report<'_>, name: &str) -> Option<String> {
    let (mut series, mut too_short) = (Vec::new(), Vec::new());
    for (colour, store) in report.stores.iter().enumerate() {
        let mut traces = traces(store, name);
        traces.sort_by(|a, b| per_second(a).total_cmp(&per_second(b)));
        let Some(trace) = traces.get(traces.len() / 2) else { continue };
        let together = trace.done.len().div_ceil(POINTS_MAX).max(1);
        let seconds = trace.stretch.as_secs_f64() * together as f64;
        // The last stretch is cut off somewhere, and would look like a fall.
        let points = trace.done.chunks_exact(together).take((trace.done.len() - 1) / together).enumerate();
        let points: Vec<_> =
            points.map(|(i, done)| ((i as f64 + 0.5) * seconds, done.iter().sum::<u64>() as f64 / seconds)).collect();
        if points.len() > 1 {
            series.push(Series {
                colour: colour.min(COLOURS - 1),
                name: store.name.clone(),
                points,
                notes: vec![],
                dashed: false,
            });
        } else {
            too_short.push(store.name.as_str());
        }
    }
    let points = || series.iter().flat_map(|line| &line.points);
    let (seconds, highest) =
        (points().fold(0.0, |max, (x, _)| x.max(max)), points().fold(0.0, |max, (_, y)| y.max(max)));
    let x = Axis::from_zero("seconds", seconds, plain);
    let y = Axis::from_zero("", highest, short_rate);
    let caption = format!("Throughput over time: {name}");
    let mut remarks = Vec::new();
    if report.options.rounds > 1 && !series.is_empty() {
        remarks.push("of each store, the round in the middle".to_owned());
    }
    if !too_short.is_empty() {
        remarks.push(format!("too short for a line: {}", too_short.join(", ")));
    }
    let remark = remarks.join("; ");
    match (series.is_empty(), too_short.is_empty()) {
        (false, _) => Some(figure(&caption, &remark, &x, &y, &series)),
        (true, false) => Some(format!(
            "<figure><figcaption><h3>{}</h3><div class=\"soft\">{}</div></figcaption></figure>\n",
            escape(&caption),
            escape(&remark)
        )),
        (true, true) => None,
    }
}

fn per_second(trace: &Trace) -> f64 {
    trace.operations as f64 / trace.done.len() as f64
}

/// Over all rounds.
fn percentiles(report: &Report<'_>, name: &str) -> Option<String> {
    let mut series = Vec::new();
    for (colour, store) in report.stores.iter().enumerate() {
        let mut traces = traces(store, name).into_iter();
        let Some(mut latency) = traces.next().map(|trace| trace.latency.clone()) else { continue };
        traces.for_each(|trace| latency.merge(&trace.latency));
        let values = QUANTILES.iter().map(|(quantile, _)| latency.quantile(*quantile).as_secs_f64().max(1e-9));
        let values: Vec<_> = values.collect();
        series.push(Series {
            colour: colour.min(COLOURS - 1),
            name: store.name.clone(),
            notes: QUANTILES
                .iter()
                .zip(&values)
                .map(|((_, name), value)| format!("{name}, {}", time(*value)))
                .collect(),
            points: (0..).map(f64::from).zip(values).collect(),
            dashed: false,
        });
    }
    if series.is_empty() {
        return None;
    }
    let x = Axis {
        label: "of all were not slower".to_owned(),
        scale: Scale::Linear,
        low: 0.0,
        high: (QUANTILES.len() - 1) as f64,
        ticks: (0..).map(f64::from).zip(QUANTILES.iter().map(|(_, name)| (*name).to_owned())).collect(),
    };
    let values = series.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y)).collect::<Vec<_>>();
    let y = Axis::powers("", values.iter().copied(), short_time);
    let remark = if report.options.rounds > 1 { "over all rounds" } else { "" };
    Some(figure(&format!("Latency: {name}"), remark, &x, &y, &series))
}

/// How the rates grow with the number of shards, beside the other stores.
fn scaling(report: &Report<'_>) -> Vec<String> {
    let shingles: Vec<_> = report.stores.iter().filter_map(|store| Some((store.shards?, store))).collect();
    if shingles.len() < 2 {
        return Vec::new();
    }
    let mut drawn = Vec::new();
    for (number, of) in report.figures.iter().enumerate().filter(|(_, figure)| figure.unit == Unit::PerSecond) {
        let line = shingles.iter().enumerate();
        let line: Vec<_> = line.filter_map(|(i, (shards, store))| Some((i, *shards, store.median(number)?))).collect();
        let mut series = vec![Series {
            colour: 0,
            name: "shingle".to_owned(),
            points: line.iter().map(|(i, _, value)| (*i as f64, *value)).collect(),
            notes: line.iter().map(|(_, shards, value)| format!("{shards}, {}", of.show(*value))).collect(),
            dashed: false,
        }];
        let last = (shingles.len() - 1) as f64;
        for (place, other) in report.stores.iter().enumerate().filter(|(_, store)| store.shards.is_none()) {
            let Some(value) = other.median(number) else { continue };
            series.push(Series {
                colour: place.min(COLOURS - 1),
                name: other.name.clone(),
                points: vec![(0.0, value), (last, value)],
                notes: vec![],
                dashed: true,
            });
        }
        let x = Axis {
            label: "shards".to_owned(),
            scale: Scale::Linear,
            low: 0.0,
            high: last,
            ticks: (0..).map(f64::from).zip(shingles.iter().map(|(shards, _)| shards.to_string())).collect(),
        };
        let highest = series.iter().flat_map(|line| &line.points).fold(0.0, |max, (_, y)| y.max(max));
        let y = Axis::from_zero("", highest, short_rate);
        drawn.push(figure(&format!("Scaling over shards: {}", of.title), "medians", &x, &y, &series));
    }
    drawn
}

pub(super) fn figure(caption: &str, remark: &str, x: &Axis, y: &Axis, series: &[Series]) -> String {
    let entry = |line: &Series| format!("<li><i class=\"c{}\"></i>{}</li>", line.colour, escape(&line.name));
    format!(
        "<figure><figcaption><h3>{}</h3><div class=\"soft\">{}</div><ul class=\"legend\">{}</ul></figcaption>{}</figure>\n",
        escape(caption),
        escape(remark),
        series.iter().map(entry).collect::<String>(),
        svg(caption, x, y, series)
    )
}

fn table(report: &Report<'_>) -> String {
    let others = || report.stores.iter().skip(1);
    let stores = report.stores.iter().map(|store| format!("<th>{}</th>", escape(&store.name)));
    let ratios = others().map(|other| format!("<th>to {}</th>", escape(&other.name)));
    let mut html = format!(
        "<div class=\"scroll\"><table>\n<thead><tr><th></th>{}</tr></thead>\n<tbody>\n",
        stores.chain(ratios).collect::<String>()
    );
    for (number, of) in report.figures.iter().enumerate() {
        if report.stores.iter().all(|store| store.median(number).is_none()) {
            continue;
        }
        let less = if of.better == Better::Lower { " <span class=\"soft\">(less is better)</span>" } else { "" };
        html += &format!("<tr><th scope=\"row\">{}{less}</th>", escape(of.title));
        for store in &report.stores {
            html += &cell(of, store, number);
        }
        for other in others() {
            html += &format!("<td>{}</td>", report.ratio_text(other, number));
        }
        html += "</tr>\n";
    }
    html += "</tbody></table></div>\n";
    if report.options.rounds > 1 {
        html += "<p class=\"soft\">Medians; below each, the lowest and the highest of the rounds.</p>\n";
    }
    if report.has_gaps() {
        html += &format!("<p class=\"soft\">{NO_FIGURE}: {NO_FIGURE_MEANS}.</p>\n");
    }
    html
}

fn cell(of: &Figure, store: &Measured, number: usize) -> String {
    let Some(median) = store.median(number) else { return format!("<td>{NO_FIGURE}</td>") };
    let values = || store.rounds.iter().filter_map(|round| round.values[number]);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let spread = if values().count() > 1 {
        format!("<small>{} – {}</small>", of.show(low), of.show(high))
    } else {
        String::new()
    };
    format!("<td>{}{spread}</td>", of.show(median))
}

pub(super) fn settings_of(report: &Report<'_>) -> String {
    let mut html = String::from("<div class=\"settings\">\n");
    let list = |title: &str, pairs: &[(&'static str, String)]| {
        let pairs = pairs.iter().map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value)));
        format!("<section><h3>{}</h3><dl>{}</dl></section>\n", escape(title), pairs.collect::<String>())
    };
    html += &list("workload", &report.all_settings());
    for store in &report.stores {
        html += &list(&store.name, &store.configuration);
    }
    html + "</div>\n"
}

fn plain(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}").trim_end_matches('0').to_owned() }
}

pub(super) fn short_rate(per_second: f64) -> String {
    if per_second == 0.0 { "0".to_owned() } else { format!("{}/s", rate(per_second)) }
}

/// A power of ten of seconds, without digits that it does not have.
fn short_time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.0} s"),
        s if s >= 0.999e-3 => format!("{:.0} ms", s * 1e3),
        s if s >= 0.999e-6 => format!("{:.0} µs", s * 1e6),
        s => format!("{:.0} ns", s * 1e9),
    }
}
