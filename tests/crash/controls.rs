//! A checker counts once it has found what it is for: histories that are wrong, each in one way.

use crate::group;
use crate::line::{EMPTY_BLOCK, Line, Stamp};
use crate::truth::Truth;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use shingle::{Batch, Block, Database, SealedBlock, Version};
use std::panic::{AssertUnwindSafe, catch_unwind};

const BLOCK: Block = Block { height: 1, timestamp_ms: 10 };

/// A store, and what its writer has said of it.
struct Story {
    db: Database,
    lines: Vec<Line>,
}

impl Story {
    /// A block, and three commits above it.
    fn sound() -> (Story, SealedBlock, Version) {
        let mut story = Story { db: Database::in_memory().expect("no disk"), lines: vec![Line::Ready(0)] };
        let version = story.db.commit_block(BLOCK, group::batch(1, 1)).expect("no disk");
        story.say(1, version, Some(BLOCK));
        let mut newest = version;
        for stamp in 2..5 {
            newest = story.commit(group::batch(stamp, stamp));
            story.say(stamp, newest, None);
        }
        (story, SealedBlock { height: BLOCK.height, timestamp_ms: BLOCK.timestamp_ms, version }, newest)
    }

    fn commit(&self, batch: Batch) -> Version {
        self.db.commit(batch).expect("no disk")
    }

    fn say(&mut self, stamp: Stamp, version: Version, block: Option<Block>) {
        self.lines.extend([Line::Try { stamp, version, block }, Line::Ack { stamp, version, block }]);
    }

    /// Whether the store is held to be what was said of it, by one writer after the other.
    fn is_believed(&self, later: &[Line]) -> bool {
        let judge = || {
            let mut truth = Truth::default();
            truth.hear(&self.lines);
            truth.hear(later);
            truth.check(&self.db, &mut SmallRng::seed_from_u64(1));
            truth.check(&self.db, &mut SmallRng::seed_from_u64(2));
        };
        catch_unwind(AssertUnwindSafe(judge)).is_ok()
    }
}

#[test]
fn a_sound_store_is_believed() {
    let (mut story, block, newest) = Story::sound();
    assert!(story.is_believed(&[]));
    // Tried and not acknowledged: there or not.
    story.lines.push(Line::Try { stamp: 9, version: newest + 1, block: None });
    assert!(story.is_believed(&[]));
    let rolled = story.db.rollback_to(block.height).expect("no disk");
    assert!(story.is_believed(&[Line::Rolling(block), Line::Rolled(rolled)]));
    assert!(story.is_believed(&[Line::Rolling(block)]), "it may have happened");
}

#[test]
fn a_lost_commit_or_block_is_found() {
    let (mut story, _, newest) = Story::sound();
    story.commit(Batch::new());
    story.say(9, newest + 1, None);
    assert!(!story.is_believed(&[]), "a commit");
    let (mut story, ..) = Story::sound();
    let version = story.commit(group::batch(9, 9));
    story.say(9, version, Some(Block { height: 2, timestamp_ms: 20 }));
    assert!(!story.is_believed(&[]), "a block");
    let (mut story, ..) = Story::sound();
    let version = story.commit(Batch::new());
    story.say(EMPTY_BLOCK, version, Some(Block { height: 2, timestamp_ms: 20 }));
    assert!(!story.is_believed(&[]), "an empty block");
    let (story, _, newest) = Story::sound();
    assert!(!story.is_believed(&[Line::Ready(newest - 1)]), "the store opened before its end");
}

#[test]
fn a_part_of_a_commit_and_a_wrong_value_are_found() {
    let (story, ..) = Story::sound();
    let mut part = Batch::new();
    part.put(group::own_key(9), group::value(9));
    for key in group::keys(9).skip(1) {
        part.put(key, group::value(9));
    }
    story.commit(part);
    assert!(!story.is_believed(&[]), "a key is missing");
    let (story, ..) = Story::sound();
    let mut mixed = group::batch(9, 9);
    mixed.put(group::own_key(9), group::value(8));
    story.commit(mixed);
    assert!(!story.is_believed(&[]), "a key has another commit's value");
    let (mut story, ..) = Story::sound();
    let version = story.commit(group::batch(9, 9));
    story.say(10, version, None);
    assert!(!story.is_believed(&[]), "another commit than was acknowledged");
}

#[test]
fn a_version_given_twice_is_found() {
    let (mut story, _, newest) = Story::sound();
    story.lines.push(Line::Try { stamp: 9, version: newest, block: None });
    assert!(!story.is_believed(&[]), "by one writer");
    let (story, _, newest) = Story::sound();
    assert!(!story.is_believed(&[Line::Try { stamp: 9, version: newest, block: None }]), "by one after another");
}

#[test]
fn a_rollback_that_did_not_happen_or_happened_by_half_is_found() {
    let (story, block, newest) = Story::sound();
    assert!(!story.is_believed(&[Line::Rolling(block), Line::Rolled(newest + 1)]), "not at all");
    // The newest commit is gone, and those below it are there.
    let (mut story, block, _) = Story::sound();
    let version = story.commit(Batch::new());
    story.say(9, version, None);
    assert!(!story.is_believed(&[Line::Rolling(block)]), "by half");
    let (story, block, _) = Story::sound();
    let rolled = story.db.rollback_to(block.height).expect("no disk");
    assert!(!story.is_believed(&[]), "{rolled} was told to nobody");
}
