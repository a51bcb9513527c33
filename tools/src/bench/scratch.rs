//! The directory in which a benchmark's stores are made, and which goes with it.

use anyhow::Context;
use std::io;
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

/// How often it is tried: what a store that is still written makes or removes meanwhile must not keep its directory from going.
const ATTEMPTS: usize = 10;

/// Under another name first, so that stores that are still written find no place for another file.
fn remove(path: &Path) {
    let gone = path.with_extension("removed");
    for attempt in 1..=ATTEMPTS {
        let removed = match std::fs::rename(path, &gone) {
            // Gone already, or renamed by an attempt before.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed,
        };
        match removed.and_then(|()| std::fs::remove_dir_all(&gone)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !gone.exists() => {}
            Err(error) if attempt == ATTEMPTS => {
                eprintln!("shingle: cannot remove {}: {error}", path.display());
            }
            Err(_) | Ok(()) => {}
        }
        if !path.exists() && !gone.exists() {
            return;
        }
    }
}
