//! The admin server as its clients meet it: good ones, and those that mean no good.

mod abuse;
mod actions;
mod exposition;
mod http;
mod moves;
mod ready;
mod upkeep;

use shingle::admin::{Serve, Server};
use shingle::{Batch, Block, Database};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A store with something in it, and its server.
pub(crate) struct Node {
    pub(crate) server: Server,
    pub(crate) db: Database,
    dir: TempDir,
}

impl Node {
    pub(crate) fn start() -> Self {
        Self::start_with(|serve, dir| {
            let path = dir.path().join("token");
            std::fs::write(&path, TOKEN).expect("it can be written");
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
            serve.token_file(path)
        })
    }

    pub(crate) fn start_with(set: impl FnOnce(Serve, &TempDir) -> Serve) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let db = Database::builder(dir.path().join("state")).shards(3);
        let db = db.with_enable_statistics(true).with_reorg_window_blocks(0).open();
        let db = db.expect("a new store");
        for height in 1..=5 {
            commit(&db, height);
        }
        let serve = db.serve("127.0.0.1:0".parse().expect("an address"));
        let server = set(serve, &dir).start().expect("it can listen");
        Node { server, db, dir }
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }

    pub(crate) fn store_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("state")
    }
}

pub(crate) fn commit(db: &Database, height: u64) {
    let mut batch = Batch::new();
    for key in 0..50 {
        batch.put(format!("key {key}"), format!("value {height}"));
    }
    db.commit_block(Block { height, timestamp_ms: 1_700_000_000_000 + height }, batch).expect("a sound store");
}
