//! The demo: what it proves, that it goes on, and what it keeps its hands off.

use crate::support::Place;

const SMALL: [&str; 7] = ["demo", "--blocks", "5", "--accounts", "300", "--transfers", "40"];

#[test]
fn it_proves_itself_and_goes_on_with_its_chain() {
    let place = Place::new();
    let mut args = SMALL.to_vec();
    args.push("--json");
    let first = place.json(&args);
    assert_eq!(first["height"], 8, "five blocks, and three of the reorganisation");
    assert_eq!((first["transfers"].as_u64(), first["supply"].as_u64()), (Some(200), Some(300_000)));
    // Each transfer changes two accounts, and an account that several change is written once.
    assert!(first["writes"].as_u64().is_some_and(|writes| (5..=400).contains(&writes)), "{first}");
    assert!(first["transfers_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{first}");
    assert_eq!(first["proofs"].as_array().map(Vec::len), Some(4));
    let then = place.ok(&["scan", "--prefix", "account/", "--at-height", "8"]);
    assert_eq!(then.lines().count(), 300);

    let page = place.ok(&SMALL);
    assert!(page.contains("going on with the chain") && page.contains("heights 9 to 13,"), "{page}");
    assert_eq!(place.ok(&["scan", "--prefix", "account/", "--at-height", "8"]), then);
    assert_ne!(place.ok(&["scan", "--prefix", "account/"]), then);
}

#[test]
fn it_notices_a_balance_that_was_tampered_with() {
    let place = Place::new();
    place.ok(&SMALL);
    place.ok(&["put", "account/000007", "1000000"]);
    let said = place.fails(1, &SMALL);
    assert!(said.contains("supply"), "{said}");
}

#[test]
fn it_keeps_its_hands_off_another_store() {
    let place = Place::new();
    place.ok(&["put", "--create", "something", "else"]);
    assert!(place.fails(1, &SMALL).contains("--dir"));
    assert_eq!(place.ok(&["scan"]), "something\telse\n");
}

/// Heights are names: what is printed of one is what another verb takes.
#[test]
fn what_it_suggests_works_as_it_stands() {
    let place = Place::new();
    let page = place.ok(&["demo", "--blocks", "1002", "--accounts", "50", "--transfers", "1"]);
    assert!(page.contains("heights 1 to 1002,") && page.contains("rolled back to height 1002,"), "{page}");
    let suggested: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("  shingle ")).collect();
    assert!(suggested.len() >= 4, "{page}");
    for line in suggested {
        let command = line.split("   ").next().unwrap_or(line).trim();
        place.ok(&command.split(' ').collect::<Vec<_>>());
    }
}
