//! Damage on disk: whatever byte is wrong, it is reported and never served.

mod bytes;
#[path = "../support/files.rs"]
mod files;
#[path = "../support/refusal.rs"]
mod refusal;
mod specimen;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use refusal::refused;
use shingle::{Batch, ErrorKind};
use specimen::{SHARDS, Specimen, builder, log_files};
use std::fs;
use std::path::Path;

type Tear<'a> = &'a dyn Fn(&mut Vec<u8>, &mut SmallRng);

/// What a power cut leaves of an append that was never synced: nothing, a part, or the file shorter.
#[test]
fn a_torn_tail_is_cut_off() {
    let specimen = Specimen::make(6, false);
    let last = specimen.records.last().expect("there are six");
    let mut rng = SmallRng::seed_from_u64(1);
    for _ in 0..12 {
        let cut = rng.random_range(last.bytes.clone());
        let tears: [Tear<'_>; 4] = [
            &|bytes, _| bytes[cut..last.bytes.end].fill(0),
            &|bytes, rng| rng.fill(&mut bytes[cut..last.bytes.end]),
            &|bytes, _| bytes[last.bytes.start..=cut].fill(0),
            &|bytes, _| bytes.truncate(cut),
        ];
        for tear in tears {
            let copy = specimen.copy();
            let segment = copy.join(&last.segment);
            let mut bytes = fs::read(&segment).expect("the log is there");
            let before = bytes.clone();
            tear(&mut bytes, &mut rng);
            fs::write(&segment, &bytes).expect("room on the disk");
            let db = builder(&copy).open().expect("a torn tail is no damage");
            if bytes == before {
                assert_eq!(db.version(), specimen.newest_version());
            } else {
                specimen.ends_before(db, last.version, &copy);
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_the_middle_of_the_log_names_segment_and_offset() {
    let specimen = Specimen::make(8, false);
    let middle = &specimen.records[3];
    let mut rng = SmallRng::seed_from_u64(2);
    let file_name = middle.segment.file_name().and_then(|name| name.to_str()).expect("a log segment's name is ASCII");
    let mut offsets: Vec<_> = (0..40).map(|_| rng.random_range(middle.bytes.clone())).collect();
    offsets.extend(middle.bytes.clone().take(48));
    for offset in offsets {
        let copy = specimen.copy();
        bytes::flip(&copy.join(&middle.segment), offset, rng.random_range(0..8));
        let log = log_files(&copy);
        let last_good = (middle.version - 1).to_string();
        let words = [file_name, "byte", &last_good, "recover_to_last_good"];
        let error = refused(builder(&copy).open(), ErrorKind::Damaged, &words);
        let named = error
            .to_string()
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse::<usize>().ok())
            .any(|number| (middle.bytes.start.saturating_sub(8)..=offset).contains(&number));
        assert!(named, "byte {offset} of the record at {:?} was flipped: {error}", middle.bytes);
        assert_eq!(log_files(&copy), log, "a refused opening changes nothing in the log");
        if offset % 8 == 0 {
            let db = builder(&copy).recover_to_last_good(true).open().expect("it was asked to");
            specimen.ends_before(db, middle.version, &copy);
        }
    }
}

/// After a clean end nothing can be torn: what does not fit was synced, and is damaged.
#[test]
fn a_broken_tail_after_a_clean_end_is_damage() {
    let specimen = Specimen::make(4, true);
    let last = specimen.records.last().expect("there are four");
    for offset in last.bytes.clone().step_by(37) {
        let copy = specimen.copy();
        bytes::flip(&copy.join(&last.segment), offset, 0);
        refused(builder(&copy).open(), ErrorKind::Damaged, &["log"]);
    }
}

#[test]
fn a_missing_or_misplaced_log_segment_is_damage() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("store");
    let db = builder(&path).shards(SHARDS).open().expect("an empty directory takes a store");
    for n in 0..60_u32 {
        let mut batch = Batch::new();
        batch.put(n.to_be_bytes(), vec![n as u8; 60_000]);
        db.commit(batch).expect("a sound batch");
    }
    db.close().expect("a sound disk");
    let segments: Vec<_> =
        log_files(&path).into_keys().filter(|path| path.extension().is_some_and(|kind| kind == "log")).collect();
    // The first one was made with the store, and may hold nothing.
    let segments = &segments[1..];
    assert!(segments.len() >= 3, "{segments:?}");
    let damages: [&dyn Fn(&Path); 5] = [
        &|store| fs::remove_file(store.join(&segments[0])).expect("it is there"),
        &|store| fs::remove_file(store.join(&segments[1])).expect("it is there"),
        &|store| {
            let (a, b) = (store.join(&segments[1]), store.join(&segments[2]));
            fs::rename(&a, store.join("between")).expect("it is there");
            fs::rename(&b, &a).expect("it is there");
            fs::rename(store.join("between"), &b).expect("it is there");
        },
        &|store| fs::write(store.join(&segments[1]), "").expect("room on the disk"),
        &|store| fs::remove_dir_all(store.join("log")).expect("it is there"),
    ];
    for (number, damage) in damages.iter().enumerate() {
        let copy = dir.path().join(format!("copy {number}"));
        bytes::copy(&path, &copy);
        damage(&copy);
        refused(builder(&copy).open(), ErrorKind::Damaged, &["log"]);
    }
}

#[test]
fn every_flipped_byte_of_the_manifest_is_noticed_and_nothing_is_changed() {
    let specimen = Specimen::make(2, true);
    let copy = specimen.copy();
    let manifest = copy.join("MANIFEST");
    let sound = fs::read(&manifest).expect("a store has one");
    let mut rng = SmallRng::seed_from_u64(3);
    for offset in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[offset] ^= 1 << rng.random_range(0..8);
        fs::write(&manifest, &damaged).expect("room on the disk");
        let before = (offset % 50 == 0).then(|| files::contents(&copy));
        refused(builder(&copy).open(), ErrorKind::Damaged, &["MANIFEST"]);
        if let Some(before) = before {
            assert!(files::contents(&copy) == before, "a refused opening changes nothing");
        }
    }
    for length in [0, 1, sound.len() / 2, sound.len() - 1] {
        fs::write(&manifest, &sound[..length]).expect("room on the disk");
        refused(builder(&copy).open(), ErrorKind::Damaged, &["MANIFEST"]);
    }
    fs::write(&manifest, &sound).expect("room on the disk");
    assert!(!specimen.answers(&builder(&copy).open().expect("it is as it was")));
}

/// One bit, in any file of a store that was closed: it is noticed when the store is opened, or where it is read, or it is of no matter.
/// `verify` notices it wherever data lies.
#[test]
fn one_flipped_bit_anywhere_is_never_served() {
    let specimen = Specimen::make(5, true);
    let mut rng = SmallRng::seed_from_u64(4);
    let (mut refused_to_open, mut told_by_read, mut told_by_verify) = (0, 0, 0);
    for file in files::walk(&specimen.pristine()).into_iter().filter(|path| path.is_file()) {
        let length = fs::metadata(&file).expect("it was just listed").len() as usize;
        let file = file.strip_prefix(specimen.pristine()).expect("below it").to_owned();
        let is_table = file.extension().is_some_and(|extension| extension == "sst");
        let flips = if length == 0 {
            0
        } else if is_table {
            12
        } else {
            4
        };
        for _ in 0..flips {
            let copy = specimen.copy();
            let offset = rng.random_range(0..length);
            bytes::flip(&copy.join(&file), offset, rng.random_range(0..8));
            match builder(&copy).open() {
                Err(error) => {
                    assert!(
                        matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Mismatch),
                        "byte {offset} of {}: {:?}: {error}",
                        file.display(),
                        error.kind()
                    );
                    refused_to_open += 1;
                }
                Ok(db) => {
                    if file.starts_with("log") || file.starts_with("blocks") {
                        assert_eq!(db.version(), specimen.newest_version(), "byte {offset} of {}", file.display());
                    }
                    told_by_read += u32::from(specimen.answers(&db));
                    let sound = match db.verify(&|_| {}) {
                        Ok(report) => report.is_sound(),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
                            false
                        }
                    };
                    assert!(!sound || !is_table, "verify overlooks byte {offset} of {length} of {}", file.display());
                    told_by_verify += u32::from(!sound);
                }
            }
        }
    }
    eprintln!("refused to open: {refused_to_open}, told by a read: {told_by_read}, by verify: {told_by_verify}");
    assert!(refused_to_open > 0 && told_by_read > 0 && told_by_verify > 0);
}

