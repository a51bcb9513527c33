//! Tests of the shard that need tiny chunks and buckets, or a look inside.

mod backend;
mod changes;
mod histories;
mod model;
mod order;
mod random;
mod readers;
