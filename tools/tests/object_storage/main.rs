//! Checkpoints through a directory, and through a real S3 server on this machine's loopback.
//!
//! The server comes from `scripts/s3-server`. Where that cannot install it, the tests against it are skipped, with a word on standard error.

mod s3;
#[path = "../command/support.rs"]
mod support;

use s3::S3;
use serde_json::Value;
use shingle::{Batch, Block, Database};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use support::Place;

/// Where checkpoints go, and what the command must be told to get there.
struct Storage {
    place: String,
    environment: Vec<(String, String)>,
}

impl Storage {
    fn command(&self, place: &Place, args: &[&str]) -> std::process::Command {
        let mut command = place.command(args);
        command.envs(self.environment.iter().cloned());
        command
    }

    fn ok(&self, place: &Place, args: &[&str]) -> Value {
        let output = self.command(place, &[args, &["--json"]].concat()).output().expect("it starts");
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && stderr.is_empty(), "{args:?}: {stderr}");
        serde_json::from_str(&stdout).expect("--json prints JSON")
    }

    fn fails(&self, place: &Place, args: &[&str]) -> String {
        let output = self.command(place, args).output().expect("it starts");
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// Blocks whose values do not compress, so that there is something to send.
fn commit_blocks(store: &Path, heights: std::ops::Range<u64>, bytes: usize) {
    let db = Database::builder(store).shards(3).open().expect("a store");
    for height in heights {
        let mut batch = Batch::new();
        for n in 0..8_u64 {
            let mut state = height * 8 + n + 1;
            let value: Vec<u8> = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .take(bytes)
            .collect();
            batch.put(format!("{height}/{n}"), value);
        }
        db.commit_block(Block { height, timestamp_ms: height }, batch).expect("room on the disk");
    }
    db.close().expect("a sound disk");
}

fn state(store: &Path) -> (u64, BTreeMap<Vec<u8>, Vec<u8>>) {
    let db = Database::builder(store).create_if_missing(false).open().expect("a store");
    (db.version(), db.prefix("").collect::<Result<_, _>>().expect("a sound store"))
}

/// To the place and back, twice: the second checkpoint sends only what is new.
fn round_trip(storage: &Storage) {
    let place = Place::new();
    let (data, at) = (place.path("data"), storage.place.as_str());
    commit_blocks(&data, 1..40, 20_000);
    storage.ok(&place, &["checkpoint", "create", "first"]);
    let first = state(&data);
    let sent = storage.ok(&place, &["checkpoint", "export", "first", at]);
    // Small files, options for instance, are alike on all shards.
    let number = |value: &Value| value.as_u64().expect("a number");
    assert!(number(&sent["bytes_sent"]) > number(&sent["bytes"]) / 10 * 9, "nothing was there: {sent}");
    let again = storage.ok(&place, &["checkpoint", "export", "first", at]);
    assert_eq!((&again["bytes_sent"], &again["bytes"]), (&Value::from(0), &sent["bytes"]));

    commit_blocks(&data, 40..44, 20_000);
    storage.ok(&place, &["checkpoint", "create", "second"]);
    let second = state(&data);
    let sent = storage.ok(&place, &["checkpoint", "export", "second", at]);
    assert!(number(&sent["bytes_sent"]) < number(&sent["bytes"]) / 2, "tables that were there travelled: {sent}");
    let said = storage.fails(&place, &["checkpoint", "export", "second", at, "--name", "first"]);
    assert!(said.contains("another checkpoint first"), "{said}");
    let listed = storage.ok(&place, &["checkpoint", "list", "--at", at]);
    let names: Vec<_> = listed.as_array().expect("a list").iter().map(|one| one["name"].as_str()).collect();
    assert_eq!(names, [Some("first"), Some("second")]);

    for (name, expected) in [("first", first), ("second", second)] {
        let (imported, restored) = (format!("./imported-{name}"), format!("restored-{name}"));
        storage.ok(&place, &["checkpoint", "import", at, name, "--to", &imported]);
        assert_eq!(place.json(&["checkpoint", "verify", &imported, "--json"])["sound"], true);
        place.ok(&["checkpoint", "restore", &imported, "--to", &restored]);
        assert!(state(&place.path(&restored)) == expected, "{name} came back otherwise than it went");
        let said = storage.fails(&place, &["checkpoint", "import", at, name, "--to", &restored]);
        assert!(said.contains("in the way"), "{said}");
    }
    let said = storage.fails(&place, &["checkpoint", "import", at, "third", "--to", "nowhere"]);
    assert!(said.contains("no checkpoint third"), "{said}");
    assert!(!place.path("nowhere").exists());
}

/// Kills at any moment: what is listed at the place is whole, what was imported half is no checkpoint, and both go on where they were.
fn survives_kills(storage: &Storage) {
    let place = Place::new();
    commit_blocks(&place.path("data"), 1..60, 60_000);
    let made = storage.ok(&place, &["checkpoint", "create", "one"]);
    let expected = state(&place.path("data"));
    let export = ["checkpoint", "export", "one", storage.place.as_str()];
    let import = ["checkpoint", "import", storage.place.as_str(), "one", "--to", "./imported"];
    let killed_after = |args: &[&str], moment: Duration| {
        let mut child = storage.command(&place, args).stdout(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(moment);
        child.kill().expect("it is not waited for yet");
        child.wait().expect("it ends");
    };
    for step in 0..8 {
        killed_after(&export, Duration::from_millis(15 * step));
    }
    let sent = storage.ok(&place, &export);
    assert_eq!(sent["bytes"], made["bytes"]);
    for step in 0..8 {
        killed_after(&import, Duration::from_millis(15 * step));
        let whole = place.path("imported/CHECKPOINT").exists();
        let verified = place.run(&["checkpoint", "verify", "./imported"]);
        assert_eq!(verified.code, Some(if whole { 0 } else { 1 }), "{verified:?}");
        if whole {
            fs::remove_dir_all(place.path("imported")).expect("it is there");
        }
    }
    let fetched = storage.ok(&place, &import);
    assert_eq!(fetched["bytes"], made["bytes"]);
    place.ok(&["checkpoint", "restore", "./imported", "--to", "restored"]);
    assert!(state(&place.path("restored")) == expected);
}

#[test]
fn through_a_directory() {
    let place = Place::new();
    let storage = |name: &str| Storage { place: place.path(name).display().to_string(), environment: Vec::new() };
    round_trip(&storage("backup"));
    survives_kills(&storage("another"));
}

#[test]
fn through_s3() {
    let Some(server) = S3::start() else { return };
    let storage = |prefix: &str| Storage { place: server.url(prefix), environment: server.environment() };
    round_trip(&storage("node"));
    survives_kills(&storage("another"));
}

/// What is damaged is refused: on its way out, where it lies, and what an import had left.
#[test]
fn damage_does_not_travel() {
    let place = Place::new();
    let storage = Storage { place: place.path("backup").display().to_string(), environment: Vec::new() };
    commit_blocks(&place.path("data"), 1..20, 20_000);
    let made = storage.ok(&place, &["checkpoint", "create", "one"]);
    let export = ["checkpoint", "export", "one", storage.place.as_str()];
    let import = ["checkpoint", "import", storage.place.as_str(), "one", "--to", "./imported"];
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).expect("it is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::remove_file(path).expect("it is there");
        fs::write(path, bytes).expect("room on the disk");
    };
    let checkpoint = Path::new(made["path"].as_str().expect("a path"));
    let checkpoint =
        if checkpoint.is_absolute() { checkpoint.to_owned() } else { place.path(&checkpoint.display().to_string()) };
    let table = largest(&checkpoint);
    flip(&table);
    assert!(storage.fails(&place, &export).contains("damaged"));
    assert!(!place.path("backup/checkpoints/one").exists(), "what is not whole is not listed");
    flip(&table);
    storage.ok(&place, &export);
    let object = largest(&place.path("backup"));
    flip(&object);
    assert!(storage.fails(&place, &import).contains("damaged"));
    assert!(!place.path("imported/CHECKPOINT").exists());
    flip(&object);
    // What arrived before is looked at again.
    let arrived = largest(&place.path("imported"));
    flip(&arrived);
    storage.ok(&place, &import);
    place.ok(&["checkpoint", "verify", "./imported"]);
}

fn largest(dir: &Path) -> std::path::PathBuf {
    let (mut dirs, mut largest) = (vec![dir.to_owned()], (0, dir.to_owned()));
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("readable").path();
            match path.metadata().expect("it was just listed") {
                found if found.is_dir() => dirs.push(path),
                found => largest = largest.max((found.len(), path)),
            }
        }
    }
    largest.1
}

#[test]
fn what_is_no_place_is_a_matter_of_usage() {
    let place = Place::new();
    commit_blocks(&place.path("data"), 1..2, 10);
    place.ok(&["checkpoint", "create", "one"]);
    for nowhere in ["gopher://somewhere/else", "s3://", "://"] {
        place.fails(2, &["checkpoint", "export", "one", nowhere]);
    }
}
