//! Pruning and checkpoints over HTTP: the same as by the library, and nothing of what is malformed.

use crate::actions::{bearer, wait_for};
use crate::http::{Answer, ask, get};
use crate::{Node, TOKEN, commit};
use serde_json::{Value, json};
use shingle::{Database, RestoreOptions, Retention};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn post(node: &Node, path: &str, body: &[u8]) -> Answer {
    ask(node.address(), "POST", path, &[&bearer()], body).expect("it answers")
}

/// What came of an action that was begun.
fn done(node: &Node, path: &str, settings: &Value) -> Value {
    let begun = post(node, path, settings.to_string().as_bytes());
    assert_eq!(begun.status, 202, "{path}: {begun:?}");
    let operation = wait_for(node, &begun);
    for (name, value) in settings.as_object().expect("a document") {
        assert_eq!(&operation["settings"][name], value, "{operation}");
    }
    operation
}

fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.insert(path);
    }
    found
}

#[test]
fn a_dry_run_counts_and_a_pruning_removes_that() {
    let node = Node::start();
    node.db.flush().expect("a sound store");
    let dry = done(&node, "/prune", &json!({ "keep_blocks": 2, "dry_run": true }));
    assert_eq!((&dry["state"], &dry["result"]["dry_run"]), (&json!("done"), &json!(true)), "{dry}");
    assert_eq!((node.db.floor(), node.db.stats().prune.runs), (0, 0), "nothing was changed");
    let pruned = done(&node, "/prune", &json!({ "keep_blocks": 2, "compact": true }));
    assert_eq!(pruned["progress"], json!({ "done": 1000, "total": 1000 }), "{pruned}");
    for figure in ["versions", "keys", "bytes", "changes", "floor", "wanted"] {
        assert_eq!(pruned["result"][figure], dry["result"][figure], "{figure}");
    }
    // Three of five versions of fifty keys.
    assert_eq!((&pruned["result"]["versions"], node.db.floor()), (&json!(150), 4));
    let stats = get(node.address(), "/status").json();
    assert_eq!((&stats["floor"], &stats["prune"]["versions"]), (&json!(4), &json!(150)), "{stats}");
    for (settings, floor) in
        [(json!({ "keep_versions": 1 }), 5), (json!({ "keep_secs": 0 }), 5), (json!({ "below_height": 5 }), 5)]
    {
        assert_eq!(done(&node, "/prune", &settings)["result"]["floor"], floor, "{settings}");
    }
}

#[test]
fn what_is_malformed_prunes_nothing() {
    let node = Node::start();
    let deep = "[".repeat(8000);
    for body in [
        "",
        "{}",
        "null",
        "[]",
        "7",
        "{",
        "keep_blocks=1",
        "{\"keep_blocks\": 0}",
        "{\"keep_blocks\": -1}",
        "{\"keep_blocks\": 1e400}",
        "{\"keep_blocks\": 1, \"keep_blocks\": 2}",
        "{\"keep_blocks\": 1, \"keep_secs\": 1}",
        "{\"keep_blocks\": 1, \"all\": true}",
        "{\"keep_blocks\": 1} {\"keep_blocks\": 2}",
        "{\"keep_blocks\": 1, \"dry_run\": \"false\"}",
        "{\"keep_blocks\": 1, \"dry_run\": true, \"compact\": true}",
        "{\"keep_blocks\": \u{1f9f1}}",
        deep.as_str(),
    ] {
        let refused = post(&node, "/prune", body.as_bytes());
        assert_eq!(refused.status, 400, "{body:.60}: {refused:?}");
        assert!(refused.body.starts_with("prune does not take these settings: "), "{refused:?}");
    }
    assert_eq!(post(&node, "/prune", b"{\"keep_blocks\": 1, \"dry_run\": \xff\xfe}").status, 400);
    let large = [b"{\"keep_blocks\": 1".as_slice(), &[b' '; 70_000], b"}"].concat();
    for path in ["/prune", "/checkpoint", "/checkpoint/delete"] {
        assert_eq!(post(&node, path, &large).status, 413, "{path}");
    }
    assert_eq!(get(node.address(), "/operations").json()["operations"], json!([]));
    assert_eq!((node.db.floor(), node.db.stats().prune.runs), (0, 0));
}

