//! The test binary run again as a child process, to be killed or to meet limits of its own.

use std::process::{Command, Stdio};

/// Set in the child's environment; the test that it names does the child's work.
const ROLE: &str = "SHINGLE_TEST_CHILD";

/// Whether this process is the child that runs `test`.
pub(crate) fn is_child(test: &str) -> bool {
    std::env::var(ROLE).is_ok_and(|role| role == test)
}

/// This binary, set to run only `test` as a child, with its standard output in a pipe.
pub(crate) fn command(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a running test has a path"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, test).stdout(Stdio::piped());
    command
}
