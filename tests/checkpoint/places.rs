//! Shards on several disks, before and after.

use crate::history::History;
use crate::mount::Mount;
use crate::{builder, files};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use shingle::{Database, RestoreOptions};
use std::path::{Path, PathBuf};

/// From shards on `disks` to a checkpoint with its parts there, and back onto them under other names.
fn round_trip(home: &Path, disks: &[PathBuf], links_everywhere: bool) {
    let store = home.join("store");
    let dirs = |name: &str| disks.iter().map(|disk| disk.join(name)).collect::<Vec<_>>();
    let db = builder(&store, 4).shard_dirs(dirs("shards")).log_dir(home.join("its-log")).open().expect("a new store");
    let (mut history, mut rng) = (History::default(), SmallRng::seed_from_u64(7));
    (0..150).for_each(|_| history.go_on(&db, &mut rng, true));
    let checkpoint = db.checkpoint("on-all-disks").expect("a sound disk");
    let at = history.version();
    assert_eq!(checkpoint.version, at);
    for disk in disks {
        let parts = files::walk(disk).into_iter().filter(|path| path.ends_with("on-all-disks")).count();
        assert_eq!(parts, 4 / disks.len(), "each disk has the parts of its shards");
    }
    (0..50).for_each(|_| history.go_on(&db, &mut rng, true));
    let target = home.join("restored");
    let options = RestoreOptions { shard_dirs: dirs("others"), log_dir: Some(home.join("another-log")), copy: false };
    let restored = Database::restore(&checkpoint.path, &target, &options, &|_| {}).expect("a sound checkpoint");
    assert_eq!(restored.bytes_linked > restored.bytes_copied, links_everywhere, "{restored:?}");
    let there = builder(&target, 4).open().expect("a restored store");
    history.check(&there, at);
    drop(there);
    // On one disk, and nothing shared.
    let copied = home.join("copied");
    let options = RestoreOptions { copy: true, ..RestoreOptions::default() };
    let restored = Database::restore(&checkpoint.path, &copied, &options, &|_| {}).expect("a sound checkpoint");
    assert_eq!(restored.bytes_linked, 0);
    history.check(&builder(&copied, 4).open().expect("a restored store"), at);
    db.delete_checkpoint("on-all-disks").expect("it is there");
    let left: Vec<_> = disks.iter().chain([&store]).flat_map(|dir| files::walk(dir)).collect();
    assert!(left.iter().all(|path| !path.ends_with("on-all-disks")), "a deleted checkpoint leaves nothing: {left:?}");
    history.check(&db, history.version());
}

#[test]
fn shard_directories_on_the_same_disk() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    round_trip(dir.path(), &[dir.path().join("a"), dir.path().join("b")], true);
}

#[test]
fn shard_directories_on_other_disks() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let disk = || Mount::new(&["-t", "tmpfs", "-o", "size=64m", "tmpfs"]);
    let (Some(first), Some(second)) = (disk(), disk()) else { return };
    // The n-th shard is on the same disk again: its tables are linked from the checkpoint's part there.
    round_trip(dir.path(), &[first.path().to_owned(), second.path().to_owned()], true);
}
