//! Which segments the log consists of.

use super::files::Files;
use super::segment::SegmentHeader;
use crate::layout::LogFile;
use shingle_shard::Version;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// Where a log is not as it was written.
#[derive(Debug)]
pub(super) struct Damage {
    pub(super) segment: PathBuf,
    pub(super) offset: u64,
    pub(super) what: String,
}

/// A part of the log, in order.
#[derive(Debug)]
pub(super) enum Link {
    Segment(SegmentHeader),
    /// Something that should be a segment and is none.
    Lost(Damage),
}

/// From the newest segment back to the one that holds the first version above `from`. Segments that no link names
/// were given up by an earlier opening, or were due to be released.
pub(super) fn chain(files: &Files, dir: &Path, from: Version) -> VecDeque<Link> {
    let mut links = VecDeque::new();
    let mut next = files.newest();
    while let Some(number) = next {
        let lost = |what: &str| {
            let segment = dir.join(LogFile::Segment(number).name());
            Link::Lost(Damage { segment, offset: 0, what: what.to_owned() })
        };
        let older = || files.segments.range(..number).next_back().map(|(&number, _)| number);
        next = match files.segments.get(&number).map(|segment| &segment.header) {
            Some(Ok(header)) => {
                links.push_front(Link::Segment(*header));
                if header.base_version <= from {
                    None
                } else if header.previous == 0 {
                    links.push_front(lost("the log begins after the versions that the shards hold"));
                    None
                } else {
                    Some(header.previous)
                }
            }
            Some(Err(what)) => {
                links.push_front(lost(what));
                older()
            }
            None => {
                links.push_front(lost("the segment is missing"));
                older()
            }
        };
    }
    links
}
