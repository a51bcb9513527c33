//! rebalance, reshard, shards and slots on a running node: the same as without one, and one at a time.

use crate::serving::Serving;
use crate::support::Place;
use serde_json::{Value, json};
use std::process::{Child, Stdio};

/// Two stores that hold the same, one of which a node has open.
fn twins() -> (Place, Place, Serving) {
    let [alone, served] = [(); 2].map(|()| Place::new());
    alone.ok(&["demo", "--blocks", "10", "--accounts", "400", "--transfers", "100"]);
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .args([alone.path("data"), served.path("data")])
        .status()
        .expect("every system has it");
    assert!(copied.success());
    served.token("token");
    let node = Serving::start(&served, &["--token-file", "token"]);
    (alone, served, node)
}

/// What does not depend on where and how fast it was done.
fn lasting(mut document: Value) -> Value {
    for varying in ["micros", "barrier_micros_max", "bytes"] {
        if let Some(fields) = document.as_object_mut() {
            fields.remove(varying);
        }
    }
    document
}

#[test]
fn a_running_node_does_the_same_and_says_the_same() {
    let (alone, served, node) = twins();
    let asking = ["--url", node.url()];
    let acting = ["--url", node.url(), "--token-file", "token"];
    let json = |place: &Place, args: &[&str], with: &[&str]| place.json(&[args, with, &["--json"]].concat());

    let measured = ["shards", "--measure"];
    assert_eq!(
        json(&alone, &measured, &[])["shards"][3]["keys"],
        json(&served, &measured, &acting)["shards"][3]["keys"]
    );
    for verb in [&["slots", "--by", "keys"][..], &["slots", "--by", "keys", "--ascii"]] {
        let map =
            |said: String| said.lines().filter(|line| line.contains("  shard ")).map(str::to_owned).collect::<Vec<_>>();
        let (without, with) = (map(alone.ok(verb)), map(served.ok(&[verb, &asking].concat())));
        assert!(without.len() > 16 && without == with, "{without:?} {with:?}");
    }
    assert!(served.ok(&[&["shards"][..], &asking].concat()).contains("\nall "));

    let grow = ["rebalance", "--to-shards", "11", "--rate", "64MiB"];
    let simulate = [&grow[..], &["--simulate"]].concat();
    let said = |place: &Place, with: &[&str]| place.ok(&[&simulate[..], with].concat());
    // The estimated bytes are those of a store that was opened again, or not.
    let rows = |said: String| {
        said.lines()
            .filter(|line| !line.contains("estimated") && !line.contains("time"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(said(&alone, &[])), rows(said(&served, &acting)));
    let plan = |place: &Place, with: &[&str]| json(place, &simulate, with)["plan"].clone();
    assert_eq!(plan(&alone, &[]), plan(&served, &acting));
    assert!(served.path("data/shards/008").read_dir().is_err(), "a simulation makes nothing");

    let dirs = ["--shard-dir", "disks/a", "--shard-dir", "disks/b"];
    let grow = [&grow[..], &dirs].concat();
    assert_eq!(lasting(json(&served, &grow, &acting)), lasting(json(&alone, &grow, &[])));
    for place in [&alone, &served] {
        assert!(place.path("disks/a").is_dir() && place.path("disks/b").is_dir());
    }
    let again = |place: &Place, with: &[&str]| place.ok(&[&grow[..5], with].concat());
    assert_eq!(again(&served, &acting), again(&alone, &[]));
    let named = ["reshard", "--from", "0", "--to", "10", "--slots", "0-3"];
    assert_eq!(lasting(json(&served, &named, &acting)), lasting(json(&alone, &named, &[])));
    let owners = |place: &Place, with: &[&str]| {
        let slots = json(place, &["slots"], with)["slots"].clone();
        slots.as_array().expect("a list").iter().map(|slot| slot["shard"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(owners(&served, &asking), owners(&alone, &[]));
    for place_and_node in [(&alone, &[][..]), (&served, &asking[..])] {
        let (place, with) = place_and_node;
        assert_eq!(place.ok(&[&["rebalance", "status"][..], with].concat()), "no rebalancing is under way\n");
        assert_eq!(json(place, &["rebalance", "status"], with), Value::Null);
    }
    let status = json(&served, &["status"], &asking);
    assert_eq!(
        (&status["rebalance"]["runs"], &status["rebalance"]["last"]["slots"]),
        (&json!(2), &json!(4)),
        "{status}"
    );
    node.end();
    assert_eq!(served.ok(&["scan"]), alone.ok(&["scan"]));
    assert!(served.ok(&["verify"]).contains("sound: "));
}

#[test]
fn what_does_not_fit_and_who_may_not_are_refused() {
    let place = Place::new();
    place.ok(&["demo", "--blocks", "3", "--accounts", "100", "--transfers", "10"]);
    place.token("token");
    let node = Serving::start(&place, &["--token-file", "token"]);
    let acting = ["--url", node.url(), "--token-file", "token"];
    let fails = |code: i32, args: &[&str], with: &[&str]| place.fails(code, &[args, with].concat());
    for args in [
        &["rebalance", "--to-shards", "9"][..],
        &["rebalance", "--to-shards", "9", "--simulate"],
        &["reshard", "--from", "0", "--to", "1", "--slots", "0"],
        &["rebalance", "resume"],
        &["rebalance", "abort"],
        &["shards", "--measure"],
        &["slots", "--measure"],
    ] {
        let refused = fails(1, args, &acting[..2]);
        assert!(refused.contains("401") && refused.contains("--token-file"), "{args:?}: {refused}");
    }
    // Where shard 8 would be.
    std::fs::create_dir_all(place.path("data/shards/008/x")).expect("a writable directory");
    for (args, said) in [
        (&["rebalance", "--weight", "9=1"][..], "9 is none"),
        (&["rebalance", "--weight", "9=1", "--simulate"], "9 is none"),
        (&["rebalance", "--shard-dir", "elsewhere"], "no shard is added"),
        (&["rebalance", "--to-shards", "9"], "not empty"),
        (&["reshard", "--from", "0", "--to", "8", "--slots", "7"], "there is no shard 8"),
        (&["rebalance", "resume"], "no rebalancing is under way"),
        (&["rebalance", "abort"], "no rebalancing is under way"),
    ] {
        let refused = fails(1, args, &acting);
        assert!(refused.contains(said), "{args:?}: {refused}");
    }
    for args in [
        &["rebalance", "--to-shards", "0"][..],
        &["rebalance", "--threshold", "101"],
        &["rebalance", "--weight", "3=1", "--weight", "3=2"],
        &["rebalance", "--rate", "1"],
        &["rebalance", "status", "--token-file", "token"],
        &["rebalance", "--config", "f.toml"],
        &["slots", "--by", "luck"],
    ] {
        fails(2, args, &acting);
    }
    fails(2, &["rebalance", "--to-shards", "9", "--token-file", "token"], &[]);
    assert!(!place.path("elsewhere").exists());
    let locked = place.fails(1, &["shards"]);
    assert!(locked.contains("`--url ") && locked.contains("`shards`"), "{locked}");
    assert_eq!(place.json(&["status", "--json", "--url", node.url()])["slot_map_epoch"], 1);
}

/// One that would take minutes, waited for by a process of its own.
fn begin(place: &Place, node: &Serving, to_shards: &str) -> Child {
    let args = ["rebalance", "--to-shards", to_shards, "--rate", "1KiB", "--url", node.url(), "--token-file", "token"];
    let waiting = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be run");
    let status = || place.json(&["rebalance", "status", "--json", "--url", node.url()]);
    while status()["bytes_copied"].as_u64().is_none_or(|bytes| bytes == 0) {}
    waiting
}

#[test]
fn one_under_way_is_shown_resumed_and_given_up() {
    let (_, place, node) = twins();
    let acting = ["--url", node.url(), "--token-file", "token"];
    let act = |args: &[&str]| place.ok(&[args, &acting].concat());
    let scanned = place.json(&["status", "--json", "--url", node.url()])["version"].clone();

    let waiting = begin(&place, &node, "16");
    let said = place.ok(&["rebalance", "status", "--url", node.url()]);
    assert!(said.contains("copying") && said.contains("at most 1.00 KiB/s") && said.contains("0 of 2 048"), "{said}");
    let said = place.ok(&["status", "--url", node.url()]);
    assert!(said.contains("2 048 slots to 16 shards, copying: "), "{said}");
    let refused = place.fails(1, &[&["rebalance", "--to-shards", "9"][..], &acting].concat());
    assert!(refused.contains("another rebalance already") && refused.contains("\"to_shards\":16"), "{refused}");
    let refused = place.fails(1, &[&["reshard", "--from", "0", "--to", "1", "--slots", "0"][..], &acting].concat());
    assert!(refused.contains("a rebalancing is not finished: it copies"), "{refused}");
    assert_eq!(act(&["rebalance", "abort"]), "the rebalancing is given up: every slot is where it was\n");
    let ended = waiting.wait_with_output().expect("it is waited for once");
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("aborted"), "{ended:?}");
    while place.json(&["rebalance", "status", "--json", "--url", node.url()]) != Value::Null {}

    let waiting = begin(&place, &node, "16");
    // The one who waits is not who does it.
    let mut gone = begin_again(&place, &node);
    gone.kill().expect("it runs");
    gone.wait().expect("it is waited for once");
    let resumed: Value =
        serde_json::from_str(&act(&["rebalance", "resume", "--rate", "1GiB", "--json"])).expect("JSON");
    assert_eq!((&resumed["shards"], &resumed["slots"]), (&json!(16), &json!(2048)), "{resumed}");
    let ended = waiting.wait_with_output().expect("it is waited for once");
    assert!(ended.status.success() && ended.stdout.starts_with(b"2 048 slots moved"), "{ended:?}");
    let status = place.json(&["status", "--json", "--url", node.url()]);
    assert_eq!((&status["rebalance"]["aborted"], &status["rebalance"]["runs"]), (&json!(1), &json!(1)));
    assert_eq!(status["version"], scanned, "moving commits nothing");
    node.end();
    assert_eq!(place.json(&["shards", "--json"])["shards"].as_array().map(Vec::len), Some(16));
    assert!(place.ok(&["verify"]).contains("sound: "));
}

/// The same command while it runs: it waits for it as well.
fn begin_again(place: &Place, node: &Serving) -> Child {
    let args = ["rebalance", "--to-shards", "16", "--rate", "1KiB", "--url", node.url(), "--token-file", "token"];
    let mut again = place.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it can be run");
    let mut said = String::new();
    let stderr = again.stderr.take().expect("it is a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stderr), &mut said).expect("it is a pipe");
    assert!(said.contains("at another rebalance already") && said.contains("waiting for it"), "{said}");
    again
}

/// A node that is ended in the midst of it, and one that is killed: the next one goes on.
#[test]
fn a_node_that_ends_meanwhile_is_gone_on_with_by_the_next_one() {
    for killed in [false, true] {
        let (alone, place, node) = twins();
        let mut waiting = begin(&place, &node, "12");
        if killed {
            drop(node)
        } else {
            node.end()
        }
        assert_eq!(waiting.wait().expect("it is waited for once").code(), Some(1), "nobody answers any more");
        let node = Serving::start(&place, &["--token-file", "token"]);
        let status = || place.json(&["rebalance", "status", "--json", "--url", node.url()]);
        assert_eq!(status()["bytes_per_sec_max"], 1024, "as it was asked to");
        place.ok(&["rebalance", "resume", "--rate", "none", "--url", node.url(), "--token-file", "token"]);
        assert_eq!(status(), Value::Null);
        assert_eq!(place.json(&["shards", "--json", "--url", node.url()])["shards"].as_array().map(Vec::len), Some(12));
        node.end();
        assert_eq!(place.ok(&["scan"]), alone.ok(&["scan"]));
        assert!(place.ok(&["verify"]).contains("sound: "));
    }
}
