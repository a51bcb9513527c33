//! The file `CREATING`: which directories the making of a store leaves behind if it is cut short.
//!
//! ```text
//! path of a directory, relative to the store's where it lies inside
//! …
//! checksum of the lines before, in hex
//! ```
//! It is durable before any of them is made. One that is not whole was itself cut short, and so nothing was made: the paths
//! in it, which may be cut as well, are nobody's to remove.

use crate::layout::Layout;
use crate::manifest::Manifest;
use crate::{Error, Result, durable};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// The directories that a store in the making consists of, beside its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Creating {
    dirs: Vec<String>,
}

impl Creating {
    /// Refuses paths that do not fit a line.
    pub(crate) fn of(manifest: &Manifest) -> Result<Self> {
        Creating::of_dirs(manifest.shards.iter().chain([&manifest.log_dir]))
    }

    /// Of these directories, relative to the store's where they lie inside. Refuses paths that do not fit a line.
    pub(crate) fn of_dirs<'a>(dirs: impl IntoIterator<Item = &'a PathBuf>) -> Result<Self> {
        let line = |path: &PathBuf| match path.to_str() {
            Some(line) if !line.contains(['\n', '\r']) => Ok(line.to_owned()),
            _ => Err(Error::InvalidArgument {
                what: format!("the path {path:?} of a part of the store must be UTF-8 without line breaks"),
            }),
        };
        Ok(Creating { dirs: dirs.into_iter().map(line).collect::<Result<_>>()? })
    }

    /// What an attempt that was cut short has noted; `None` if there is none, or if it did not come to make anything.
    pub(crate) fn load(layout: &Layout<'_>) -> Result<Option<Self>> {
        let path = layout.creating();
        match fs::read(&path) {
            Ok(bytes) => Ok(parse(&bytes)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    pub(crate) fn store(&self, layout: &Layout<'_>) -> Result<()> {
        durable::write(&layout.creating(), self.to_text().as_bytes())
    }

    /// Forgets the attempt: the store is made.
    pub(crate) fn remove(layout: &Layout<'_>) -> Result<()> {
        let path = layout.creating();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &path, error)),
            _ => Ok(()),
        }
    }

    /// The directories of the store in `dir`.
    pub(crate) fn dirs(&self, dir: &Path) -> impl Iterator<Item = PathBuf> {
        self.dirs.iter().map(move |path| dir.join(path))
    }

    fn to_text(&self) -> String {
        let lines: String = self.dirs.iter().map(|path| format!("{path}\n")).collect();
        let checksum = checksum_line(&lines);
        lines + &checksum
    }
}

fn parse(bytes: &[u8]) -> Option<Creating> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (lines, checksum) = text.split_at_checked(text.len().checked_sub(checksum_line("").len())?)?;
    let dirs = lines.lines().map(str::to_owned).collect();
    (checksum == checksum_line(lines)).then_some(Creating { dirs })
}

fn checksum_line(lines: &str) -> String {
    format!("{:016x}\n", xxh3_64(lines.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_back_and_what_was_cut_short_is_not() {
        let dirs = ["shards/000", "/mnt/fast/001", "log"].map(str::to_owned).to_vec();
        let creating = Creating { dirs };
        let text = creating.to_text();
        for bytes in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..bytes]), None, "{bytes} bytes");
        }
        assert_eq!(creating.dirs(Path::new("/data")).next(), Some(PathBuf::from("/data/shards/000")));
        assert_eq!(creating.dirs(Path::new("/data")).nth(1), Some(PathBuf::from("/mnt/fast/001")));
        assert_eq!(parse(text.as_bytes()), Some(creating));
        assert_eq!(parse("schlüssel".as_bytes()), None);
    }
}
