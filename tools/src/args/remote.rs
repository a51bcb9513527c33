//! Arguments of verbs that can be asked of a running node, and of the verb that is one.

use super::StoreArgs;
use super::number::number;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A running node to ask, instead of opening the store.
#[derive(Args, Debug)]
#[command(next_help_heading = "A running node")]
pub(crate) struct NodeArgs {
    /// Ask the node that has the store open, at the address of its admin server.
    #[arg(long, value_name = "URL", conflicts_with_all = ["dir", "config", "recover_to_last_good"])]
    pub(crate) url: Option<String>,
}

/// The same, for verbs that take no settings of the store.
#[derive(Args, Debug)]
#[command(next_help_heading = "A running node")]
pub(crate) struct DirNodeArgs {
    /// Ask the node that has the store open, at the address of its admin server.
    #[arg(long, value_name = "URL", conflicts_with = "dir")]
    pub(crate) url: Option<String>,
}

/// The token for what a running node does only for those who may.
#[derive(Args, Debug)]
#[command(next_help_heading = "A running node")]
pub(crate) struct TokenArgs {
    /// File of the token that the node was started with.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle flush
  shingle flush --url http://127.0.0.1:9464 --token-file token")]
pub(crate) struct FlushArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    #[command(flatten)]
    pub(crate) node: NodeArgs,

    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  shingle serve --demo                       something to look at, on http://127.0.0.1:9464
  (umask 077; openssl rand -hex 32 > token)  a token, for actions
  shingle serve --dir /srv/node/state --token-file token

It serves until it is asked to end, by Ctrl-C or SIGTERM, and closes the store.")]
pub(crate) struct ServeArgs {
    /// Address to listen on. Port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:9464", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,

    /// Allow an address that other machines can reach: who does reads the store's figures, unencrypted.
    #[arg(long)]
    pub(crate) beyond_loopback: bool,

    /// Take actions, such as flush, from those who know the token in this file [default: none are taken]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Make blocks of token transfers meanwhile, as `shingle demo` does; makes the store if it is missing.
    #[arg(long)]
    pub(crate) demo: bool,

    /// How many blocks a second, at the most.
    #[arg(long, default_value_t = 10, requires = "demo", value_name = "N", allow_negative_numbers = true, value_parser = number("blocks a second", 1..=100_000))]
    pub(crate) blocks_per_second: u64,

    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
