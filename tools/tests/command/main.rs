//! The command as a user meets it: what it prints, where, and how it ends.

mod bench;
mod demo;
mod prune;
mod reading_and_writing;
mod refusals;
mod support;
