//! Transactions: what each isolation forbids, what it allows, and what happens with real threads.

mod anomalies;
mod checker;
mod list_append;
mod threads;
mod transact;

use shingle::{Database, Durability};
use tempfile::TempDir;

/// A store in memory: isolation is the router's, whatever lies below.
fn store() -> Database {
    Database::builder("").shards(3).in_memory().expect("nothing is in the way of a store in memory")
}

/// A store on disk, whose commits wait for a real log; buffered, so that conflicts and not the disk set the pace.
fn store_on_disk() -> (Database, TempDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let db = Database::builder(dir.path().join("store"))
        .shards(3)
        .durability(Durability::Buffered)
        .open()
        .expect("an empty directory takes a store");
    (db, dir)
}

fn number(bytes: Option<Vec<u8>>) -> u64 {
    bytes.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().expect("eight bytes were written")))
}