#[test]
fn checkpoints_are_made_listed_verified_restored_and_deleted() {
    let node = Node::start();
    assert_eq!(get(node.address(), "/checkpoints").json(), json!([]));
    let made = done(&node, "/checkpoint", &json!({ "name": "one" }));
    assert_eq!((&made["state"], &made["result"]["version"]), (&json!("done"), &json!(5)), "{made}");
    assert_eq!(made["progress"]["done"], made["progress"]["total"], "{made}");
    assert_eq!(get(node.address(), "/checkpoints").json(), json!([made["result"]]));
    assert_eq!(done(&node, "/checkpoint/verify", &json!({ "name": "one" }))["result"]["damage"], json!([]));
    commit(&node.db, 6);
    let restored = node.store_dir().with_file_name("restored");
    let path = made["result"]["path"].as_str().expect("a path");
    Database::restore(path, &restored, &RestoreOptions::default(), &|_| {}).expect("it is sound");
    let then = Database::open(&restored).expect("a store");
    assert_eq!((then.version(), then.get("key 7").expect("it is sound")), (5, Some(b"value 5".to_vec())));

    let twice = done(&node, "/checkpoint", &json!({ "name": "one" }));
    assert!(twice["error"].as_str().is_some_and(|error| error.contains("one")), "{twice}");
    let stats = node.db.stats().checkpoints;
    assert_eq!((stats.made, stats.failed, stats.kept), (1, 0, 1), "a refused name is no failure");
    assert_eq!(stats.last_failure, None);
    assert_eq!(stats.newest.map(|newest| newest.name), Some("one".to_owned()));

    let table = files(Path::new(path)).into_iter().find(|file| file.extension().is_some_and(|e| e == "sst"));
    let table = table.expect("a flushed store has tables");
    let mut bytes = std::fs::read(&table).expect("it is ours");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&table).and_then(|()| std::fs::write(&table, bytes)).expect("it is ours");
    let damaged = done(&node, "/checkpoint/verify", &json!({ "name": "one" }));
    assert_eq!(damaged["result"]["damage"].as_array().map(Vec::len), Some(1), "{damaged}");

    assert_eq!(done(&node, "/checkpoint/delete", &json!({ "name": "one" }))["result"], json!({ "deleted": "one" }));
    assert_eq!(get(node.address(), "/checkpoints").json(), json!([]));
    assert_eq!(node.db.stats().checkpoints.kept, 0);
    let gone = done(&node, "/checkpoint/delete", &json!({ "name": "one" }));
    assert_eq!(gone["state"], "failed", "{gone}");
}

/// Another of the same name is another checkpoint, and one that somebody removes by hand is none: the figures follow.
#[test]
fn the_figures_know_the_checkpoints_that_there_are() {
    let node = Node::start();
    let first = node.db.checkpoint("same").expect("room on the disk");
    assert_eq!(node.db.stats().checkpoints.newest, Some(first));
    node.db.delete_checkpoint("same").expect("it is there");
    commit(&node.db, 6);
    let second = node.db.checkpoint("same").expect("room on the disk");
    assert_eq!(node.db.stats().checkpoints.newest, Some(second.clone()));
    std::fs::remove_dir_all(&second.path).expect("it is ours");
    let stats = node.db.stats().checkpoints;
    assert_eq!((stats.kept, stats.newest, stats.made), (0, None, 2));
}

