//! Checkpoints through a directory, and through a real S3 server on this machine's loopback.
//!
//! The server comes from `scripts/s3-server`. Where that cannot install it, the tests against it are skipped, with a word on standard error.

mod directories;
mod fake;
mod relay;
mod s3;
#[path = "../command/support.rs"]
mod support;

use fake::Fake;
use relay::Relay;
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
    assert!(said.contains("another checkpoint \"first\""), "{said}");
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
        assert!(said.contains("choose a place outside"), "{said}");
    }
    fs::create_dir(place.path("theirs")).expect("a writable directory");
    fs::write(place.path("theirs/file"), "theirs").expect("a writable directory");
    let said = storage.fails(&place, &["checkpoint", "import", at, "first", "--to", "theirs"]);
    assert!(said.contains("theirs/file is in the way"), "{said}");
    let said = storage.fails(&place, &["checkpoint", "import", at, "third", "--to", "nowhere"]);
    assert!(said.contains("no checkpoint \"third\""), "{said}");
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

/// Runs the command with a relay before the server, and kills it when so many pieces have passed. Whether it came so far.
fn killed_after(server: &S3, place: &Place, args: &[&str], pieces: i64) -> bool {
    let relay = Relay::start(server.port(), pieces);
    let mut child = place.command(args).envs(s3::environment(&relay.endpoint())).stdout(Stdio::null()).spawn();
    let child = child.as_mut().expect("it starts");
    loop {
        if let Some(ended) = child.try_wait().expect("it can be waited for") {
            assert!(ended.success(), "{args:?} failed before it was killed");
            return false;
        }
        if relay.has_stopped() {
            child.kill().expect("it is not waited for yet");
            child.wait().expect("it ends");
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Each step of an export or an import is a request. Killed at each, an export is either listed and whole or not listed, an import is a checkpoint or
/// none, and both are completed when they are begun again.
#[test]
fn kills_at_every_step() {
    let Some(server) = S3::start() else { return };
    let place = Place::new();
    let db = Database::builder(place.path("data")).shards(1).open().expect("a store");
    let mut batch = Batch::new();
    batch.put("key", "value");
    db.commit_block(Block { height: 1, timestamp_ms: 1 }, batch).expect("room on the disk");
    db.close().expect("a sound disk");
    place.ok(&["checkpoint", "create", "one"]);
    let expected = state(&place.path("data"));
    let mut pieces = 0;
    loop {
        let url = server.url(&format!("step-{pieces}"));
        let storage = Storage { place: url.clone(), environment: server.environment() };
        let export = ["checkpoint", "export", "one", url.as_str()];
        let import = ["checkpoint", "import", url.as_str(), "one", "--to", "./imported"];
        let export_was_killed = killed_after(&server, &place, &export, pieces);
        let listed = storage.ok(&place, &["checkpoint", "list", "--at", &url]);
        if listed != Value::Array(Vec::new()) {
            storage.ok(&place, &import);
            place.ok(&["checkpoint", "verify", "./imported"]);
            fs::remove_dir_all(place.path("imported")).expect("it was just made");
        } else {
            assert!(export_was_killed, "an export that has ended is listed");
        }
        storage.ok(&place, &export);
        let import_was_killed = killed_after(&server, &place, &import, pieces);
        let verified = place.run(&["checkpoint", "verify", "./imported"]);
        let whole = place.path("imported/CHECKPOINT").exists();
        assert_eq!(verified.code, Some(if whole { 0 } else { 1 }), "{verified:?}");
        if !whole {
            assert!(import_was_killed, "an import that has ended is whole");
            storage.ok(&place, &import);
        }
        place.ok(&["checkpoint", "restore", "./imported", "--to", "restored"]);
        assert!(state(&place.path("restored")) == expected, "after {pieces} pieces");
        for made in ["imported", "restored"] {
            fs::remove_dir_all(place.path(made)).expect("it was just made");
        }
        if !export_was_killed && !import_was_killed {
            break;
        }
        pieces += 1;
    }
    assert!(pieces > 10, "only {pieces} steps");
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

/// Google's client speaks S3's language to an S3 server, where it is told to.
#[test]
fn through_the_client_of_google() {
    let Some(server) = S3::start() else { return };
    let storage = |prefix: &str| Storage {
        place: server.url(prefix).replace("s3://", "gs://"),
        environment: fake::google(&server.endpoint()),
    };
    round_trip(&storage("google"));
    survives_kills(&storage("google-killed"));
}

/// A place that refuses, fails, or is not there, is told as such: by its words, and not after minutes.
#[test]
fn a_place_that_does_not_work_says_why() {
    let place = Place::new();
    commit_blocks(&place.path("data"), 1..3, 100);
    place.ok(&["checkpoint", "create", "one"]);
    for (status, said, requests) in [("403 Forbidden", "says no", 1), ("503 Service Unavailable", "503", 7)] {
        for (url, environment, path) in [
            ("gs://bucket/a/b", fake::google as fn(&str) -> Vec<(String, String)>, "/bucket"),
            ("az://container/a/b", fake::azure, "/devstoreaccount1/container"),
            ("s3://bucket/a/b", s3::environment, "/bucket"),
        ] {
            let server = Fake::answering(status);
            let storage = Storage { place: url.to_owned(), environment: environment(&server.url()) };
            let told = storage.fails(&place, &["checkpoint", "list", "--at", url]);
            assert!(told.contains(said) && told.contains(url), "{url}: {told}");
            let asked = server.asked();
            assert_eq!(asked.len(), requests, "{url}: {asked:?}");
            let of_the_prefix = |line: &String| line.contains(path) && line.contains("prefix=a%2Fb%2Fcheckpoints");
            assert!(asked.iter().all(of_the_prefix), "{url}: {asked:?}");
            if requests == 1 {
                for args in [
                    &["checkpoint", "export", "one", url][..],
                    &["checkpoint", "import", url, "one", "--to", "imported"],
                ] {
                    assert!(storage.fails(&place, args).contains(said), "{url}: {args:?}");
                }
                assert!(!place.path("imported").exists());
            }
        }
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it listens");
    let storage =
        Storage { place: "s3://bucket/a".to_owned(), environment: s3::environment(&format!("http://{nobody}")) };
    let told = storage.fails(&place, &["checkpoint", "list", "--at", "s3://bucket/a"]);
    assert!(told.contains(&nobody.to_string()), "{told}");
}

/// A machine in the cloud gets its credentials from its host. Where that refuses, there are none.
#[test]
fn missing_credentials_are_named() {
    let place = Place::new();
    let host = Fake::answering("403 Forbidden");
    let variables = |pairs: &[(&str, String)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Vec<_>>()
    };
    for (url, environment) in [
        ("s3://bucket/a", variables(&[("AWS_METADATA_ENDPOINT", host.url())])),
        (
            "az://container/a",
            variables(&[
                ("AZURE_STORAGE_ACCOUNT_NAME", "account".to_owned()),
                ("IDENTITY_ENDPOINT", format!("{}/metadata", host.url())),
            ]),
        ),
    ] {
        let storage = Storage { place: url.to_owned(), environment };
        let told = storage.fails(&place, &["checkpoint", "list", "--at", url]);
        assert!(told.contains("without credentials") && told.contains("environment"), "{url}: {told}");
        assert!(!host.asked().is_empty(), "{url}");
    }
    assert!(place.fails(2, &["checkpoint", "list", "--at", "az://container/a"]).contains("Account must be specified"));
}

/// Variables that bear no cloud's name are meant for other programs.
#[test]
fn a_variable_of_another_program_leads_nowhere_else() {
    let place = Place::new();
    let (ours, other) = (Fake::answering("403 Forbidden"), Fake::answering("200 OK"));
    let mut environment = s3::environment(&ours.url());
    for name in ["ENDPOINT", "ENDPOINT_URL", "BASE_URL"] {
        environment.push((name.to_owned(), other.url()));
    }
    for (name, value) in [("TOKEN", "wrong"), ("BUCKET", "wrong"), ("SKIP_SIGNATURE", "true"), ("TIMEOUT", "0s")] {
        environment.push((name.to_owned(), value.to_owned()));
    }
    let storage = Storage { place: "s3://bucket/a".to_owned(), environment };
    storage.fails(&place, &["checkpoint", "list", "--at", "s3://bucket/a"]);
    assert!(other.asked().is_empty() && ours.asked().iter().all(|line| line.contains("/bucket")), "{:?}", ours.asked());
}

/// A store is no place for exports, and nothing is imported into one: it may remove what it does not know, and is in the way of neither.
#[test]
fn a_store_is_no_place_for_what_leaves_it() {
    let place = Place::new();
    commit_blocks(&place.path("data"), 1..5, 1000);
    place.ok(&["checkpoint", "create", "one"]);
    place.ok(&["checkpoint", "export", "one", "data/../backup"]);
    std::os::unix::fs::symlink(place.path("data"), place.path("link")).expect("a writable directory");
    for inside in ["data", "data/backup", "data/checkpoints", "data/checkpoints/one", "link/backup", "backup/../data"] {
        let told = place.fails(1, &["checkpoint", "export", "one", inside, "--name", "two"]);
        assert!(told.contains("choose a place outside"), "{inside}: {told}");
        let to = format!("{inside}/two");
        let told = place.fails(1, &["checkpoint", "import", "backup", "one", "--to", &to]);
        assert!(told.contains("choose a place outside"), "{inside}: {told}");
    }
    let url = format!("file://{}", place.path("data").display());
    place.fails(1, &["checkpoint", "export", "one", &url]);
    place.fails(2, &["checkpoint", "export", "one", "memory:///backup"]);
    assert!(!place.path("data/files").exists() && !place.path("data/backup").exists());
    assert_eq!(place.json(&["checkpoint", "list", "--json"]).as_array().map(Vec::len), Some(1));
}

/// Two that export to one place at a time send the same files under the same names.
#[test]
fn exports_at_a_time_do_not_hurt_each_other() {
    let place = Place::new();
    commit_blocks(&place.path("data"), 1..30, 20_000);
    place.ok(&["checkpoint", "create", "one"]);
    commit_blocks(&place.path("data"), 30..40, 20_000);
    place.ok(&["checkpoint", "create", "two"]);
    let exports: Vec<_> = ["one", "two", "one", "two", "one"]
        .iter()
        .map(|name| {
            let mut command = place.command(&["checkpoint", "export", name, "backup"]);
            command.stdout(Stdio::null()).spawn().expect("it starts")
        })
        .collect();
    for mut export in exports {
        assert!(export.wait().expect("it is waited for once").success());
    }
    for name in ["one", "two"] {
        let imported = format!("./imported-{name}");
        place.ok(&["checkpoint", "import", "backup", name, "--to", &imported]);
        assert!(place.ok(&["checkpoint", "verify", &imported]).starts_with("sound"));
    }
}

/// A file that is being written has a name of its own until it is whole. One that a kill has left is no content, and goes with the next export.
#[test]
fn what_a_killed_export_leaves_goes_with_the_next_one() {
    let place = Place::new();
    commit_blocks(&place.path("data"), 1..40, 60_000);
    place.ok(&["checkpoint", "create", "one"]);
    let export = ["checkpoint", "export", "one", "backup", "--json"];
    let staged = || {
        let entries = fs::read_dir(place.path("backup/files")).into_iter().flatten();
        entries.filter(|entry| entry.as_ref().is_ok_and(|e| e.file_name().to_string_lossy().contains('#'))).count()
    };
    // Killed as soon as one is seen: mostly it is still there then.
    for _ in 0..200 {
        let mut child = place.command(&export).stdout(Stdio::null()).spawn().expect("it starts");
        while staged() == 0 && child.try_wait().expect("it can be waited for").is_none() {}
        child.kill().ok();
        child.wait().expect("it ends");
        if staged() > 0 {
            break;
        }
        fs::remove_dir_all(place.path("backup")).expect("it is there");
    }
    assert!(staged() > 0, "no kill has left anything");
    assert_eq!(place.json(&["checkpoint", "list", "--at", "backup", "--json"]), Value::Array(Vec::new()));
    let sent = place.json(&export);
    assert_eq!(staged(), 0, "{sent}");
    place.ok(&["checkpoint", "import", "backup", "one", "--to", "imported"]);
    assert!(place.ok(&["checkpoint", "verify", "./imported"]).starts_with("sound"));
}

/// What was there when an export or an import began may be gone, or another, when it comes to it.
#[test]
fn objects_that_change_meanwhile_are_found() {
    let place = Place::new();
    commit_blocks(&place.path("data"), 1..20, 20_000);
    place.ok(&["checkpoint", "create", "one"]);
    place.ok(&["checkpoint", "export", "one", "backup"]);
    let object = largest(&place.path("backup"));
    let whole = fs::read(&object).expect("it is there");
    let import = ["checkpoint", "import", "backup", "one", "--to", "imported"];
    for wrong in [&whole[..whole.len() / 2], &[], &[whole.as_slice(), b"more"].concat()] {
        fs::write(&object, wrong).expect("room on the disk");
        assert!(place.fails(1, &import).contains("damaged"));
        assert!(!place.path("imported/CHECKPOINT").exists());
    }
    fs::remove_file(&object).expect("it is there");
    let told = place.fails(1, &import);
    assert!(told.contains(&*object.file_name().expect("it has one").to_string_lossy()), "{told}");
    // One that was cut short at the place is sent again.
    fs::write(&object, &whole[..7]).expect("room on the disk");
    let sent = place.json(&["checkpoint", "export", "one", "backup", "--json"]);
    assert_eq!(sent["files_sent"], 1, "{sent}");
    // Another manifest of this name is found by its hash, wherever it was changed.
    let manifest = place.path("backup/checkpoints/one");
    let text = fs::read_to_string(&manifest).expect("it is there");
    fs::write(&manifest, text.replacen("store/", "../../x/", 1)).expect("room on the disk");
    place.fails(1, &import);
    fs::write(&manifest, &text).expect("room on the disk");
    place.ok(&import);
    place.ok(&["checkpoint", "restore", "./imported", "--to", "restored"]);
    assert!(place.ok(&["verify", "--dir", "restored"]).contains("sound: "));
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
