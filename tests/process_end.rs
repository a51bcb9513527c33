//! A process that ends while other threads work on a store: it ends with its own status, and nothing that was acknowledged is lost.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

#[path = "support/child.rs"]
mod child;

use shingle::{Batch, Database};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

const DIR: &str = "SHINGLE_TEST_DIR";
const MICROS: &str = "SHINGLE_TEST_MICROS";
const STATUS: i32 = 7;

fn variable(name: &str) -> String {
    std::env::var(name).expect("the parent has set it")
}

/// Not a test: a process that ends while some of its threads read, write and flush, and one closes another store.
#[test]
fn in_the_midst_of_work() {
    if !child::is_child("in_the_midst_of_work") {
        return;
    }
    let dir = PathBuf::from(variable(DIR));
    let db = Database::builder(dir.join("used")).shards(4).open().expect("a new store, or a sound one");
    let closing = Database::builder(dir.join("closing")).shards(16).open().expect("a new store, or a sound one");
    let mut batch = Batch::new();
    (0..500_u32).for_each(|n| {
        batch.put(n.to_be_bytes(), vec![1; 1000]);
    });
    db.commit(batch.clone()).expect("a sound disk");
    closing.commit(batch.clone()).expect("a sound disk");
    let (begun, working) = channel();
    for work in 0..3 {
        let (db, begun, batch) = (db.clone(), begun.clone(), batch.clone());
        thread::spawn(move || {
            begun.send(()).ok();
            loop {
                match work {
                    0 => drop(db.commit(batch.clone())),
                    1 => drop(db.flush()),
                    _ => assert!(db.prefix("").count() > 0),
                }
            }
        });
    }
    thread::spawn(move || {
        begun.send(()).ok();
        drop(closing);
    });
    working.iter().take(4).for_each(drop);
    thread::sleep(Duration::from_micros(variable(MICROS).parse().expect("a number")));
    std::process::exit(STATUS);
}

#[test]
fn it_ends_with_its_own_status() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for round in 0..30_u64 {
        let mut child = child::command("in_the_midst_of_work");
        let child = child.env(DIR, dir.path()).env(MICROS, (round * 300).to_string());
        let output = child.output().expect("this binary can be run again");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(STATUS), "round {round}: {}, {said}", output.status);
    }
    for store in ["used", "closing"] {
        let db = Database::open(dir.path().join(store)).expect("a sound store");
        assert_eq!(db.prefix("").count(), 500);
        assert!(db.verify(&|_| {}).expect("a sound disk").is_sound());
    }
}
