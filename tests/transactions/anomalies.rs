//! The anomalies by name, each as two transactions that are interleaved by hand.

use crate::store;
use shingle::{Batch, Database, ErrorKind, Isolation, Result, Transaction};

fn put(db: &Database, key: &str, value: &str) {
    let mut batch = Batch::new();
    batch.put(key, value);
    db.commit(batch).expect("a sound batch");
}

fn assert_conflict(txn: Transaction) {
    let error = txn.commit().expect_err("it must conflict");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let said = error.to_string();
    assert!(said.contains("again"), "the message says that trying again helps: {said}");
}

#[test]
fn a_lost_update_is_a_conflict_in_both_isolations() -> Result<()> {
    for isolation in [Isolation::Serializable, Isolation::Snapshot] {
        let db = store();
        put(&db, "counter", "1");
        let (mut first, mut second) = (db.begin_with(isolation), db.begin_with(isolation));
        for txn in [&mut first, &mut second] {
            assert_eq!(txn.get("counter")?, Some(b"1".to_vec()));
            txn.put("counter", "2")?;
        }
        first.commit()?;
        let error = second.commit().expect_err("it overwrites what it did not see");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("counter"), "the message names the key: {error}");
    }
    Ok(())
}

#[test]
fn write_skew_is_a_conflict_only_where_reads_are_validated() -> Result<()> {
    for isolation in [Isolation::Serializable, Isolation::Snapshot] {
        let db = store();
        put(&db, "on call/alice", "yes");
        put(&db, "on call/bob", "yes");
        let (mut first, mut second) = (db.begin_with(isolation), db.begin_with(isolation));
        assert_eq!(first.get("on call/bob")?, Some(b"yes".to_vec()));
        first.put("on call/alice", "no")?;
        assert_eq!(second.get("on call/alice")?, Some(b"yes".to_vec()));
        second.put("on call/bob", "no")?;
        first.commit()?;
        match isolation {
            Isolation::Serializable => assert_conflict(second),
            Isolation::Snapshot => drop(second.commit()?),
        }
    }
    Ok(())
}

#[test]
fn a_phantom_in_a_range_or_a_prefix_is_a_conflict() -> Result<()> {
    type Reader = fn(&mut Transaction) -> usize;
    let readers: [Reader; 4] = [
        |txn| txn.range("booking/10".."booking/20").count(),
        |txn| txn.range("booking/10".."booking/20").rev().count(),
        |txn| txn.prefix("booking/1").count(),
        |txn| txn.range::<&str>(..).count(),
    ];
    for read in readers {
        let db = store();
        put(&db, "booking/11", "x");
        put(&db, "room", "x");
        let mut txn = db.begin();
        assert!(read(&mut txn) > 0);
        txn.put("summary", "1")?;
        put(&db, "booking/15", "phantom");
        assert_conflict(txn);

        let mut txn = db.begin();
        assert!(read(&mut txn) > 0);
        txn.put("summary", "1")?;
        let mut removal = Batch::new();
        removal.delete("booking/11");
        db.commit(removal)?;
        assert_conflict(txn);
    }
    Ok(())
}

/// An empty range was read, too: "nothing is there" is what the transaction relies on.
#[test]
fn a_phantom_in_an_empty_range_is_a_conflict() -> Result<()> {
    let db = store();
    let mut txn = db.begin();
    assert_eq!(txn.prefix("lock/").count(), 0);
    assert_eq!(txn.get("absent")?, None);
    txn.put("summary", "free")?;
    put(&db, "lock/1", "taken");
    assert_conflict(txn);

    let mut txn = db.begin();
    assert_eq!(txn.get("absent")?, None);
    txn.put("summary", "free")?;
    put(&db, "absent", "no longer");
    assert_conflict(txn);
    Ok(())
}

#[test]
fn what_a_scan_did_not_reach_is_no_conflict() -> Result<()> {
    let db = store();
    for n in 10..30 {
        put(&db, &format!("queue/{n}"), "job");
    }
    let mut txn = db.begin();
    let first = txn.prefix("queue/").next().transpose()?;
    assert_eq!(first.map(|(key, _)| key), Some(b"queue/10".to_vec()));
    txn.delete("queue/10")?;
    put(&db, "queue/30", "later job");
    txn.commit()?;

    let mut txn = db.begin();
    let last = txn.prefix("queue/").next_back().transpose()?;
    assert_eq!(last.map(|(key, _)| key), Some(b"queue/30".to_vec()));
    txn.delete("queue/30")?;
    put(&db, "queue/31", "in the part that was read");
    assert_conflict(txn);
    Ok(())
}

