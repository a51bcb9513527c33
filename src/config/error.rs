//! What can be wrong with a configuration.

use shingle_shard::backend::OptionError;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a configuration was refused. Nothing has been opened or changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting lies outside its bound, or contradicts another one.
    #[error("`{field}` must be {bound}; {given} was given")]
    OutOfRange {
        /// The setting, with its table: `rocksdb.write_buffer_size`.
        field: String,
        /// What it must be.
        bound: String,
        /// What it was.
        given: String,
    },
    /// The file's extension is neither `.toml` nor `.json`.
    #[error("{path}: a configuration is read from a .toml or a .json file", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("{path} cannot be read: {cause}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: Arc<std::io::Error>,
    },
    /// The file is not a configuration: a syntax error, an unknown field or a value of the wrong type, by name.
    #[error("{path}: {what}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
}

impl From<OptionError> for ConfigError {
    fn from(error: OptionError) -> Self {
        ConfigError::OutOfRange { field: format!("rocksdb.{}", error.field), bound: error.bound, given: error.given }
    }
}

impl From<ConfigError> for shingle_router::Error {
    fn from(error: ConfigError) -> Self {
        shingle_router::Error::InvalidArgument { what: error.to_string() }
    }
}
