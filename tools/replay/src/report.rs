//! What a replay found.

use alloy_primitives::B256;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// What a replay found, by file and in total.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Shards of each store.
    pub shards: usize,
    /// The files, in the order in which they were found.
    pub files: Vec<FileReport>,
    /// All of them together.
    pub totals: Totals,
    /// How long it took.
    pub elapsed_ms: u64,
}

impl Report {
    /// Adds the files up.
    pub(crate) fn add_up(&mut self) {
        self.totals = Totals::default();
        for file in &self.files {
            self.totals.files += 1;
            self.totals.counts += file.counts;
            self.totals.failures += file.failures.len() as u64;
        }
    }

    /// Every failure, with its file.
    pub fn failures(&self) -> impl Iterator<Item = (&FileReport, &Failure)> {
        self.files.iter().flat_map(|file| file.failures.iter().map(move |failure| (file, failure)))
    }

    /// Whether every case passed.
    pub fn is_success(&self) -> bool {
        self.totals.failures == 0
    }
}

/// What a replay found in one file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Figures.
    #[serde(flatten)]
    pub counts: Counts,
    /// What went wrong.
    pub failures: Vec<Failure>,
}

/// Figures of all files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Files read.
    pub files: u64,
    /// Figures.
    #[serde(flatten)]
    pub counts: Counts,
    /// What went wrong.
    pub failures: u64,
}

/// Figures of one case, or of several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Chains.
    pub cases: u64,
    /// Blocks that the chains deliver, the invalid ones among them.
    pub blocks: u64,
    /// Blocks executed and committed, again after a change of branches too.
    pub blocks_executed: u64,
    /// Blocks refused, as they had to be.
    pub blocks_refused: u64,
    /// Changes to a heavier branch.
    pub reorganisations: u64,
    /// State roots computed over a snapshot of the store and found equal to the header's.
    pub state_roots_verified: u64,
    /// Slots sent from shard to shard meanwhile.
    pub slots_moved: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { cases, blocks, blocks_executed, blocks_refused, reorganisations, state_roots_verified, slots_moved } =
            other;
        self.cases += cases;
        self.blocks += blocks;
        self.blocks_executed += blocks_executed;
        self.blocks_refused += blocks_refused;
        self.reorganisations += reorganisations;
        self.state_roots_verified += state_roots_verified;
        self.slots_moved += slots_moved;
    }
}

/// Which block a failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.number, self.hash)
    }
}

impl Serialize for BlockId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut id = serializer.serialize_struct("BlockId", 2)?;
        id.serialize_field("number", &self.number)?;
        id.serialize_field("hash", &self.hash.to_string())?;
        id.end()
    }
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The case's name; none if the file was not read.
    pub case: Option<String>,
    /// The block, if it is about one.
    pub block: Option<BlockId>,
    /// What was looked at.
    pub check: String,
    /// What it should have been.
    pub expected: String,
    /// What it was.
    pub got: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(case) = &self.case {
            write!(f, "{case}: ")?;
        }
        if let Some(block) = &self.block {
            write!(f, "block {block}: ")?;
        }
        write!(f, "{}: expected {}, got {}", self.check, self.expected, self.got)
    }
}
