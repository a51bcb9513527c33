//! Progress of long work, on stderr; silent where stderr is not a terminal.

use crate::units;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::time::Duration;

/// A bar over `len` steps of `what`.
pub(crate) fn bar(what: &'static str, len: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:<12} [{bar:32}] {percent:>3} %  {took}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("took", took);
    // The draw target is stderr, and indicatif hides the bar there unless it is a terminal.
    ProgressBar::new(len).with_style(style.progress_chars("=> ")).with_prefix(what)
}

/// A sign of life for work whose length is not known.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:<12} {spinner}  {took}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("took", took);
    let spinner = ProgressBar::new_spinner().with_style(style).with_prefix(what);
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}

/// As the time that is left is told; whole seconds, lest it flickers.
fn took(state: &ProgressState, out: &mut dyn Write) {
    // What is not shown is of no consequence.
    let _written = write!(out, "{}", units::whole_seconds(state.elapsed()));
}
