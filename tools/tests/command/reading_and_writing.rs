//! get, put, delete, scan, verify, status.

use crate::support::Place;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

#[test]
fn what_is_put_is_got_in_every_notation() {
    let place = Place::new();
    assert_eq!(place.ok(&["put", "--create", "alice", "100"]), "version 1\n");
    assert_eq!(place.ok(&["get", "0x616c696365"]), "100\n");
    assert_eq!(place.ok(&["get", "base64:YWxpY2U=", "--encoding", "hex"]), "0x313030\n");
    assert_eq!(place.ok(&["get", "alice", "--raw"]), "100");
    assert_eq!(place.ok(&["put", "alice", "0x00ff"]), "version 2\n");
    assert_eq!(place.ok(&["get", "alice"]), "0x00ff\n");
    assert_eq!(place.ok(&["get", "alice", "--at-version", "1"]), "100\n");
    assert_eq!(
        place.json(&["get", "alice", "--json"]),
        serde_json::json!({"key": "alice", "value": "0x00ff", "version": 2})
    );
    assert_eq!(place.json(&["delete", "alice", "--json"]), serde_json::json!({"version": 3}));
    let gone = place.run(&["get", "alice", "--json"]);
    assert_eq!((gone.code, gone.stdout.contains(r#""value":null"#)), (Some(1), true), "{gone:?}");
    assert!(place.fails(1, &["get", "alice"]).contains("alice"));
    assert_eq!(place.ok(&["get", "alice", "--at-version", "2"]), "0x00ff\n");
}

#[test]
fn numbers_below_zero_are_values_and_keys() {
    let place = Place::new();
    place.ok(&["put", "--create", "n", "-5"]);
    place.ok(&["put", "-7", "-0.25"]);
    assert_eq!(place.ok(&["get", "n"]), "-5\n");
    assert_eq!(place.ok(&["get", "-7"]), "-0.25\n");
    assert_eq!(place.ok(&["scan", "--prefix", "-7"]), "-7\t-0.25\n");
    place.ok(&["put", "--", "-key", "-value"]);
    assert_eq!(place.ok(&["scan", "--from", "-7", "--to", "n"]), "-7\t-0.25\n-key\t-value\n");
}

#[test]
fn the_directory_stands_before_or_after_the_verb() {
    let place = Place::new();
    place.ok(&["--dir", "elsewhere", "put", "--create", "k", "v"]);
    for args in [
        &["-d", "elsewhere", "get", "k"][..],
        &["get", "-d", "elsewhere", "k"],
        &["get", "k", "--dir=elsewhere"],
        &["--dir", "nowhere", "get", "k", "--dir", "elsewhere"],
    ] {
        assert_eq!(place.ok(args), "v\n", "{args:?}");
    }
    assert!(!place.path("data").exists());
}

#[test]
fn a_value_comes_from_standard_input() {
    let place = Place::new();
    let mut put = place
        .command(&["put", "--create", "k", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    put.stdin.take().expect("it is a pipe").write_all(b"\0any\nbytes\xff").expect("it reads");
    assert!(put.wait().expect("it ends").success());
    let got = place.command(&["get", "k", "--raw"]).output().expect("it starts");
    assert_eq!(got.stdout, b"\0any\nbytes\xff");
}

#[test]
fn scans_keep_their_bounds_in_both_directions() {
    let place = Place::new();
    for key in ["a", "b1", "b2", "c"] {
        place.ok(&["put", "--create", key, &key.to_uppercase()]);
    }
    assert_eq!(place.ok(&["scan"]), "a\tA\nb1\tB1\nb2\tB2\nc\tC\n");
    assert_eq!(place.ok(&["scan", "--prefix", "b"]), "b1\tB1\nb2\tB2\n");
    assert_eq!(place.ok(&["scan", "--from", "b1", "--to", "c"]), "b1\tB1\nb2\tB2\n");
    assert_eq!(place.ok(&["scan", "--reverse", "--limit", "2"]), "c\tC\nb2\tB2\n");
    assert_eq!(place.ok(&["scan", "--from", "c", "--to", "a"]), "");
    assert_eq!(place.ok(&["scan", "--at-version", "2"]), "a\tA\nb1\tB1\n");
    let lines = place.ok(&["scan", "--json", "--prefix", "b", "--reverse"]);
    assert_eq!(lines, "{\"key\":\"b2\",\"value\":\"B2\"}\n{\"key\":\"b1\",\"value\":\"B1\"}\n");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    // More than a pipe holds.
    place.ok(&["demo", "--blocks", "1", "--accounts", "20000", "--transfers", "1"]);
    let mut scan = place.command(&["scan"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(scan.stdout.take().expect("it is a pipe")).read_line(&mut line).expect("it prints");
    assert_eq!(line, "account/000000\t1000\n".replace("1000", line.trim_end().rsplit('\t').next().unwrap_or_default()));
    let ended = scan.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn status_and_verify_see_the_whole_store() {
    let place = Place::new();
    place.ok(&["demo", "--blocks", "3", "--accounts", "500", "--transfers", "50", "--shards", "5"]);
    let status = place.json(&["status", "--json"]);
    assert_eq!(status["head"]["height"], 6, "three blocks, and three of the reorganisation: {status}");
    assert_eq!(status["shards"].as_array().map(Vec::len), Some(5));
    let verified = place.json(&["verify", "--json"]);
    let shards = verified["shards"].as_array().expect("a list of shards");
    let rows: u64 = shards.iter().filter_map(|shard| shard["rows"].as_u64()).sum();
    assert!(rows > 500 && shards.iter().all(|shard| shard["damage"].is_null()), "{verified}");
    assert!(place.ok(&["status"]).contains("height 6,"));
    assert_eq!(verified["sound"], serde_json::Value::Bool(true));
    assert!(place.ok(&["verify"]).lines().last().is_some_and(|line| line.starts_with("sound: ")));
}
