//! How the command ends: its exit codes, and what it says on stderr.

use shingle::{Error, ErrorKind};
use std::io;
use std::process::ExitCode;

/// A command line or a configuration file that is wrong in itself, whatever the store holds.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The command did its work and the answer is no: said already, on stdout or stderr.
#[derive(Debug)]
pub(crate) struct Negative;

impl std::fmt::Display for Negative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Negative {}

const FAILED: u8 = 1;
const USAGE: u8 = 2;

/// Says on stderr what went wrong and what to do about it, and turns it into an exit code: 2 if the command line or the configuration is wrong in
/// itself, else 1.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<Negative>() {
        return ExitCode::from(FAILED);
    }
    // Whoever reads our output has seen enough, as `head` does.
    if error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|e| e.kind() == io::ErrorKind::BrokenPipe)
    {
        return ExitCode::SUCCESS;
    }
    eprintln!("shingle: {}", sentence(error));
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    if let Some(hint) = cause.and_then(hint) {
        eprintln!("         {hint}");
    }
    ExitCode::from(if error.is::<Usage>() || cause.is_some_and(is_usage) { USAGE } else { FAILED })
}

/// The error and its causes, outermost first, each that says something new.
fn sentence(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

/// Whether no store could have done it: a key without a byte, for instance, but not a height that this store has not.
fn is_usage(error: &Error) -> bool {
    let depends_on_the_store = matches!(
        error,
        Error::NoSuchHeight { .. }
            | Error::AboveNewest { .. }
            | Error::NoBlockBefore { .. }
            | Error::Occupied { .. }
            | Error::RebalanceRefused { .. }
            | Error::RebalanceUnfinished { .. }
            | Error::NoRebalance
            | Error::RebalanceGivenUp
            | Error::RebalanceHandedOver
            | Error::CheckpointExists { .. }
            | Error::NoSuchCheckpoint { .. }
    );
    error.kind() == ErrorKind::InvalidArgument && !depends_on_the_store
}

/// What the command's user can do, where the error itself speaks to a programmer.
fn hint(error: &Error) -> Option<String> {
    if let Error::Locked { holder, .. } = error
        && let Some(url) = holder.split_whitespace().find(|word| word.starts_with("http://"))
    {
        Some(format!(
            "`--url {url}` asks it there: `shingle status`, `flush`, `verify`, `prune`, `rebalance`, \
             `reshard`, `shards`, `slots` and `checkpoint create`, `list`, `verify` and `delete` take it; for any \
             other, end the node first"
        ))
    } else if matches!(error, Error::NotAStore { .. }) {
        let stores = "`shingle demo` makes a store to look at, `shingle put --create` an empty one";
        Some(format!("`--dir` names another directory; {stores}"))
    } else if matches!(error, Error::LogDamaged { .. }) {
        let way_out = "`shingle status --recover-to-last-good` opens it so, for good";
        Some(format!("nothing was changed; if there is no copy, {way_out}"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::sentence;
    use anyhow::anyhow;

    #[test]
    fn nothing_is_said_twice() {
        let stutter = anyhow!("no such file").context("data cannot be read: no such file").context("opening");
        assert_eq!(sentence(&stutter), "opening: data cannot be read: no such file");
    }
}