/// A name is a name: nothing beside the directory of checkpoints is made, read or removed.
#[test]
fn a_checkpoint_s_name_leads_nowhere_else() {
    let node = Node::start();
    node.db.checkpoint("one").expect("room on the disk");
    let above = node.store_dir().parent().expect("it has one").to_owned();
    std::fs::create_dir(above.join("victim")).expect("it is ours");
    std::fs::copy(node.store_dir().join("checkpoints/one/CHECKPOINT"), above.join("victim/CHECKPOINT"))
        .expect("it is ours");
    let before = files(&above);
    let absolute = above.join("victim").display().to_string();
    for name in [
        "../../victim",
        "..",
        ".",
        "",
        "one/../one",
        "./one",
        "one/",
        "/",
        &absolute,
        "..%2f..%2fvictim",
        "one\0",
        "one\n",
        "..\\..\\victim",
        "\u{2025}/victim",
        "-one",
        &"x".repeat(101),
    ] {
        for path in ["/checkpoint", "/checkpoint/verify", "/checkpoint/delete"] {
            let refused = post(&node, path, json!({ "name": name }).to_string().as_bytes());
            assert_eq!(refused.status, 400, "{path} {name:?}: {refused:?}");
        }
    }
    for path in [
        "/checkpoint/one",
        "/checkpoint/verify/one",
        "/checkpoints/one",
        "/checkpoint/../flush",
        "/checkpoint/%2e%2e/flush",
    ] {
        assert_eq!(post(&node, path, b"{\"name\": \"one\"}").status, 404, "{path}");
    }
    assert_eq!(files(&above), before);
    assert_eq!(get(node.address(), "/operations").json()["operations"], json!([]));
}

/// The server and the store end while actions are under way: each of them ends, done or not, and the store is sound.
#[test]
fn an_end_in_the_midst_of_actions_leaves_a_sound_store() {
    for round in 0..8 {
        let node = Node::start();
        (6..60).for_each(|height| commit(&node.db, height));
        let actions = [
            ("/checkpoint", json!({ "name": "late" })),
            ("/prune", json!({ "keep_blocks": 1, "compact": true })),
            ("/verify", json!({})),
            ("/flush", json!({})),
        ];
        for (path, settings) in &actions[round % 4..] {
            assert_eq!(post(&node, path, settings.to_string().as_bytes()).status, 202, "{path}");
        }
        if round >= 4 {
            std::thread::sleep(std::time::Duration::from_millis(3 * round as u64));
        }
        let (store, address) = (node.store_dir(), node.address());
        let Node { server, db, dir } = node;
        server.shutdown();
        // Who holds a connection from before learns the same.
        assert!(
            std::net::TcpStream::connect(address).is_err()
                || ask(address, "POST", "/prune", &[&bearer()], b"").is_none()
        );
        db.close().expect("a sound store");
        // Until the last action has let go of it.
        let db = loop {
            match Database::open(&store) {
                Err(error) if error.kind() == shingle::ErrorKind::Locked => std::thread::yield_now(),
                opened => break opened.expect("a sound store"),
            }
        };
        assert_eq!(db.head().map(|head| head.height), Some(59));
        assert!(db.verify(&|_| {}).expect("it can be read").is_sound(), "round {round}");
        for checkpoint in db.checkpoints().expect("they can be listed") {
            assert!(Database::verify_checkpoint(&checkpoint.path, &|_| {}).expect("it is one").is_sound());
        }
        drop((db, dir));
    }
}

