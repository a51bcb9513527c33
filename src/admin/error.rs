//! Why the admin server does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the admin server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// Everybody in the network could read the store's figures.
    #[error(
        "{address} is not a loopback address: whoever reaches it reads the store's figures; listen on 127.0.0.1, or allow that explicitly"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The file of the token cannot be read.
    #[error("cannot read the token in {path}: {cause}", path = path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The file of the token can be read by others, or holds no good token.
    #[error("{path} cannot be used as a token file: {what}", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The system refuses a thread.
    #[error("cannot start the admin server's threads: {0}")]
    Threads(io::Error),
}
