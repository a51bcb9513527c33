//! Directories that checkpoints go to and come from: used by two at a time, holding links, on a full disk.

use crate::commit_blocks;
use crate::support::Place;
#[path = "../../../tests/support/mount.rs"]
mod mount;

use mount::Mount;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

const EXPORT: [&str; 4] = ["checkpoint", "export", "one", "backup"];
const IMPORT: [&str; 6] = ["checkpoint", "import", "backup", "one", "--to", "imported"];

fn place_with_checkpoint(bytes: usize) -> Place {
    let place = Place::new();
    commit_blocks(&place.path("data"), 1..20, bytes);
    place.ok(&["checkpoint", "create", "one"]);
    place
}

/// An export holds its checkpoint from its first moment to its last: nobody deletes it, whatever process that is in.
#[test]
fn what_is_exported_is_not_deleted_meanwhile() {
    let place = place_with_checkpoint(1000);
    fs::create_dir(place.path("backup")).expect("a writable directory");
    // As long as this is locked, the export waits at its beginning.
    let gate = File::create(place.path("backup/LOCK")).expect("a writable directory");
    gate.lock().expect("the file system has locks");
    let mut export = place.command(&EXPORT).stdout(Stdio::null()).spawn().expect("it starts");
    let manifest = fs::metadata(place.path("data/checkpoints/one/CHECKPOINT")).expect("it is there").ino();
    // Whoever asked by locking it would be in the export's way.
    while !is_locked_by(export.id(), manifest) {
        assert!(export.try_wait().expect("it can be waited for").is_none(), "it did not wait, or holds nothing");
        thread::yield_now();
    }
    let told = place.fails(1, &["checkpoint", "delete", "one"]);
    assert!(told.contains("is being exported"), "{told}");
    gate.unlock().expect("it is locked");
    assert!(export.wait().expect("it is waited for once").success());
    place.ok(&["checkpoint", "delete", "one"]);
    place.ok(&IMPORT);
    assert!(place.ok(&["checkpoint", "verify", "./imported"]).starts_with("sound"));
}

fn is_locked_by(process: u32, inode: u64) -> bool {
    let locks = fs::read_to_string("/proc/locks").expect("Linux tells them");
    let (process, inode) = (format!(" {process} "), format!(":{inode} "));
    locks.lines().any(|lock| lock.contains("FLOCK") && lock.contains(&process) && lock.contains(&inode))
}

/// Two that write the same file would leave it as neither has checked it.
#[test]
fn of_two_imports_to_a_directory_one_is_refused() {
    let place = place_with_checkpoint(20_000);
    place.ok(&EXPORT);
    let target = place.path("imported");
    fs::create_dir(&target).expect("a writable directory");
    let alone = File::open(&target).expect("it is there");
    alone.lock().expect("the file system has locks");
    assert!(place.fails(1, &IMPORT).contains("another import"));
    assert_eq!(fs::read_dir(&target).expect("it is there").count(), 0);
    alone.unlock().expect("it is locked");
    let mut both = [(); 2]
        .map(|()| place.command(&IMPORT).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
    let ended = both.each_mut().map(|import| import.wait().expect("it is waited for once").success());
    assert_eq!(ended.iter().filter(|success| **success).count(), 1, "{ended:?}");
    assert!(place.ok(&["checkpoint", "verify", "./imported"]).starts_with("sound"));
    assert!(matches!(alone.try_lock(), Ok(()) | Err(TryLockError::Error(_))), "one holds it although it has ended");
}

/// What is written to a link goes elsewhere.
#[test]
fn a_link_where_an_import_writes_is_in_its_way() {
    let place = place_with_checkpoint(1000);
    place.ok(&EXPORT);
    let theirs = place.path("theirs");
    fs::create_dir(&theirs).expect("a writable directory");
    fs::write(theirs.join("file"), "theirs").expect("a writable directory");
    for (link, to) in
        [("shards", &theirs), ("store/MANIFEST", &theirs.join("file")), ("store/blocks.part", &theirs.join("file"))]
    {
        let link = place.path("imported").join(link);
        fs::create_dir_all(link.parent().expect("it is below")).expect("a writable directory");
        symlink(to, &link).expect("a writable directory");
        let told = place.fails(1, &IMPORT);
        assert!(told.contains("in the way") && told.contains("imported"), "{told}");
        assert_eq!(fs::read_dir(&theirs).expect("it is there").count(), 1, "{link:?}");
        assert_eq!(fs::read_to_string(theirs.join("file")).expect("it is there"), "theirs", "{link:?}");
        fs::remove_file(link).expect("it was just made");
    }
    place.ok(&IMPORT);
    // Neither is anything exported that lies behind a link.
    let table = tables(&place.path("data/checkpoints/one")).pop().expect("everything is flushed");
    let moved = theirs.join("table");
    fs::rename(&table, &moved).expect("one file system");
    symlink(&moved, &table).expect("a writable directory");
    let told = place.fails(1, &["checkpoint", "export", "one", "another"]);
    assert!(
        told.contains("damaged") && told.contains(&*table.file_name().expect("a file").to_string_lossy()),
        "{told}"
    );
}

fn tables(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a readable directory").map(|entry| entry.expect("readable").path());
    let (dirs, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut tables: Vec<_> = dirs.iter().flat_map(|dir| tables(dir)).collect();
    tables.extend(files.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "sst")));
    tables
}

/// Fills the disk but for so much.
fn fill_but(disk: &Path, filler: &Path, kilobytes: u64) {
    let status = rustix::fs::statvfs(disk).expect("it is mounted");
    let bytes = (status.f_bavail * status.f_frsize).saturating_sub(kilobytes << 10);
    let file = File::create(filler).expect("an empty file takes no room");
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes.max(1)).expect("there is as much room");
}

/// The same command goes on where it was once there is room.
#[test]
fn a_full_disk_is_told_and_what_is_half_there_is_not_listed() {
    let Some(disk) = Mount::new(&["-t", "tmpfs", "-o", "size=64m", "tmpfs"]) else { return };
    let place = place_with_checkpoint(20_000);
    let (filler, at) = (disk.path().join("filler"), disk.path().to_str().expect("a temporary directory's name"));
    let (backup, imported) = (format!("{at}/backup"), format!("{at}/imported"));
    let listed = || place.json(&["checkpoint", "list", "--at", &backup, "--json"]).as_array().map(Vec::len);
    for kilobytes in [0, 100, 1000] {
        fill_but(disk.path(), &filler, kilobytes);
        let told = place.fails(1, &["checkpoint", "export", "one", &backup]);
        assert!(told.contains("no space left"), "{told}");
        assert!(!disk.path().join("backup/checkpoints/one").exists());
        fs::remove_file(&filler).expect("it was just made");
        place.ok(&["checkpoint", "export", "one", &backup]);
        assert_eq!(listed(), Some(1));
        fill_but(disk.path(), &filler, kilobytes);
        let import = ["checkpoint", "import", &backup, "one", "--to", &imported];
        let told = place.fails(1, &import);
        assert!(told.contains("no space left"), "{told}");
        assert!(!disk.path().join("imported/CHECKPOINT").exists());
        fs::remove_file(&filler).expect("it was just made");
        place.ok(&import);
        assert!(place.ok(&["checkpoint", "verify", &imported]).starts_with("sound"));
        for made in [&backup, &imported] {
            fs::remove_dir_all(made).expect("it was just made");
        }
    }
}
