//! serve, and the verbs that ask a running node: the same output as without one.

use crate::support::{Place, Serving};

#[test]
fn a_running_node_is_asked_by_url_and_says_the_same() {
    let place = Place::new();
    place.ok(&["demo", "--blocks", "3", "--accounts", "300", "--transfers", "20", "--shards", "2"]);
    let without: Vec<_> = [&["status", "--json"][..], &["verify"]].iter().map(|args| place.ok(args)).collect();
    place.token("token");
    let node = Serving::start(&place, &["--token-file", "token"]);
    let (url, token) = (["--url", node.url()], ["--url", node.url(), "--token-file", "token"]);
    let ask = |verb: &[&str], node: &[&str]| place.ok(&[verb, node].concat());

    assert_eq!(ask(&["verify"], &token), without[1]);
    let status: serde_json::Value = serde_json::from_str(&ask(&["status", "--json"], &url)).expect("JSON");
    let before: serde_json::Value = serde_json::from_str(&without[0]).expect("JSON");
    for same in ["dir", "head", "version", "floor", "blocks"] {
        assert_eq!(status[same], before[same], "{same}");
    }
    let names =
        |document: &serde_json::Value| document.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    assert_eq!(names(&status), names(&before));
    assert!(ask(&["status"], &url).contains("writes                   taken\n"));
    assert_eq!(ask(&["flush"], &token), "everything was flushed already\n");
    let flushed: serde_json::Value = serde_json::from_str(&ask(&["flush", "--json"], &token)).expect("JSON");
    assert_eq!(flushed["keys"], 0);

    let refused = place.fails(1, &["flush", "--url", node.url()]);
    assert!(refused.contains("401") && refused.contains("--token-file"), "{refused}");
    place.write("wrong", "0000000000000000", 0o600);
    assert!(place.fails(1, &["flush", "--url", node.url(), "--token-file", "wrong"]).contains("401"));
    assert!(place.fails(1, &["flush", "--url", node.url(), "--token-file", "gone"]).contains("gone"));
}

#[test]
fn a_store_that_is_served_says_where_and_is_closed_in_good_order() {
    let place = Place::new();
    place.ok(&["put", "--create", "k", "v"]);
    let node = Serving::start(&place, &[]);
    let said = place.fails(1, &["flush"]);
    assert!(said.contains("is open already") && said.contains(&format!("`--url {}`", node.url())), "{said}");
    assert!(place.fails(1, &["flush", "--url", node.url()]).contains("403"), "no token file, no actions");
    let url = node.url().to_owned();
    node.end();
    assert_eq!(place.ok(&["get", "k"]), "v\n");
    let status = place.json(&["status", "--json"]);
    assert_eq!(status["recovery"]["clean"], true, "{status}");
    assert!(place.fails(1, &["status", "--url", &url]).contains("cannot reach"));
}

#[test]
fn flush_without_a_node_flushes() {
    let place = Place::new();
    place.ok(&["put", "--create", "k", "v"]);
    let said = place.ok(&["flush"]);
    assert!(said.starts_with("1 row flushed, "), "{said}");
    assert_eq!(place.ok(&["flush"]), "everything was flushed already\n");
}

#[test]
fn what_cannot_be_served_is_refused_and_nothing_is_left_behind() {
    let place = Place::new();
    assert!(place.fails(1, &["serve"]).contains("there is no Shingle store"));
    assert!(!place.path("data").exists());
    place.ok(&["put", "--create", "k", "v"]);
    place.write("open", "0123456789abcdef0123456789abcdef", 0o644);
    place.write("short", "hunter2", 0o600);
    for (args, said) in [
        (&["serve", "--listen", "127.0.0.1:0", "--token-file", "open"][..], "chmod 600"),
        (&["serve", "--listen", "127.0.0.1:0", "--token-file", "short"], "from 16 to 1024"),
        (&["serve", "--listen", "127.0.0.1:0", "--token-file", "gone"], "gone"),
        (&["serve", "--listen", "0.0.0.0:0"], "not a loopback address"),
        (&["serve", "--listen", "192.0.2.1:1", "--beyond-loopback"], "cannot listen on 192.0.2.1:1"),
    ] {
        let refused = place.fails(1, args);
        assert!(refused.contains(said), "{args:?}: {refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    for args in [
        &["serve", "--listen", "nowhere"][..],
        &["serve", "--blocks-per-second", "7"],
        &["status", "--url", "https://127.0.0.1:1"],
        &["status", "--url", "http://127.0.0.1:1", "--config", "f.toml"],
        &["flush", "--token-file", "open"],
    ] {
        place.fails(2, args);
    }
    assert_eq!(place.ok(&["get", "k"]), "v\n");
}