#[test]
fn a_missing_a_swapped_or_a_foreign_shard_is_refused() {
    let specimen = Specimen::make(3, true);
    let other = Specimen::make(3, true);
    let shards = |store: &Path| {
        let mut shards: Vec<_> = fs::read_dir(store.join("shards"))
            .expect("a store has shards")
            .map(|entry| entry.expect("readable").path())
            .collect();
        shards.sort();
        assert_eq!(shards.len(), SHARDS);
        shards
    };
    let kept = |store: &Path| (fs::read(store.join("MANIFEST")).expect("it is there"), log_files(store));

    let copy = specimen.copy();
    let here = shards(&copy);
    let aside = copy.with_extension("aside");
    let before = kept(&copy);
    fs::rename(&here[1], &aside).expect("it is there");
    refused(builder(&copy).open(), ErrorKind::Damaged, &["shard 1", "missing"]);
    assert!(!here[1].exists(), "a missing shard is not made anew");

    fs::create_dir(&here[1]).expect("it is not there");
    let error = builder(&copy).open().expect_err("an empty directory is no shard");
    assert!(matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Mismatch), "{error}");
    fs::remove_dir_all(&here[1]).expect("it is there");

    fs::rename(&here[2], &here[1]).expect("it is there");
    fs::rename(&aside, &here[2]).expect("it is there");
    refused(builder(&copy).open(), ErrorKind::Mismatch, &["shard"]);
    fs::rename(&here[1], &aside).expect("it is there");
    fs::rename(&here[2], &here[1]).expect("it is there");
    fs::rename(&aside, &here[2]).expect("it is there");

    fs::rename(&here[0], &aside).expect("it is there");
    bytes::copy(&shards(&other.pristine())[0], &here[0]);
    refused(builder(&copy).open(), ErrorKind::Mismatch, &["shard"]);
    fs::remove_dir_all(&here[0]).expect("it is there");
    fs::rename(&aside, &here[0]).expect("it is there");

    assert!(kept(&copy) == before, "a refused opening changes nothing");
    assert!(!specimen.answers(&builder(&copy).open().expect("everything is back in its place")));
}

/// Another store's log, or its block index, in the place of this one's.
#[test]
fn another_stores_log_or_block_index_is_refused() {
    let (specimen, other) = (Specimen::make(3, true), Specimen::make(3, true));
    for part in ["log", "blocks"] {
        let copy = specimen.copy();
        let (mine, foreign) = (copy.join(part), other.pristine().join(part));
        if mine.is_dir() {
            fs::remove_dir_all(&mine).expect("it is there");
            bytes::copy(&foreign, &mine);
        } else {
            fs::copy(&foreign, &mine).expect("it is there");
        }
        let error = builder(&copy).open().expect_err("it belongs to another store");
        assert!(matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Mismatch), "{part}: {error}");
    }
}
