//! Line plots as SVG that takes its colours from the page's style.

use std::fmt::Write;

/// In units of the drawing: small enough that its text stays readable on a phone, where the drawing shrinks.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 46.0;

/// Ticks of a linear axis, at most.
const TICKS_MAX: f64 = 5.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Log,
}

/// One axis: values from `low` to `high`, and what stands at some of them.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) label: String,
    pub(super) scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<(f64, String)>,
}

/// A line through points.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// The store whose colour it has.
    pub(super) colour: usize,
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// What a point says when it is pointed at; no dots are drawn if there is nothing to say.
    pub(super) notes: Vec<String>,
    pub(super) dashed: bool,
}

impl Axis {
    /// From 0 to `highest`, or a little above, in round steps.
    pub(super) fn from_zero(label: &str, highest: f64, show: impl Fn(f64) -> String) -> Self {
        let highest = if highest > 0.0 { highest } else { 1.0 };
        let step = round_step(highest / TICKS_MAX);
        let steps = (highest / step).ceil().max(1.0) as u32;
        let ticks = (0..=steps).map(|i| f64::from(i) * step).map(|value| (value, show(value)));
        Axis {
            label: label.to_owned(),
            scale: Scale::Linear,
            low: 0.0,
            high: f64::from(steps) * step,
            ticks: ticks.collect(),
        }
    }

    /// Powers of ten around all of `values`, which are above 0.
    pub(super) fn powers(label: &str, values: impl Iterator<Item = f64> + Clone, show: impl Fn(f64) -> String) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values.fold(0.0, f64::max).log10().ceil().max(low + 1.0);
        let ticks = (low as i32..=high as i32).map(|power| 10_f64.powi(power)).map(|value| (value, show(value)));
        let (low, high) = (10_f64.powf(low), 10_f64.powf(high));
        Axis { label: label.to_owned(), scale: Scale::Log, low, high, ticks: ticks.collect() }
    }

    /// Where `value` lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|round| *round >= step).unwrap_or(step)
}

pub(super) fn svg(title: &str, x: &Axis, y: &Axis, series: &[Series]) -> String {
    let across = |value: f64| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
    let up = |value: f64| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let mut draw = |text: std::fmt::Arguments<'_>| svg.write_fmt(text).expect("a string takes everything");
    draw(format_args!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#, escape(title)));
    for (value, text) in &y.ticks {
        let at = up(*value);
        draw(format_args!(r#"<line class="grid" x1="{LEFT}" x2="{:.1}" y1="{at:.1}" y2="{at:.1}"/>"#, WIDTH - RIGHT));
        draw(format_args!(
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
            LEFT - 7.0,
            at + 4.0,
            escape(text)
        ));
    }
    for (value, text) in &x.ticks {
        let at = across(*value);
        let (bottom, below) = (HEIGHT - BOTTOM, HEIGHT - BOTTOM + 17.0);
        draw(format_args!(
            r#"<line class="tick" x1="{at:.1}" x2="{at:.1}" y1="{bottom:.1}" y2="{:.1}"/>"#,
            bottom + 4.0
        ));
        draw(format_args!(r#"<text x="{at:.1}" y="{below:.1}" text-anchor="middle">{}</text>"#, escape(text)));
    }
    draw(format_args!(
        r#"<text class="axis" x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
        LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
        HEIGHT - 8.0,
        escape(&x.label)
    ));
    // The first store is drawn last, above the others.
    for line in series.iter().rev() {
        let class = if line.dashed { " dashed" } else { "" };
        let points: Vec<_> = line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
        draw(format_args!(r#"<polyline class="line c{}{class}" points="{}"/>"#, line.colour, points.join(" ")));
        for ((x, y), note) in line.points.iter().zip(&line.notes) {
            draw(format_args!(
                r#"<circle class="dot c{}" cx="{:.1}" cy="{:.1}" r="3.5"><title>{}: {}</title></circle>"#,
                line.colour,
                across(*x),
                up(*y),
                escape(&line.name),
                escape(note)
            ));
        }
    }
    draw(format_args!("</svg>"));
    svg
}

/// Text that a page shows as it is.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Axis, Series, svg};

    #[test]
    fn axes_are_round() {
        let axis = Axis::from_zero("", 416_000.0, |value| value.to_string());
        assert_eq!(
            axis.ticks.iter().map(|(value, _)| *value as u64).collect::<Vec<_>>(),
            [0, 100_000, 200_000, 300_000, 400_000, 500_000]
        );
        let axis = Axis::powers("", [0.3, 42.0].into_iter(), |value| value.to_string());
        assert_eq!(axis.ticks.len(), 4, "0.1, 1, 10 and 100");
    }

    #[test]
    fn no_value_breaks_a_drawing() {
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let axis = Axis::from_zero("<x>", 0.0, |value| value.to_string());
            let line = Series {
                colour: 0,
                name: "\"&".to_owned(),
                points: vec![(value, value)],
                notes: vec!["<".to_owned()],
                dashed: false,
            };
            let drawn = svg("t", &axis, &Axis::powers("", [1.0].into_iter(), |v| v.to_string()), &[line]);
            assert!(!drawn.contains("NaN") && !drawn.contains("inf") && !drawn.contains("<x>"), "{drawn}");
        }
    }
}
