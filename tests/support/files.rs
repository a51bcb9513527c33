//! A directory's files, as bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file below `dir` with its bytes; directories have none.
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for path in walk(dir) {
        let bytes = path.is_file().then(|| fs::read(&path).expect("a file that was just listed"));
        found.insert(path.strip_prefix(dir).expect("below it").to_owned(), bytes);
    }
    found
}

/// Every file and directory below `dir`, in order.
pub(crate) fn walk(dir: &Path) -> Vec<PathBuf> {
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
