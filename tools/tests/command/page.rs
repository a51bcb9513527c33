//! The operator's page in a browser: it renders, it lives, and it says so when the node does not.

use crate::browser::Browser;
use crate::serving::Serving;
use crate::support::Place;
use serde_json::{Value, json};

/// What a browser must not have said: an exception, or a policy that was broken.
fn assert_no_errors(browser: &Browser) {
    let thrown = browser.events("Runtime.exceptionThrown");
    assert!(thrown.is_empty(), "{thrown:?}");
    let entries = browser.events("Log.entryAdded");
    let broken: Vec<_> = entries.iter().filter(|event| event["entry"]["source"] != "network").collect();
    assert!(broken.is_empty(), "{broken:?}");
}

fn number(browser: &Browser, selector: &str) -> f64 {
    let text: String = browser.text(selector).chars().filter(char::is_ascii_digit).collect();
    text.parse().unwrap_or_else(|_| panic!("{selector} shows {:?}", browser.text(selector)))
}

#[test]
fn the_page_renders_updates_and_shows_a_stopped_node_as_stopped() {
    let Some(browser) = Browser::start() else { return };
    let place = Place::new();
    place.token("token");
    let node = Serving::start(&place, &["--demo", "--blocks-per-second", "20", "--token-file", "token"]);
    let acting = ["--url", node.url(), "--token-file", "token"];
    place.ok(&[&["checkpoint", "create", "before-upgrade"][..], &acting].concat());
    place.ok(&[&["prune", "--keep-blocks", "7", "--dry-run"][..], &acting].concat());
    browser.open(node.url());
    browser.wait_for("document.querySelectorAll('#shards tbody tr').length === 8");
    browser.wait_for("document.querySelector('#state').textContent === 'running'");
    assert_eq!(browser.text("#dir"), "./data");
    assert!(browser.text("#slots-caption").contains("4 096 over 8 shards"), "{}", browser.text("#slots-caption"));
    let painted =
        "[...document.querySelector('#slots').getContext('2d').getImageData(0, 0, 2, 2).data].some(part => part > 0)";
    assert_eq!(browser.evaluate(painted), Value::Bool(true), "the slots are painted");

    browser.wait_for("document.querySelector('#tps path.first').getAttribute('d').includes('L')");
    let (height, title) = (number(&browser, "#tiles .tile b"), browser.evaluate("document.title"));
    browser.wait_for(&format!(
        "Number(document.querySelector('#tiles .tile b').textContent.replaceAll(' ', '')) > {height}"
    ));
    assert!(title.as_str().is_some_and(|title| title.contains("commits/s")), "{title}");
    browser.wait_for(
        "[...document.querySelectorAll('#shards tbody tr')].some(row => /[1-9]/.test(row.cells[3].textContent))",
    );

    browser.wait_for("document.querySelectorAll('#checkpoints li').length === 1");
    assert!(browser.text("#checkpoints").contains("before-upgrade"), "{}", browser.text("#checkpoints"));
    assert!(browser.text("#pruning").contains("by hand"), "{}", browser.text("#pruning"));
    assert!(
        browser.text("#operations").contains("prune, dry_run, keep_blocks 7: done"),
        "{}",
        browser.text("#operations")
    );
    place.ok(&[&["checkpoint", "create", "another"][..], &acting].concat());
    browser.wait_for("document.querySelector('#checkpoints li').textContent.startsWith('another')");
    place.ok(&[&["checkpoint", "delete", "before-upgrade"][..], &acting].concat());
    browser.wait_for("document.querySelectorAll('#checkpoints li').length === 1");

    let under_way = "showPruning({ prune: { ...before.status.prune, held_back: { by: 'snapshot', version: 12 }, failure: '<b>full</b>', \
         progress: { fraction: 0.25, versions: 1000, remaining_ms: 90000 } }, prune_micros: { counts: [], sum: 0 } }, 0); document.querySelector('#pruning').parentElement.textContent";
    let said = browser.evaluate(under_way).as_str().unwrap_or_default().to_owned();
    for part in ["a snapshot at 12", "<b>full</b>", "25 %, 1 000 versions", "1.50 min left"] {
        assert!(said.contains(part), "{part}: {said}");
    }

    // Whatever the node says is text.
    browser.evaluate("showCondition({ writable: false, reason: '<img src=x>poisoned' })");
    assert_eq!(browser.text("#state"), "read-only");
    assert!(browser.text("#banner").contains("<img src=x>poisoned"), "{}", browser.text("#banner"));
    browser.wait_for(
        "document.querySelector('#state').textContent === 'running' && document.querySelector('#banner').hidden",
    );
    assert_no_errors(&browser);
    let asked = browser.events("Network.requestWillBeSent");
    let elsewhere: Vec<_> = asked
        .iter()
        .filter_map(|event| event["request"]["url"].as_str())
        .filter(|url| !url.starts_with(&format!("{}/", node.url())) && !url.starts_with("data:"))
        .collect();
    assert!(!asked.is_empty() && elsewhere.is_empty(), "{elsewhere:?}");

    let height = browser.text("#tiles .tile b");
    node.end();
    browser.wait_for("document.querySelector('#state').textContent === 'stopped'");
    assert!(browser.text("#banner").contains("does not answer since"), "{}", browser.text("#banner"));
    assert_eq!(browser.evaluate("document.body.classList.contains('stopped')"), Value::Bool(true));
    assert_eq!(browser.evaluate("document.title"), "stopped · Shingle");
    let shown = browser.text("#tiles .tile b");
    assert!(shown >= height || shown.len() > height.len(), "what was known stays: {shown}");
    assert_eq!(browser.events("Runtime.exceptionThrown"), Vec::<Value>::new());
}

