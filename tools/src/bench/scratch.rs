//! The directory in which a benchmark's stores are made, and which goes with it.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// A directory of this process alone; removed when dropped, unless it is to be kept.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    pub(super) fn new(parent: &Path, keep: bool) -> anyhow::Result<Self> {
        let path = parent.join(format!("shingle-bench-{}", std::process::id()));
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::create_dir(&path))
            .with_context(|| format!("cannot make {}; --scratch names another place", path.display()))?;
        Ok(Scratch { path, keep })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory, for a process that ends before the drop.
    pub(super) fn remover(&self) -> impl Fn() + Send + 'static {
        let (path, keep) = (self.path.clone(), self.keep);
        move || {
            if !keep {
                remove(&path);
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("shingle: the stores are left in {}", self.path.display());
        } else {
            remove(&self.path);
        }
    }
}

/// Under another name first: stores that are still written find no place for another file, which would keep their directories from going.
fn remove(path: &Path) {
    let gone = path.with_extension("removed");
    let removed = std::fs::rename(path, &gone).and_then(|()| std::fs::remove_dir_all(&gone));
    if let Err(error) = removed {
        eprintln!("shingle: cannot remove {}: {error}", path.display());
    }
}
