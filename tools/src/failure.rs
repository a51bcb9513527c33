//! How the command ends: its exit codes, and what it says on stderr.

use shingle::ErrorKind;
use std::io;
use std::process::ExitCode;

/// A bad argument that only its meaning reveals.
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

/// Says on stderr what went wrong and what to do about it, and turns it into an exit code: 1 if the work failed, 2 for a bad argument.
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
    eprintln!("shingle: {error:#}");
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<shingle::Error>()).map(shingle::Error::kind);
    if let Some(hint) = kind.and_then(hint) {
        eprintln!("         {hint}");
    }
    let usage = error.is::<Usage>() || kind == Some(ErrorKind::InvalidArgument);
    ExitCode::from(if usage { USAGE } else { FAILED })
}

/// What the command's user can do, where the error itself speaks to a programmer.
fn hint(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::NotAStore => "`shingle demo` makes a store to look at; `shingle put --create` makes an empty one",
        ErrorKind::Locked => "a store is open in one process at a time: stop the other one, or ask it",
        ErrorKind::Damaged => {
            "nothing was changed; if the commit log is what is damaged and there is no copy of the store, `shingle status --recover-to-last-good` gives up what follows the last good version"
        }
        ErrorKind::TooManyOpenFiles => "raise the limit with `ulimit -n`, or lower `rocksdb.max_open_files`",
        ErrorKind::NoSpace => "free some room; nothing that was acknowledged is lost",
        ErrorKind::InvalidArgument
        | ErrorKind::Conflict
        | ErrorKind::Pruned
        | ErrorKind::RolledBack
        | ErrorKind::Mismatch
        | ErrorKind::Poisoned
        | ErrorKind::Closed
        | ErrorKind::Io
        | _ => return None,
    })
}
