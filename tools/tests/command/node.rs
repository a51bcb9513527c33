//! serve, and the verbs that ask a running node: the same output as without one.

use crate::serving::Serving;
use crate::support::Place;
use std::process::Stdio;

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

/// What does not depend on when it was asked.
fn lasting(said: &str) -> Vec<&str> {
    said.lines().filter(|line| !line.starts_with("took")).collect()
}

#[test]
fn pruning_and_checkpoints_are_asked_by_url_and_say_the_same() {
    let place = Place::new();
    place.ok(&["demo", "--blocks", "20", "--accounts", "50", "--transfers", "200"]);
    place.write("no-window.toml", "[prune]\nreorg_window_blocks = 0\n", 0o600);
    let dry_run = ["prune", "--keep-blocks", "5", "--dry-run"];
    let without = place.ok(&[&dry_run[..], &["--config", "no-window.toml"]].concat());
    place.token("token");
    let node = Serving::start(&place, &["--token-file", "token", "--config", "no-window.toml"]);
    let acting = ["--url", node.url(), "--token-file", "token"];
    let act = |args: &[&str]| place.ok(&[args, &acting].concat());

    assert_eq!(lasting(&act(&dry_run)), lasting(&without));
    let pruned: serde_json::Value =
        serde_json::from_str(&act(&["prune", "--keep-blocks", "5", "--compact", "--json"])).expect("JSON");
    assert!(pruned["versions"].as_u64() > Some(0), "{pruned}");
    let status = place.json(&["status", "--json", "--url", node.url()]);
    assert_eq!((&status["floor"], &status["prune"]["runs"]), (&pruned["floor"], &1.into()));
    assert!(place.ok(&["status", "--url", node.url()]).contains(" removed in 1 pruning\n"));

    let made: serde_json::Value = serde_json::from_str(&act(&["checkpoint", "create", "one", "--json"])).expect("JSON");
    assert_eq!(place.json(&["checkpoint", "list", "--json"]), serde_json::json!([made]));
    assert!(act(&["checkpoint", "create", "two"]).starts_with("checkpoint \"two\": version "));
    assert_eq!(place.ok(&["checkpoint", "list", "--url", node.url()]), place.ok(&["checkpoint", "list"]));
    for verdict in [&["checkpoint", "verify", "one"][..], &["checkpoint", "verify", "one", "--json"]] {
        assert_eq!(act(verdict), place.ok(verdict));
    }
    let table = std::fs::read_dir(place.path("data/checkpoints/two/shards/000")).expect("it is there");
    let table =
        table.filter_map(|entry| Some(entry.ok()?.path())).find(|path| path.extension().is_some_and(|e| e == "sst"));
    std::fs::remove_file(table.expect("a shard has a table")).expect("it is ours");
    let damaged = place.run(&[&["checkpoint", "verify", "two"][..], &acting].concat());
    assert_eq!((damaged.code, damaged.stderr.as_str()), (Some(1), ""), "{damaged:?}");
    assert_eq!(damaged.stdout, place.run(&["checkpoint", "verify", "two"]).stdout);
    let status = place.ok(&["status", "--url", node.url()]);
    assert!(status.contains("2; the newest is \"two\", version ") && status.contains("the last one took "), "{status}");
    assert_eq!(act(&["checkpoint", "delete", "two"]), "checkpoint \"two\" is deleted\n");

    let fails = |code: i32, args: &[&str]| place.fails(code, &[args, &acting].concat());
    assert!(fails(1, &["checkpoint", "create", "one"]).contains("there is a checkpoint"), "it is there already");
    assert!(fails(1, &["checkpoint", "verify", "two"]).contains("no checkpoint"), "it is gone");
    fails(1, &["checkpoint", "delete", "two"]);
    for name in ["../two", "..", "", "a/b", "./data/checkpoints/one"] {
        for verb in ["create", "verify", "delete"] {
            fails(2, &["checkpoint", verb, name]);
        }
    }
    fails(2, &["prune", "--keep-blocks", "5", "--reorg-window", "0"]);
    fails(2, &["prune"]);
    for unasked in
        [&["prune", "--keep-blocks", "1"][..], &["checkpoint", "create", "three"], &["checkpoint", "delete", "one"]]
    {
        assert!(place.fails(1, &[unasked, &["--url", node.url()]].concat()).contains("401"));
    }
    node.end();
    assert_eq!(place.json(&["checkpoint", "list", "--json"]), serde_json::json!([made]));
    assert!(place.ok(&["verify"]).contains("sound: "));
}

/// A node that is asked to end while it prunes, verifies and makes a checkpoint: it ends, and nothing half is left.
#[test]
fn a_node_ends_in_good_order_in_the_midst_of_its_work() {
    let place = Place::new();
    place.token("token");
    for round in 0..4 {
        let node = Serving::start(&place, &["--demo", "--blocks-per-second", "200", "--token-file", "token"]);
        std::thread::sleep(std::time::Duration::from_millis(700));
        let name = format!("round-{round}");
        let work: Vec<_> =
            [&["checkpoint", "create", &name][..], &["prune", "--keep-blocks", "1"], &["verify"], &["flush"]]
                .iter()
                .map(|verb| [verb, &["--url", node.url(), "--token-file", "token"][..]].concat())
                .map(|args| {
                    let mut asking = place.command(&args);
                    asking.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it can be run")
                })
                .collect();
        std::thread::sleep(std::time::Duration::from_millis(15 * round));
        node.end();
        for asking in work {
            let ended = asking.wait_with_output().expect("it is waited for once");
            let said = String::from_utf8_lossy(&ended.stderr);
            let told = ["closed", "closing", "does not answer any more", "cannot reach", "without an answer"];
            assert!(ended.status.success() || told.iter().any(|word| said.contains(word)), "{said}");
        }
        // Before anybody opens the store again.
        for entry in std::fs::read_dir(place.path("data/checkpoints")).into_iter().flatten() {
            let checkpoint = entry.expect("it can be read").path();
            assert!(checkpoint.join("CHECKPOINT").exists(), "{} is half a checkpoint", checkpoint.display());
        }
        assert!(place.ok(&["verify"]).contains("sound: "), "round {round}");
        for checkpoint in place.json(&["checkpoint", "list", "--json"]).as_array().expect("a list") {
            let name = checkpoint["name"].as_str().expect("a name");
            assert!(place.ok(&["checkpoint", "verify", name]).starts_with("sound"), "{checkpoint}");
        }
    }
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
        (&["serve", "--listen", "192.0.2.1:1", "--beyond-loopback"], "cannot listen on 192.0.2.1:1"),
    ] {
        let refused = place.fails(1, args);
        assert!(refused.contains(said), "{args:?}: {refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    let refused = place.fails(2, &["serve", "--listen", "0.0.0.0:0"]);
    assert!(refused.contains("not a loopback address") && refused.contains("--beyond-loopback"), "{refused}");
    for args in [
        &["serve", "--listen", "nowhere"][..],
        &["serve", "--blocks-per-second", "7"],
        &["status", "--url", "https://127.0.0.1:1"],
        &["status", "--url", "http://127.0.0.1:1", "--config", "f.toml"],
        &["status", "--url", "http://127.0.0.1:1", "--dir", "data"],
        &["checkpoint", "list", "--url", "http://127.0.0.1:1", "--dir", "data"],
        &["flush", "--token-file", "open"],
    ] {
        place.fails(2, args);
    }
    assert_eq!(place.ok(&["get", "k"]), "v\n");
}
