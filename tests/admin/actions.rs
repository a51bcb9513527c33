//! Actions: who may, and what becomes of them.

use crate::http::{Answer, ask, get};
use crate::{Node, TOKEN};
use serde_json::Value;
use shingle::Database;

pub(crate) fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}")
}

pub(crate) fn wait_for(node: &Node, begun: &Answer) -> Value {
    let id = begun.json()["id"].as_u64().expect("a number");
    loop {
        let operation = get(node.address(), &format!("/operations/{id}")).json();
        if operation["state"] != "running" {
            return operation;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn nobody_acts_without_the_very_token() {
    let node = Node::start();
    let almost = format!("Authorization: Bearer {}", &TOKEN[1..]);
    let twice = format!("Authorization: Bearer {TOKEN}{TOKEN}");
    let basic = format!("Authorization: Basic {TOKEN}");
    let long = format!("Authorization: Bearer {}", "x".repeat(4000));
    let ours = bearer();
    for headers in [
        &[][..],
        &[almost.as_str()],
        &[twice.as_str()],
        &[basic.as_str()],
        &[long.as_str()],
        &["Authorization: Bearer"],
        &["Authorization: Bearer \u{ff}"],
        // Which of the two is meant?
        &[ours.as_str(), almost.as_str()],
    ] {
        for path in [
            "/flush",
            "/verify",
            "/prune",
            "/checkpoint",
            "/checkpoint/verify",
            "/checkpoint/delete",
            "/rebalance",
            "/rebalance/plan",
            "/rebalance/rate",
            "/rebalance/resume",
            "/rebalance/abort",
            "/reshard",
            "/reshard/plan",
            "/slots/measure",
        ] {
            let answer = ask(node.address(), "POST", path, headers, b"").expect("it answers");
            assert_eq!(answer.status, 401, "{headers:?}: {answer:?}");
            assert!(answer.head.contains("www-authenticate: bearer") && !answer.body.contains(TOKEN), "{answer:?}");
        }
    }
    let given = ask(node.address(), "POST", "/flush", &[&almost], b"").expect("it answers");
    let none = ask(node.address(), "POST", "/flush", &[], b"").expect("it answers");
    assert!(
        given.body.contains("not that of this server") && none.body.contains("need the header"),
        "{given:?} {none:?}"
    );
    assert_eq!(get(node.address(), "/operations").json()["operations"], Value::Array(Vec::new()));
    assert_eq!(node.db.stats().flush.flushes, 0);
}

#[test]
fn without_a_token_file_there_are_no_actions() {
    let node = Node::start_with(|serve, _| serve);
    let answer = ask(node.address(), "POST", "/flush", &[&bearer()], b"").expect("it answers");
    assert_eq!(answer.status, 403, "{answer:?}");
}

/// A link or a form on a foreign page makes a browser ask; it cannot set the header, and must not get at the figures under a name of its own.
#[test]
fn a_foreign_page_gets_nothing() {
    let node = Node::start();
    for path in ["/", "/status", "/metrics", "/flush"] {
        let method = if path == "/flush" { "POST" } else { "GET" };
        let answer =
            ask(node.address(), method, path, &["Host: evil.example:9464", &bearer()], b"").expect("it answers");
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
    }
    let by_get = ask(node.address(), "GET", "/flush", &[&bearer()], b"").expect("it answers");
    assert_eq!(by_get.status, 405, "{by_get:?}");
}

#[test]
fn a_flush_flushes_and_a_verification_verifies() {
    let node = Node::start();
    let begun = ask(node.address(), "POST", "/flush", &[&bearer()], b"{}").expect("it answers");
    assert_eq!(begun.status, 202, "{begun:?}");
    let flushed = wait_for(&node, &begun);
    assert_eq!((&flushed["state"], &flushed["result"]["keys"]), (&Value::from("done"), &Value::from(250)), "{flushed}");
    assert_eq!(flushed["progress"]["done"], flushed["progress"]["total"], "{flushed}");
    assert!(node.db.stats().shards.iter().all(|shard| shard.unflushed_bytes == 0));

    let begun = ask(node.address(), "POST", "/verify", &[&bearer()], b"").expect("it answers");
    let verified = wait_for(&node, &begun);
    let shards = verified["result"]["shards"].as_array().expect("a list of shards");
    let rows: u64 = shards.iter().filter_map(|shard| shard["rows"].as_u64()).sum();
    assert_eq!((shards.len(), rows), (3, 250), "{verified}");
    let all = get(node.address(), "/operations").json();
    assert_eq!(all["operations"].as_array().map(Vec::len), Some(2), "{all}");
    assert_eq!(get(node.address(), "/operations/99").status, 404);
    assert_eq!(get(node.address(), "/operations/x").status, 400);
}

#[test]
fn settings_that_are_not_there_are_refused() {
    let node = Node::start();
    let answer = ask(node.address(), "POST", "/flush", &[&bearer()], b"{\"shard\": 1}").expect("it answers");
    assert_eq!(answer.status, 400, "{answer:?}");
}

/// What an action fails with is told, and the next one of its kind may begin.
#[test]
fn a_failure_is_told() {
    let node = Node::start();
    node.db.clone().close().expect("a sound store");
    for _ in 0..2 {
        std::fs::remove_dir_all(node.store_dir().join("shards/001")).ok();
        let begun = ask(node.address(), "POST", "/verify", &[&bearer()], b"").expect("it answers");
        assert_eq!(begun.status, 202, "{begun:?}");
        let ended = wait_for(&node, &begun);
        let told = ended["error"].is_string() || ended["result"].to_string().contains("damage");
        assert!(told && ended["state"] != "running", "{ended}");
    }
}

#[test]
fn a_store_that_is_locked_says_where_it_is_served() {
    let node = Node::start();
    let said = Database::open(node.store_dir()).expect_err("it is open").to_string();
    assert!(said.contains(&format!("serves it at {} ", node.server.url())), "{said}");
    let Node { server, db, dir } = node;
    server.shutdown();
    let said = Database::open(dir.path().join("state")).expect_err("it is open").to_string();
    assert!(!said.contains("http"), "{said}");
    db.close().expect("a sound store");
}