/// What a retention lets go and a snapshot keeps.
#[test]
fn the_metrics_tell_of_prunings_and_checkpoints() {
    let node = Node::start();
    let metrics = |node: &Node| {
        let body = get(node.address(), "/metrics").body;
        let samples = body.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        samples
            .map(|(name, value)| (name.to_owned(), value.parse::<f64>().expect("a number")))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let none = metrics(&node);
    assert_eq!((none["shingle_checkpoints"], none["shingle_prunes_total"]), (0.0, 0.0));
    assert!(!none.contains_key("shingle_checkpoint_age_seconds"), "what is not there has no age");

    let held = node.db.snapshot_at(shingle::At::Version(2)).expect("it is kept");
    node.db.prune(&Retention::blocks(2)).expect("a sound store");
    let behind = metrics(&node);
    assert_eq!(behind["shingle_prune_held_back{by=\"snapshot\"}"], 1.0);
    assert_eq!(behind["shingle_prune_held_back{by=\"reorg_window\"}"], 0.0);
    assert_eq!((behind["shingle_floor_version"], behind["shingle_prune_wanted_version"]), (2.0, 4.0));
    assert_eq!((behind["shingle_prune_lag_blocks"], behind["shingle_prune_lag_versions"]), (2.0, 2.0));
    drop(held);
    node.db.prune(&Retention::blocks(2)).expect("a sound store");
    let pruned = metrics(&node);
    for (name, value) in [
        ("shingle_prunes_total", 2.0),
        ("shingle_prune_duration_seconds_count", 2.0),
        ("shingle_pruned_versions_total", 150.0),
        ("shingle_prune_lag_blocks", 0.0),
        ("shingle_prune_lag_versions", 0.0),
        ("shingle_prune_held_back{by=\"snapshot\"}", 0.0),
        ("shingle_floor_version", 4.0),
        ("shingle_pruned_through_version", 4.0),
        ("shingle_prune_running", 0.0),
        ("shingle_prune_remaining_seconds", 0.0),
        ("shingle_prune_failures_total", 0.0),
    ] {
        assert_eq!(pruned[name], value, "{name}");
    }
    node.db.prune(&Retention::blocks(0)).expect_err("it keeps nothing");
    assert!(pruned["shingle_pruned_bytes_total"] > 0.0 && pruned["shingle_prune_duration_seconds_sum"] > 0.0);

    let made = node.db.checkpoint("one").expect("room on the disk");
    let one = metrics(&node);
    for (name, value) in [
        ("shingle_checkpoints", 1.0),
        ("shingle_checkpoints_made_total", 1.0),
        ("shingle_checkpoint_interval_blocks", 1000.0),
        ("shingle_checkpoint_failures_total", 0.0),
        ("shingle_checkpoint_duration_seconds_count", 1.0),
        ("shingle_checkpoint_version", 5.0),
        ("shingle_checkpoint_height", 5.0),
        ("shingle_checkpoint_bytes", made.bytes as f64),
        // Nobody committed meanwhile.
        ("shingle_checkpoint_last_longest_commit_seconds", 0.0),
    ] {
        assert_eq!(one[name], value, "{name}");
    }
    assert!(one["shingle_checkpoint_age_seconds"] >= 0.0 && one["shingle_checkpoint_duration_seconds_sum"] > 0.0);
    node.db.checkpoint("one").expect_err("it is there");
    assert_eq!(metrics(&node)["shingle_checkpoint_failures_total"], 0.0, "a name that is taken is no failure");
}

/// The longest commit of those that a checkpoint saw is told, and one that was slower before is not among them.
#[test]
fn a_checkpoint_tells_the_longest_commit_beside_it() {
    let node = Node::start();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for height in 6.. {
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                commit(&node.db, height);
            }
        });
        let seen = (0..100).any(|number| {
            node.db.checkpoint(&format!("number-{number}")).expect("room on the disk");
            node.db.stats().checkpoints.last_longest_commit_micros.is_some()
        });
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(seen, "commits went on beside a hundred checkpoints, and none was seen");
    });
    let stats = node.db.stats();
    let longest = stats.checkpoints.longest_commit_micros.expect("one was seen");
    assert!(stats.checkpoints.last_longest_commit_micros <= Some(longest));
    assert!(longest <= stats.commit_micros.sum, "{stats:?}");
}

/// Somebody with the token who sends a body byte by byte holds a place, not the server; and many of those hold each other.
#[test]
fn bodies_that_never_end_are_given_up() {
    use std::io::Write;
    let node = Node::start();
    let slow: Vec<_> = (0..40)
        .map(|_| {
            let mut client = crate::http::connect(node.address());
            let head = "POST /prune HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 9000";
            write!(client, "{head}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n{{").expect("it listens");
            client
        })
        .collect();
    assert_eq!(get(node.address(), "/healthz").status, 200);
    assert_eq!(post(&node, "/flush", b"").status, 202, "others act meanwhile");
    for client in slow {
        let status = crate::http::read_answer(client).map(|answer| answer.status);
        assert!(status.is_none_or(|status| [400, 408, 413].contains(&status)), "{status:?}");
    }
    assert_eq!(node.db.stats().prune.runs, 0);
}
