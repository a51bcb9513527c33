//! prune, and what status says of it.

use crate::support::Place;

/// Ten blocks, each of which writes the same accounts.
fn chain() -> Place {
    let place = Place::new();
    place.ok(&["demo", "--blocks", "20", "--accounts", "50", "--transfers", "200"]);
    place
}

#[test]
fn a_dry_run_says_what_the_run_then_does() {
    let place = chain();
    let keep = ["prune", "--keep-blocks", "5", "--reorg-window", "0", "--json"];
    let before = place.json(&["status", "--json"]);
    let dry = place.json(&[&keep[..], &["--dry-run"]].concat());
    assert_eq!((&dry["dry_run"], &before["floor"]), (&true.into(), &0.into()));
    assert_eq!(place.json(&["status", "--json"])["floor"], 0, "nothing was changed");
    let pruned = place.json(&[&keep[..], &["--compact"]].concat());
    for figure in ["versions", "keys", "bytes", "floor"] {
        assert_eq!(pruned[figure], dry[figure], "{figure}");
        assert!(pruned[figure].as_u64() > Some(0), "{pruned}");
    }
    assert_eq!(place.json(&["status", "--json"])["floor"], pruned["floor"]);
    let newest = before["head"]["height"].as_u64().expect("a chain");
    let gone = place.fails(1, &["scan", "--at-height", &(newest - 5).to_string()]);
    let oldest = format!("was pruned; the oldest block that can be read is that of height {}", newest - 4);
    assert!(gone.contains(&oldest), "{gone}");
    // The preview of a rollback refuses what the rollback does.
    let preview = place.fails(1, &["rollback", "--to-height", &(newest - 5).to_string()]);
    assert_eq!(preview, gone);
    assert_eq!(place.json(&["status", "--json"])["floor_height"], newest - 4);
    place.ok(&["scan", "--at-height", &(newest - 4).to_string()]);
    assert!(place.fails(1, &["rollback", "--to-height", &(newest - 5).to_string(), "--yes"]).contains("pruned"));
    assert_eq!(place.json(&["verify", "--json"])["sound"], true);
    let again = place.json(&keep);
    assert_eq!((&again["versions"], &again["floor"]), (&0.into(), &pruned["floor"]));
}

#[test]
fn the_window_for_rollbacks_stays() {
    let place = chain();
    let said = place.ok(&["prune", "--keep-blocks", "1"]);
    assert!(said.contains("reorg_window_blocks") && said.contains("held back"), "{said}");
    let head = place.json(&["status", "--json"])["height"].to_string();
    for policy in [&["--keep-secs", "0"][..], &["--below-height", &head], &["--keep-versions", "1"]] {
        let said = place.ok(&[&["prune", "--reorg-window", "3"][..], policy].concat());
        assert!(said.contains("the newest 3 blocks stay"), "{policy:?}: {said}");
    }
    let status = place.ok(&["status"]);
    assert!(status.contains("oldest readable version"), "{status}");
    assert_eq!(place.json(&["verify", "--json"])["sound"], true);
}

/// A digit too many in a height would let go all that may go.
#[test]
fn a_height_that_is_not_reached_prunes_nothing() {
    let place = chain();
    for dry_run in [&["--dry-run"][..], &[]] {
        let refused =
            place.fails(1, &[&["prune", "--below-height", "9999", "--reorg-window", "0"][..], dry_run].concat());
        assert!(refused.contains("no block of height 9999"), "{refused}");
    }
    assert_eq!(place.json(&["status", "--json"])["floor"], 0);
}

#[test]
fn exactly_one_policy_is_asked_for() {
    let place = chain();
    for args in [
        &["prune"][..],
        &["prune", "--keep-blocks", "0"],
        &["prune", "--keep-versions", "0"],
        &["prune", "--keep-blocks", "1", "--keep-secs", "1"],
        &["prune", "--keep-blocks", "1", "--dry-run", "--compact"],
    ] {
        place.fails(2, args);
    }
    assert_eq!(place.json(&["status", "--json"])["floor"], 0);
    let missing = Place::new();
    assert!(missing.fails(1, &["prune", "--keep-blocks", "1"]).contains("no Shingle store"));
}
