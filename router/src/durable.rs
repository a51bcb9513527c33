//! Small files that must be there whole or not at all.

use crate::{Error, Result};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Makes a new file durable, its name included.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    file.map_err(|error| Error::io("write", path, error))?;
    sync_parent(path)
}

/// Makes a new, renamed or removed name durable.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("sync", parent, error))
}
