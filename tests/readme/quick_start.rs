use shingle::{At, Batch, Block, Database};

fn main() -> shingle::Result<()> {
    let db = Database::builder("my-node/state").shards(8).open()?; // made on the first run
    let height = db.head().map_or(1, |newest| newest.height + 1);
    let timestamp_ms = 1_700_000_000_000 + 12_000 * height;

    let mut batch = Batch::new();
    batch.put("alice", "100").put("bob", "50");
    db.commit_block(Block { height, timestamp_ms }, batch)?; // atomic over the shards, on disk

    db.transact(|txn| txn.put("alice", "70"))?; // serializable, retried after a conflict
    db.seal_block(Block { height: height + 1, timestamp_ms: timestamp_ms + 12_000 })?;

    let then = db.snapshot_at(At::Height(height))?;
    assert_eq!(then.get("alice")?.as_deref(), Some(b"100".as_slice()));
    db.rollback_to(height)?; // the chain reorganised
    db.close()
}
