//! Too few file descriptors: said when the store is opened, with the number that is enough.

#[path = "support/child.rs"]
mod child;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shingle::{Batch, Database, ErrorKind};

const DIR: &str = "SHINGLE_TEST_DIR";

/// Not a test: a process with a limit of its own.
#[test]
fn limited() {
    if !child::is_child("limited") {
        return;
    }
    let path = std::path::PathBuf::from(std::env::var_os(DIR).expect("the parent has set it"));
    let hard = getrlimit(Resource::Nofile).maximum;
    let limit = |files| {
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum: hard }).expect("below the hard limit");
    };
    let open = || Database::builder(&path).shards(6).open();

    limit(64);
    let error = open().expect_err("six shards in 64 files");
    assert_eq!(error.kind(), ErrorKind::TooManyOpenFiles, "{error}");
    let said = error.to_string();
    let numbers: Vec<u64> = said.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    let [needed, given] = numbers[..] else { panic!("it names the number needed and the limit: {said}") };
    assert_eq!(given, 64, "{said}");
    assert!(said.contains("ulimit"), "it says what to do: {said}");
    assert!(!path.exists(), "a refused opening makes nothing");

    limit(needed - 1);
    let error = open().expect_err("one less than needed");
    assert_eq!(error.kind(), ErrorKind::TooManyOpenFiles, "{error}");

    // The number is enough, not only for the opening: also for many files on every shard.
    limit(needed);
    let db = open().expect("as many as it asked for");
    for round in 0..20_u32 {
        let mut batch = Batch::new();
        for n in 0..200_u32 {
            batch.put((n * 7919 % 100_003).to_be_bytes(), [round as u8; 100]);
        }
        db.commit(batch).expect("as many as it asked for");
        db.flush().expect("as many as it asked for");
        assert_eq!(db.prefix("").count(), 200);
    }
    db.close().expect("a sound disk");
    open().expect("as many as it asked for");
}

#[test]
fn too_few_open_files_are_refused_with_the_number_needed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let status = child::command("limited")
        .env(DIR, dir.path().join("store"))
        .stdout(std::process::Stdio::null())
        .status()
        .expect("this binary can be run");
    assert!(status.success(), "see the child's words above");
}
