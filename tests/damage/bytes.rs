//! Copies, differences and flips.

use crate::files::walk;
use std::fs;
use std::path::Path;

/// Copies a directory as it is; of a store that is open and at rest, this is what a killed process leaves.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the test's own directory");
    for path in walk(from) {
        let target = to.join(path.strip_prefix(from).expect("below it"));
        if path.is_dir() {
            fs::create_dir_all(target).expect("the test's own directory");
        } else {
            fs::copy(&path, target).expect("room on the disk");
        }
    }
}

/// From the first byte that differs to the last: what was written in between.
pub(crate) fn first_difference(before: &[u8], after: &[u8]) -> Option<std::ops::Range<usize>> {
    let longest = before.len().max(after.len());
    let differs = |at: &usize| before.get(*at) != after.get(*at);
    let start = (0..longest).find(differs)?;
    let end = (0..longest).rfind(differs)? + 1;
    Some(start..end)
}

/// Flips one bit of a file.
pub(crate) fn flip(path: &Path, offset: usize, bit: u32) {
    let mut bytes = fs::read(path).expect("the file exists");
    bytes[offset] ^= 1 << bit;
    fs::write(path, bytes).expect("the test's own file");
}