#[test]
fn commits_that_touch_nothing_of_each_other_do_not_conflict() -> Result<()> {
    let db = store();
    let (mut first, mut second) = (db.begin(), db.begin());
    first.get("a")?;
    first.put("b", "1")?;
    second.get("c")?;
    assert_eq!(second.range("x".."y").count(), 0);
    second.put("d", "2")?;
    first.commit()?;
    second.commit()?;
    assert_eq!((db.get("b")?, db.get("d")?), (Some(b"1".to_vec()), Some(b"2".to_vec())));
    Ok(())
}

#[test]
fn a_transaction_reads_its_own_writes_and_nobody_elses() -> Result<()> {
    let db = store();
    for key in ["a", "b", "c", "d"] {
        put(&db, key, "stored");
    }
    let mut txn = db.begin();
    txn.put("b", "own")?;
    txn.delete("c")?;
    txn.put("cc", "new")?;
    txn.put("gone", "x")?;
    txn.delete("gone")?;
    put(&db, "a", "later");
    put(&db, "zz", "later");

    assert_eq!(txn.get("a")?, Some(b"stored".to_vec()));
    assert_eq!(txn.get("b")?, Some(b"own".to_vec()));
    assert_eq!((txn.get("c")?, txn.get("gone")?, txn.get("zz")?), (None, None, None));
    let rows: Vec<_> = txn.range::<&str>(..).collect::<Result<_>>()?;
    let expected = [("a", "stored"), ("b", "own"), ("cc", "new"), ("d", "stored")];
    let expected = expected.map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()));
    assert_eq!(rows, expected);
    let mut backward: Vec<_> = txn.range::<&str>(..).rev().collect::<Result<_>>()?;
    backward.reverse();
    assert_eq!(backward, expected);

    assert_eq!(db.get("cc")?, None, "nobody sees an uncommitted write");
    txn.abort();
    assert_eq!((db.get("cc")?, db.get("b")?), (None, Some(b"stored".to_vec())));
    Ok(())
}

/// A transaction that only reads stands in the serial order at its snapshot: whatever came later is no conflict.
#[test]
fn a_transaction_that_only_reads_never_conflicts() -> Result<()> {
    let db = store();
    put(&db, "a", "1");
    let mut txn = db.begin();
    assert_eq!(txn.get("a")?, Some(b"1".to_vec()));
    put(&db, "a", "2");
    assert_eq!(txn.get("a")?, Some(b"1".to_vec()));
    txn.commit()?;
    Ok(())
}

/// The flush hands the rows to the backend, where the version of a key is no longer in memory.
#[test]
fn a_conflict_is_found_though_the_later_commit_is_flushed() -> Result<()> {
    let (db, _dir) = crate::store_on_disk();
    put(&db, "a", "1");
    db.flush()?;
    let (mut stale, mut phantom, mut untouched) = (db.begin(), db.begin(), db.begin());
    assert_eq!(stale.get("a")?, Some(b"1".to_vec()));
    assert_eq!(phantom.prefix("p").count(), 0);
    assert_eq!(untouched.get("other")?, None);
    for txn in [&mut stale, &mut phantom, &mut untouched] {
        txn.put("b", "2")?;
    }
    put(&db, "a", "2");
    put(&db, "p", "2");
    db.flush()?;
    assert_conflict(stale);
    assert_conflict(phantom);
    untouched.commit()?;
    Ok(())
}

#[test]
fn a_transaction_over_a_rollback_is_refused() -> Result<()> {
    let db = store();
    let block = |height| shingle::Block { height, timestamp_ms: height };
    db.seal_block(block(1))?;
    put(&db, "a", "1");
    let mut txn = db.begin();
    assert_eq!(txn.get("a")?, Some(b"1".to_vec()));
    txn.put("b", "2")?;
    db.rollback_to(1)?;
    let error = txn.commit().expect_err("what it read is gone");
    assert!(matches!(error.kind(), ErrorKind::RolledBack | ErrorKind::Conflict), "{error}");
    assert_eq!((db.get("a")?, db.get("b")?), (None, None));
    Ok(())
}
