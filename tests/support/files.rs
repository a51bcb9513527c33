//! A store's files, as bytes: compared, copied, found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file below `dir` with its bytes; directories have none.
pub fn contents(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for path in walk(dir) {
        let bytes = path.is_file().then(|| fs::read(&path).expect("a file that was just listed"));
        found.insert(path.strip_prefix(dir).expect("below it").to_owned(), bytes);
    }
    found
}

/// Every file and directory below `dir`, in order.
pub fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<_> =
        fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("readable").path()).collect();
    entries.sort();
    for path in entries {
        found.push(path.clone());
        if path.is_dir() {
            found.extend(walk(&path));
        }
    }
    found
}

/// Copies a directory as it is; of a store that is open and at rest, this is what a killed process leaves.
pub fn copy(from: &Path, to: &Path) {
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

/// The first and the last file that differ in content between two directories, that is what was written in between.
pub fn first_difference(before: &[u8], after: &[u8]) -> Option<std::ops::Range<usize>> {
    let longest = before.len().max(after.len());
    let differs = |at: &usize| before.get(*at) != after.get(*at);
    let start = (0..longest).find(differs)?;
    let end = (0..longest).rfind(differs)? + 1;
    Some(start..end)
}

/// Flips one bit of a file.
pub fn flip(path: &Path, offset: usize, bit: u32) {
    let mut bytes = fs::read(path).expect("the file exists");
    bytes[offset] ^= 1 << bit;
    fs::write(path, bytes).expect("the test's own file");
}
