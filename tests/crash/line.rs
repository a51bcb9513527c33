//! What a child tells its parent, a line each. The parent trusts only what it has read.

use shingle::{Block, SealedBlock, Version};
use std::io::Write;

/// Identifies one commit of one child: every key that the commit writes gets it as its value.
pub(crate) type Stamp = u64;

/// The stamp of a block without writes.
pub(crate) const EMPTY_BLOCK: Stamp = 0;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The store is open.
    Ready(Version),
    /// A commit has its version, and may or may not come to be.
    Try { stamp: Stamp, version: Version, block: Option<Block> },
    /// The commit was acknowledged.
    Ack { stamp: Stamp, version: Version, block: Option<Block> },
    /// A rollback to this block begins.
    Rolling(SealedBlock),
    /// It was acknowledged; its own version.
    Rolled(Version),
    /// The process kills itself at a named point.
    Point(String),
}

impl Line {
    /// Writes the line in one piece; a parent that is gone ends the child.
    pub(crate) fn tell(&self) {
        if writeln!(std::io::stdout(), "{self}").is_err() {
            std::process::exit(0);
        }
    }

    /// Reads a line; `None` is what the test harness says, or a line cut short by the kill. The harness may have left its own line unfinished.
    pub(crate) fn parse(text: &str) -> Option<Line> {
        let mut words = text.split_once("@ ")?.1.strip_suffix(" .")?.split(' ');
        let verb = words.next()?;
        if verb == "point" {
            return Some(Line::Point(words.next()?.to_owned()));
        }
        let numbers: Vec<u64> = words.map(str::parse).collect::<Result<_, _>>().ok()?;
        let block = |rest: &[u64]| match *rest {
            [height, timestamp_ms] => Some(Block { height, timestamp_ms }),
            _ => None,
        };
        match (verb, numbers.as_slice()) {
            ("ready", [version]) => Some(Line::Ready(*version)),
            ("try", [stamp, version, rest @ ..]) => {
                Some(Line::Try { stamp: *stamp, version: *version, block: block(rest) })
            }
            ("ack", [stamp, version, rest @ ..]) => {
                Some(Line::Ack { stamp: *stamp, version: *version, block: block(rest) })
            }
            ("rolling", [height, timestamp_ms, version]) => {
                Some(Line::Rolling(SealedBlock { height: *height, timestamp_ms: *timestamp_ms, version: *version }))
            }
            ("rolled", [version]) => Some(Line::Rolled(*version)),
            _ => None,
        }
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let block = |block: &Option<Block>| {
            block.map_or_else(String::new, |block| format!(" {} {}", block.height, block.timestamp_ms))
        };
        match self {
            Line::Ready(version) => write!(f, "@ ready {version} ."),
            Line::Try { stamp, version, block: b } => write!(f, "@ try {stamp} {version}{} .", block(b)),
            Line::Ack { stamp, version, block: b } => write!(f, "@ ack {stamp} {version}{} .", block(b)),
            Line::Rolling(to) => write!(f, "@ rolling {} {} {} .", to.height, to.timestamp_ms, to.version),
            Line::Rolled(version) => write!(f, "@ rolled {version} ."),
            Line::Point(name) => write!(f, "@ point {name} ."),
        }
    }
}
