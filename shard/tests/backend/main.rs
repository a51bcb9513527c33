//! What every backend must do, and what RocksDB's must besides: one set of tests, run over each.

mod conformance;
mod damage;
mod fixture;
mod full_disk;
mod histories;
mod identity;
mod model;
#[path = "../../../tests/support/mount.rs"]
mod mount;
mod prune;
mod repair;
mod replay;
mod settings;
mod subject;
