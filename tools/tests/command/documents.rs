//! Each command in the documents for operators is run as it stands there.

use crate::serving::Serving;
use crate::support::Place;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const ADDRESS: &str = "127.0.0.1:9464";

/// The blocks of `language`, without their fences.
fn blocks<'a>(text: &'a str, language: &'a str) -> impl Iterator<Item = &'a str> {
    let parts = text.split("\n```").filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'));
    parts.map(str::trim)
}

/// Asked when the test runs: a target directory that clones share keeps the program of the first of them.
fn tools() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests").into()
}

fn document(name: &str) -> String {
    let path = tools().join("../docs").join(name);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs a line in a shell, with the command in its path.
fn run(place: &Place, line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_shingle"));
    let path =
        format!("{}:{}", program.parent().expect("a directory").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    let output =
        command.args(["-c", line]).env("PATH", path).current_dir(place.path(".")).output().expect("there is a shell");
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A place that looks like the directory above a store, in a clone.
fn clone_with_store() -> Place {
    let place = Place::new();
    place.ok(&["demo", "--blocks", "3", "--accounts", "300", "--transfers", "20"]);
    std::os::unix::fs::symlink(tools(), place.path("tools")).expect("a writable directory");
    place
}

/// Runs a line that asks a node, which serves there and not where the document says. Disks are directories of the place.
fn run_on(place: &Place, node: &Serving, line: &str) {
    let program = line.split(' ').next().unwrap_or_default();
    if ["promtool", "curl"].contains(&program) && Command::new(program).arg("--version").output().is_err() {
        eprintln!("SKIPPED: {program} is not installed: {line}");
        return;
    }
    // There must be one to go on with, or to give up.
    let under_way = ["shingle rebalance resume", "shingle rebalance abort"]
        .iter()
        .any(|command| line.starts_with(command))
        .then(|| begin_slowly(place, node));
    run(place, &on_disks(place, line).replace(ADDRESS, node.url().trim_start_matches("http://")));
    if let Some(mut under_way) = under_way {
        under_way.wait().expect("it is waited for once");
    }
}

fn on_disks(place: &Place, line: &str) -> String {
    line.replace("/mnt/", &format!("{}/mnt-", place.path("").display()))
}

/// A rebalancing that would take long, under way.
fn begin_slowly(place: &Place, node: &Serving) -> Child {
    let status = || place.json(&["rebalance", "status", "--json", "--url", node.url()]);
    while !status().is_null() {}
    let shards = place.json(&["shards", "--json", "--url", node.url()])["shards"].as_array().map_or(0, Vec::len);
    let fewer = (shards / 2).to_string();
    let begin = ["rebalance", "--rate", "1KiB", "--url", node.url(), "--token-file", "token", "--to-shards", &fewer];
    let mut under_way = place.command(&begin).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it can run");
    while status()["phase"] != "copying" {
        assert!(under_way.try_wait().expect("it is ours").is_none(), "it ended by itself");
    }
    under_way
}

/// As they stand there: first those for a store that nobody has open, then those for a node.
#[test]
fn the_commands_of_the_guide_to_rebalancing_work() {
    let text = document("rebalancing.md");
    let place = clone_with_store();
    place.token("token");
    let lines: Vec<_> = blocks(&text, "sh").flat_map(str::lines).collect();
    let (asking, opening): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.contains(ADDRESS));
    assert!(asking.len() > 6 && opening.len() > 3, "{asking:?} {opening:?}");
    for line in opening {
        run(&place, &on_disks(&place, line));
    }
    let node = Serving::start(&place, &["--token-file", "token"]);
    for line in asking {
        run_on(&place, &node, line);
    }
    node.end();
    assert!(run(&place, "shingle verify").contains("sound: "));
}

#[test]
fn the_commands_of_the_runbooks_work() {
    let text = document("operations.md");
    let place = clone_with_store();
    let mut lines: Vec<_> = blocks(&text, "sh").flat_map(str::lines).collect();
    let serve = lines.iter().position(|line| line.starts_with("shingle serve")).expect("the runbooks begin with it");
    for line in lines.drain(..=serve).filter(|line| !line.starts_with("shingle serve")).collect::<Vec<_>>() {
        run(&place, line);
    }
    let node = Serving::start(&place, &["--token-file", "token"]);
    assert!(lines.len() > 10, "{lines:?}");
    for line in lines {
        run_on(&place, &node, line);
    }
    node.end();
    // Named in a sentence.
    assert!(text.contains("`shingle verify --dir data`"));
    assert!(run(&place, "shingle verify --dir data").contains("sound: "));
    run(&place, "shingle status --recover-to-last-good");
}

#[test]
fn the_commands_and_settings_of_the_tuning_guide_work() {
    let text = document("tuning.md");
    let place = clone_with_store();
    let settings = blocks(&text, "toml").next().expect("the guide has a file of settings");
    place.write("shingle.toml", settings, 0o600);
    let lines: Vec<_> = blocks(&text, "sh").flat_map(str::lines).collect();
    assert!(lines.len() >= 4, "{lines:?}");
    for line in lines {
        let said = run(&place, line);
        assert!(!line.contains("--config") || said.contains("of 768 MiB for memtables"), "{said}");
    }
    // Each setting that a table names is one: a file that sets it to nonsense is refused by its name, not as unknown.
    let names = text.split('`').filter(|word| word.contains('.') || *word == "row_cache_size");
    let names = names.filter(|word| {
        ["rocksdb.", "flush.", "log.", "prune.", "checkpoint."].iter().any(|part| word.starts_with(part))
    });
    let mut seen = 0;
    for name in names.filter_map(|name| name.split([' ', '=']).next()) {
        let (section, setting) = name.split_once('.').expect("a section and a setting");
        place.write("odd.toml", &format!("[{section}]\n{setting} = [1]\n"), 0o600);
        let said = place.fails(2, &["status", "--config", "odd.toml"]);
        assert!(!said.contains("unknown field") && said.contains(setting), "{name}: {said}");
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}
