//! Progress of long work, on stderr; silent where stderr is not a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `len` steps of `what`.
pub(crate) fn bar(what: &'static str, len: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:<12} [{bar:32}] {percent:>3} % {elapsed_precise} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    // The draw target is stderr, and indicatif hides the bar there unless it is a terminal.
    ProgressBar::new(len).with_style(style.progress_chars("=> ")).with_prefix(what)
}

/// A sign of life for work whose length is not known.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:<12} {spinner} {elapsed_precise} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = ProgressBar::new_spinner().with_style(style).with_prefix(what);
    spinner.enable_steady_tick(std::time::Duration::from_millis(200));
    spinner
}
