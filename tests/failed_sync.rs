//! A sync that fails: the store takes no more writes and says why, reads go on, and opening it again puts it right.

#[path = "support/child.rs"]
mod child;

use shingle::{Batch, Block, Database, ErrorKind};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const DIR: &str = "SHINGLE_TEST_DIR";

fn batch(key: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, "1").put(format!("{key}, other shard"), "1");
    batch
}

/// So large that it is written to memory while it is synced.
fn large_batch(key: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key, vec![b'1'; 100_000]).put(format!("{key}, other shard"), vec![b'1'; 100_000]);
    batch
}

/// Not a test: a process whose `fdatasync` fails from a certain moment on.
#[test]
fn on_a_failing_disk() {
    if !child::is_child("on_a_failing_disk") {
        return;
    }
    let path = PathBuf::from(std::env::var_os(DIR).expect("the parent has set it"));
    let db = Database::builder(path).shards(3).open().expect("the disk is sound so far");
    db.commit_block(Block { height: 1, timestamp_ms: 1 }, batch("before")).expect("the disk is sound so far");
    writeln!(std::io::stdout(), "\nready").expect("the parent listens");
    std::io::stdin().lines().next().expect("the parent says when").expect("a line");

    let first = db.commit(large_batch("during")).expect_err("the sync fails");
    assert_eq!(first.kind(), ErrorKind::Poisoned, "{first}");
    assert!(first.to_string().contains("reopen"), "{first}");
    assert!(first.to_string().contains("Input/output error"), "the cause is named: {first}");
    for again in [
        db.commit(batch("later")),
        db.seal_block(Block { height: 2, timestamp_ms: 2 }),
        db.rollback_to(1),
        db.transact(|txn| txn.put("later", "1")).map(|()| 0),
        db.sync().map(|()| 0),
    ] {
        let error = again.expect_err("no write is taken any more");
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Poisoned, first.to_string()));
    }
    assert_eq!(db.get("before").expect("reads go on"), Some(b"1".to_vec()));
    assert_eq!(db.get("during").expect("reads go on"), None, "in memory perhaps, but never published");
    assert_eq!(db.prefix("during").count(), 0);
    assert_eq!(db.get("later").expect("reads go on"), None);
    assert_eq!(db.prefix("before").count(), 2);
    assert_eq!(db.head().map(|head| head.height), Some(1));
    drop(db);
}

#[test]
fn a_failed_sync_ends_writing_until_the_store_is_opened_again() {
    let Ok(true) = Command::new("strace").arg("-V").stdout(Stdio::null()).status().map(|status| status.success())
    else {
        eprintln!("SKIPPED: strace is not installed, so that no sync can be made to fail");
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("store");
    let mut node = child::command("on_a_failing_disk")
        .env(DIR, &path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("this binary can be run");
    let mut said = BufReader::new(node.stdout.take().expect("it is piped")).lines();
    assert!(said.by_ref().map_while(Result::ok).any(|line| line == "ready"), "the child did not get ready");

    let mut disk = Command::new("strace")
        .args([
            "-f",
            "-e",
            "trace=fdatasync,fsync",
            "-e",
            "inject=fdatasync,fsync:error=EIO",
            "-p",
            &node.id().to_string(),
        ])
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is installed");
    let attached = BufReader::new(disk.stderr.take().expect("it is piped"));
    let mut attached = attached.lines().map_while(Result::ok);
    if !attached.by_ref().any(|line| line.contains("attached")) {
        eprintln!("SKIPPED: strace may not attach to a process here");
        node.kill().expect("it is not waited for yet");
        node.wait().expect("it is waited for once");
        disk.wait().expect("it has nothing to attach to");
        return;
    }
    std::thread::spawn(move || attached.for_each(drop));
    writeln!(node.stdin.take().expect("it is piped"), "go on").expect("the child listens");
    said.for_each(drop);
    let status = node.wait().expect("it is waited for once");
    disk.wait().expect("it ends with the child");
    assert!(status.success(), "see the child's words above");

    let db = Database::open(&path).expect("the disk is sound again");
    assert_eq!(db.get("before").expect("a sound store"), Some(b"1".to_vec()));
    assert_eq!(db.get("later").expect("a sound store"), None);
    let rows = db.prefix("during").count();
    assert!(rows == 0 || rows == 2, "the commit whose sync failed is there or not, but whole: {rows}");
    db.commit(batch("afterwards")).expect("it takes writes again");
}
