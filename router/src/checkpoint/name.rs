//! Names of checkpoints, which are names of directories.

use crate::blocks::SealedBlock;
use crate::{Error, Result};
use shingle_shard::Version;

/// The longest name.
const NAME_BYTES_MAX: usize = 100;

/// A name that is safe as a directory's: ASCII letters, digits, `.`, `_` and `-`, and a letter or digit first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let sound = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.len() <= NAME_BYTES_MAX;
        if sound {
            return Ok(Name(name.to_owned()));
        }
        let what = format!(
            "{name:?} is no name for a checkpoint: it must have 1 to {NAME_BYTES_MAX} letters, digits, '.', '_' or '-', \
             and begin with a letter or a digit"
        );
        Err(Error::InvalidArgument { what })
    }

    /// The name of an automatic checkpoint, by what it holds: after a rollback the same height comes again, the same version never. Where it is
    /// not the first one of that name, `further` is above 1.
    pub(super) fn automatic(block: Option<SealedBlock>, version: Version, further: u32) -> Self {
        let height = block.map_or(0, |block| block.height);
        let again = if further > 1 { format!("-{further}") } else { String::new() };
        Name(format!("height-{height}-version-{version}{again}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_directory() {
        for name in ["a", "before-upgrade_2.1", "0", &"x".repeat(NAME_BYTES_MAX)] {
            assert!(Name::new(name).is_ok(), "{name}");
        }
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in
            ["", ".", "..", ".hidden", "-rf", "a/b", "/a", "a\\b", "a b", "a\n", "a\0", "ä", "a:b", long.as_str()]
        {
            assert!(Name::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn automatic_names_are_names() {
        for block in [None, Some(SealedBlock { height: u64::MAX, timestamp_ms: 0, version: 1 })] {
            let name = Name::automatic(block, Version::MAX, u32::MAX);
            assert_eq!(Name::new(name.as_str()).ok(), Some(name));
        }
    }
}
