//! The command as a user meets it: what it prints, where, and how it ends.

mod bench;
mod browser;
mod demo;
mod documents;
mod http;
mod node;
mod observability;
mod page;
mod reading_and_writing;
mod refusals;
mod support;
