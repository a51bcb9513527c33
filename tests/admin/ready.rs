//! Health and readiness, and what they say of a store that is closed or poisoned.

#[path = "../support/child.rs"]
mod child;

use crate::Node;
use crate::http::get;
use shingle::{Batch, Database, ErrorKind};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const DIR: &str = "SHINGLE_TEST_DIR";

#[test]
fn a_store_that_is_open_is_ready_and_one_that_is_closed_is_not() {
    let node = Node::start();
    assert_eq!((get(node.address(), "/healthz").status, get(node.address(), "/readyz").status), (200, 200));
    let status = get(node.address(), "/status").json();
    assert_eq!(status, serde_json::to_value(node.db.status()).expect("it is plain data"));
    node.db.clone().close().expect("a sound store");
    let ready = get(node.address(), "/readyz");
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(ready.body.contains("closed"), "{ready:?}");
    assert_eq!(get(node.address(), "/healthz").status, 200, "the process is alive");
    let status = get(node.address(), "/status").json();
    assert_eq!(status["condition"]["writable"], false, "{status}");
    assert!(get(node.address(), "/metrics").body.contains("\nshingle_writable 0\n"));
}

/// Not a test: a node whose log cannot be synced from a certain moment on.
#[test]
fn on_a_failing_disk() {
    if !child::is_child("ready::on_a_failing_disk") {
        return;
    }
    let path = PathBuf::from(std::env::var_os(DIR).expect("the parent has set it"));
    let db = Database::builder(path).shards(2).open().expect("the disk is sound so far");
    let server = db.serve("127.0.0.1:0".parse().expect("an address")).start().expect("it can listen");
    // The log's first segment is made: what fails then is a sync.
    crate::commit(&db, 1);
    assert_eq!(get(server.address(), "/readyz").status, 200);
    writeln!(std::io::stdout(), "\nready").expect("the parent listens");
    std::io::stdin().lines().next().expect("the parent says when").expect("a line");

    let mut batch = Batch::new();
    batch.put("key", "value");
    let error = db.commit(batch).expect_err("the sync fails");
    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
    let ready = get(server.address(), "/readyz");
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(ready.body.contains("Input/output error"), "it says why: {ready:?}");
    assert_eq!(get(server.address(), "/healthz").status, 200);
    let condition = &get(server.address(), "/status").json()["condition"];
    assert_eq!(condition["writable"], false, "{condition}");
    assert!(condition["reason"].as_str().is_some_and(|reason| reason.contains("Input/output error")), "{condition}");
    assert!(get(server.address(), "/metrics").body.contains("\nshingle_writable 0\n"));
}

#[test]
fn a_poisoned_store_is_not_ready_and_says_why() {
    let Ok(true) = Command::new("strace").arg("-V").stdout(Stdio::null()).status().map(|status| status.success())
    else {
        eprintln!("SKIPPED: strace is not installed, so that no sync can be made to fail");
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut node = child::command("ready::on_a_failing_disk")
        .env(DIR, dir.path().join("state"))
        .stdin(Stdio::piped())
        .spawn()
        .expect("this binary can be run");
    let mut said = BufReader::new(node.stdout.take().expect("it is piped")).lines();
    assert!(said.by_ref().map_while(Result::ok).any(|line| line == "ready"), "the child did not get ready");
    let failing = ["-f", "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO", "-p"];
    let mut disk = Command::new("strace")
        .args(failing)
        .arg(node.id().to_string())
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
}
