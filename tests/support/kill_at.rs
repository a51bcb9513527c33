//! A process that ends itself at a named point, as SIGKILL ends it.

use std::sync::atomic::{AtomicU64, Ordering};

/// `point` is `NAME PASSES`: once the point of that name has been passed so often, the process does its last act and is killed.
pub(crate) fn kill_at(point: &str, last_act: impl Fn() + Send + Sync + 'static) {
    let (name, passes) = point.split_once(' ').expect("a name and a number");
    let left = AtomicU64::new(passes.parse().expect("a number"));
    let kill = move || {
        if left.fetch_sub(1, Ordering::Relaxed) == 0 {
            last_act();
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                .expect("a process may kill itself");
        }
    };
    fail::cfg_callback(name, kill).expect("the build has failpoints");
}
