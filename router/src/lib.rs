//! The router of a Shingle store: one commit log and one version over many shards.
