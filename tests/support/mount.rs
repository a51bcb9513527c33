//! File systems of the test's own, where it runs as root.

use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A mounted file system; unmounted when dropped.
pub(crate) struct Mount {
    /// `None` only while it is dropped.
    dir: Option<TempDir>,
}

impl Mount {
    /// Mounts what `arguments` say; `None`, with a word on standard error, where that is not allowed.
    pub(crate) fn new(arguments: &[&str]) -> Option<Mount> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mounted = Command::new("mount").args(arguments).arg(dir.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Mount { dir: Some(dir) }),
            Ok(output) => {
                eprintln!("SKIPPED: cannot mount {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(error) => {
                eprintln!("SKIPPED: no mount command: {error}");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.as_ref().expect("only `drop` takes it").path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            // Nothing below a mount point may be removed as if it were the test's own directory.
            let left = self.dir.take().map(TempDir::keep);
            eprintln!("could not unmount {left:?}");
        }
    }
}
