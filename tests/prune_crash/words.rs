//! What a child tells, and what follows from it for the store that it leaves.

use shingle::{Database, Version};
use std::collections::BTreeMap;
use std::io::Write;

/// The child's words, each in a line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// A pruning begins.
    Pruning,
    /// It has ended, and the floor is this.
    Floor(Version),
    /// A snapshot at this version is open.
    Hold(Version),
    /// It will be closed.
    Release(Version),
    /// The chain ends at this height.
    Head(u64),
    /// It is going to end at this one.
    Rolling(u64),
}

impl Word {
    /// A parent that is gone ends the child.
    pub(crate) fn tell(self) {
        let (name, number) = match self {
            Word::Pruning => ("pruning", 0),
            Word::Floor(floor) => ("floor", floor),
            Word::Hold(version) => ("hold", version),
            Word::Release(version) => ("release", version),
            Word::Head(height) => ("head", height),
            Word::Rolling(height) => ("rolling", height),
        };
        if writeln!(std::io::stdout(), "@ {name} {number} .").is_err() {
            std::process::exit(0);
        }
    }

    /// `None`: what the test harness says, or a line that the kill has cut short.
    fn parse(line: &str) -> Option<Word> {
        let (name, number) = line.split_once("@ ")?.1.strip_suffix(" .")?.split_once(' ')?;
        let number = number.parse().ok()?;
        match name {
            "pruning" => Some(Word::Pruning),
            "floor" => Some(Word::Floor(number)),
            "hold" => Some(Word::Hold(number)),
            "release" => Some(Word::Release(number)),
            "head" => Some(Word::Head(number)),
            "rolling" => Some(Word::Rolling(number)),
            _ => None,
        }
    }
}

/// What is known of a store by the words of those that were killed on it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    floor: Version,
    /// A pruning was under way: it may have raised the floor.
    pruning: bool,
    held: BTreeMap<Version, u32>,
    /// The heights at which the chain may end; empty: nobody has said anything.
    heads: Vec<u64>,
    pub(crate) prunings: u64,
    pub(crate) kills_while_held: u64,
}

impl Known {
    pub(crate) fn hear(&mut self, said: &str) {
        for word in said.lines().filter_map(Word::parse) {
            match word {
                Word::Pruning => self.pruning = true,
                Word::Floor(floor) => {
                    assert!(floor >= self.floor, "the floor fell from {} to {floor}", self.floor);
                    (self.floor, self.pruning) = (floor, false);
                    self.prunings += 1;
                }
                Word::Hold(version) => *self.held.entry(version).or_default() += 1,
                Word::Release(version) => {
                    let count = self.held.get_mut(&version).expect("what is released was held");
                    *count -= 1;
                }
                // The next one may be sealed.
                Word::Head(height) => self.heads = vec![height, height + 1],
                Word::Rolling(height) => self.heads.push(height),
            }
        }
        self.held.retain(|_, count| *count > 0);
    }

    /// Compares the floor and the end of the chain, and goes on from what is there.
    pub(crate) fn compare(&mut self, db: &Database) {
        let floor = db.floor();
        assert!(floor >= self.floor, "the floor {} was told, and it is {floor}", self.floor);
        assert!(self.pruning || floor == self.floor, "nobody has raised the floor from {} to {floor}", self.floor);
        assert!(
            floor == 0 || db.blocks(..).iter().any(|block| block.version == floor),
            "the floor {floor} is no block's version"
        );
        if let Some((oldest, _)) = self.held.first_key_value() {
            assert!(floor <= *oldest, "the floor {floor} is above the open snapshot at {oldest}");
            self.kills_while_held += 1;
        }
        let head = db.head().map_or(0, |head| head.height);
        assert!(self.heads.is_empty() || self.heads.contains(&head), "height {head}, and not {:?}", self.heads);
        (self.floor, self.pruning, self.heads) = (floor, false, vec![head, head + 1]);
        self.held.clear();
    }
}
