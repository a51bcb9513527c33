//! The named points of the protocol at which the process can be killed.

/// Where in the code the points lie decides when they are met, and so how a child is to be set up.
pub(crate) const CREATION: &[&str] = &["create::after_marker", "create::before_manifest", "create::after_manifest"];

pub(crate) const RUNNING: &[&str] = &[
    "commit::before_append",
    "log::append::before_write",
    "log::append::after_write",
    "commit::after_append",
    "log::sync::before",
    "log::sync::after",
    "commit::after_sync",
    "commit::after_apply",
    "commit::after_publish",
    "log::segment::before_rename",
    "log::segment::created",
    "flush::after_seal",
    "blocks::persist",
    "flush::after_blocks",
    "flush::after_versions",
    "flush::after_changes",
    "flush::after_mark",
    "flush::after_shards",
    "log::release",
    "rollback::before_shards",
    "retract::after_witness",
    "retract::after_versions",
    "retract::after_changes",
    "rollback::after_shards",
    "checkpoint::after_marker",
    "checkpoint::before_links",
    "checkpoint::after_links",
    "checkpoint::after_shards",
    "checkpoint::after_log",
    "checkpoint::before_hashes",
    "checkpoint::before_rename",
    "checkpoint::after_rename",
    "checkpoint::delete::after_marker",
    "checkpoint::delete::after_manifest",
];

/// Met once, when a store that exists is opened.
pub(crate) const OPENING: &[&str] = &["manifest::before_rename", "manifest::after_rename"];

/// How many times a point may be passed before the kill: one that is met seldom would not be met so often.
pub(crate) fn passes_max(point: &str) -> u64 {
    match point {
        "commit::before_append" | "commit::after_append" | "commit::after_sync" => 25,
        "commit::after_apply" | "commit::after_publish" => 25,
        "log::append::before_write" | "log::append::after_write" | "log::sync::before" | "log::sync::after" => 25,
        // Made seldom, and deleted from the second one on.
        _ if point.starts_with("checkpoint::") => 0,
        "flush::after_versions" | "flush::after_changes" | "flush::after_mark" | "retract::after_witness" => 9,
        _ if CREATION.contains(&point) || OPENING.contains(&point) => 0,
        _ => 2,
    }
}
