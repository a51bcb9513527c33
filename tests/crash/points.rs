//! The named points of the protocol at which the process can be killed.

/// Where in the code the points lie decides when they are met, and so how a child is to be set up.
pub(crate) const CREATION: &[&str] = &["create::after_marker", "create::before_manifest", "create::after_manifest"];

pub(crate) const RUNNING: &[&str] = &[
    "commit::before_append",
    "commit::after_append",
    "commit::after_sync",
    "commit::after_apply",
    "commit::after_publish",
    "flush::after_seal",
    "flush::after_shards",
    "flush::after_blocks",
    "rollback::before_shards",
    "rollback::after_shards",
];

/// How many times a point may be passed before the kill; rare ones are met too seldom for a high number.
pub(crate) fn passes_max(point: &str) -> u64 {
    if point.starts_with("commit::") { 60 } else { 3 }
}