/// Slots on their way: on the map, in a card of their own, and when it has stopped above everything.
#[test]
fn the_page_shows_slots_on_their_way() {
    let Some(browser) = Browser::start() else { return };
    let place = Place::new();
    place.ok(&["demo", "--blocks", "10", "--accounts", "2000", "--transfers", "100"]);
    place.token("token");
    let node = Serving::start(&place, &["--token-file", "token"]);
    browser.open(node.url());
    browser.wait_for("document.querySelector('#rebalancing')?.textContent.startsWith('nownone') === true");
    let colours = "(() => { const canvas = document.querySelector('#slots'), { width, height } = canvas, copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true }); \
                   copy.drawImage(canvas, 0, 0); const { data } = copy.getImageData(0, 0, width, height); \
                   const seen = new Map(); for (let at = 0; at < data.length; at += 4) { const key = data.slice(at, at + 3).join(); seen.set(key, (seen.get(key) ?? 0) + 1); } \
                   return [...seen.values()].filter(pixels => pixels > 500).length; })()";
    let before = browser.evaluate(colours).as_u64().expect("a number");
    let moving = ["rebalance", "--to-shards", "12", "--rate", "1KiB", "--url", node.url(), "--token-file", "token"];
    let mut waiting = place
        .command(&moving)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it can be run");
    browser.wait_for(
        "/over 8 shards, version 1 of the slot map, 1 36. on their way/.test(document.querySelector('#slots-caption').textContent)",
    );
    browser.wait_for(
        "/copying.*1.00 KiB.s.*% copied/.test(document.querySelector('#rebalancing').parentElement.textContent)",
    );
    let during = browser.evaluate(colours).as_u64().expect("a number");
    assert!(during >= before + 4, "new shards have colours of their own: {before}, then {during}");
    browser.wait_for(
        "document.querySelector('#operations').textContent.includes('rebalance, by slots, rate_bytes_per_sec 1024')",
    );
    place.ok(&["rebalance", "resume", "--rate", "none", "--url", node.url(), "--token-file", "token"]);
    assert!(waiting.wait().expect("it is waited for once").success());
    browser.wait_for(
        "document.querySelector('#slots-caption').textContent.includes('over 12 shards, version 2 of the slot map')",
    );
    browser.wait_for("document.querySelectorAll('#shards tbody tr').length === 12");
    browser.wait_for("document.querySelector('#rebalancing').textContent.includes('since the start1 run')");
    assert_eq!(browser.text("#rebalancing-progress"), "");

    let stuck = "(() => { const rebalance = { ...before.status.rebalance, under_way: { phase: 'waiting_for_readers', aborted: false, slots: 1366, slots_done: 1366, \
         shards_after: 12, rows_copied: 5, bytes_copied: 4096, fraction: 1, bytes_per_sec: 10, bytes_per_sec_max: null, remaining_ms: null, \
         waits_for_compaction: false, older_readers: 2, barrier_micros_max: 40, failure: '<b>full</b>' } }; \
         showRebalancing(rebalance, 0); showCondition(before.status.condition, rebalance); return document.querySelector('#rebalancing').textContent; })()";
    let said = browser.evaluate(stuck).as_str().unwrap_or_default().to_owned();
    for part in ["waits for 2 readers", "<b>full</b>", "1 366 of 1 366", "40 µs"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(browser.text("#state"), "move stopped");
    assert!(
        browser.text("#banner").contains("The rebalancing has stopped: <b>full</b>"),
        "{}",
        browser.text("#banner")
    );
    browser.wait_for("document.querySelector('#state').textContent === 'running'");
    assert_no_errors(&browser);
    node.end();
}

#[test]
fn the_page_is_readable_on_a_phone_and_in_the_dark() {
    let Some(browser) = Browser::start() else { return };
    let place = Place::new();
    place.token("token");
    let node = Serving::start(&place, &["--demo", "--token-file", "token"]);
    let name = "a-name-as-long-as-one-may-be-for-a-checkpoint-that-somebody-made-before-the-upgrade-of-the-whole-fleet";
    place.ok(&["checkpoint", "create", &name[..100], "--url", node.url(), "--token-file", "token"]);
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        &json!({ "width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true }),
    );
    browser.open(node.url());
    browser.wait_for("document.querySelectorAll('#shards tbody tr').length === 8");
    assert_eq!(browser.evaluate("document.documentElement.scrollWidth"), 360, "nothing sticks out");
    let clipped = "[...document.querySelectorAll('.tile b, dd, td, li b, li span')].filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent)";
    assert_eq!(browser.evaluate(clipped), json!([]), "nothing is cut off");
    // The lightness of what a colour is, from 0 to 255.
    let light = |property: &str| {
        let channels = format!("getComputedStyle(document.body).{property}.match(/[0-9.]+/g).slice(0, 3).map(Number)");
        let channels = browser.evaluate(&channels);
        channels.as_array().expect("three").iter().filter_map(Value::as_f64).sum::<f64>() / 3.0
    };
    for (scheme, dark) in [("light", false), ("dark", true)] {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.call("Emulation.setEmulatedMedia", &features);
        let (page, text) = (light("backgroundColor"), light("color"));
        assert_eq!(page < 60.0 && text > 200.0, dark, "{scheme}: {text} on {page}");
        assert!((page - text).abs() > 150.0, "{scheme}: {text} on {page}");
    }
    assert_no_errors(&browser);
}
