//! `transact`: it retries, not for ever, and outlives what its closure does.

use crate::{number, store};
use shingle::{Batch, Error, ErrorKind, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn a_conflict_is_tried_again_with_a_new_snapshot() -> Result<()> {
    let db = store();
    let mut tries = 0_u64;
    let seen = db.transact(|txn| {
        tries += 1;
        let seen = number(txn.get("counter")?);
        if tries < 4 {
            let mut other = Batch::new();
            other.put("counter", (seen + 10).to_be_bytes());
            db.commit(other)?;
        }
        txn.put("counter", (seen + 1).to_be_bytes())?;
        Ok(seen)
    })?;
    assert_eq!((tries, seen), (4, 30));
    assert_eq!(number(db.get("counter")?), 31);
    Ok(())
}

#[test]
fn a_conflict_each_time_is_given_back_after_a_bounded_number_of_tries() {
    let db = store();
    let mut tries = 0_u64;
    let error = db
        .transact(|txn| {
            tries += 1;
            assert!(tries < 100_000, "it is not bounded");
            txn.get("counter")?;
            let mut other = Batch::new();
            other.put("counter", tries.to_be_bytes());
            db.commit(other)?;
            txn.put("mine", "1")
        })
        .expect_err("somebody else wrote each time");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(tries > 1);
    assert!(error.to_string().contains(&tries.to_string()), "{error} after {tries} tries");
    assert_eq!(db.get("mine").expect("a sound store"), None);
}

#[test]
fn an_error_of_the_closure_is_given_back_at_once_and_nothing_is_written() -> Result<()> {
    let db = store();
    let mut tries = 0;
    let error = db
        .transact(|txn| {
            tries += 1;
            txn.put("a", "1")?;
            txn.put("", "an empty key")
        })
        .expect_err("the closure failed");
    assert_eq!((error.kind(), tries), (ErrorKind::InvalidArgument, 1));
    assert_eq!(db.get("a")?, None);
    Ok(())
}

#[test]
fn a_panic_in_the_closure_leaves_the_store_usable() -> Result<()> {
    let (db, dir) = crate::store_on_disk();
    for round in 0..20_u64 {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            db.transact(|txn| -> Result<()> {
                txn.put("half", round.to_be_bytes())?;
                assert_eq!(txn.range::<&str>(..).count(), 1 + usize::from(round > 0));
                panic!("a bug in the node's code");
            })
        }));
        let panic = outcome.expect_err("the panic goes on to the caller");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"a bug in the node's code"));
        assert_eq!(db.get("half")?, None, "nothing of it was written");
        db.transact(|txn| {
            let before = number(txn.get("whole")?);
            txn.put("whole", (before + 1).to_be_bytes())
        })?;
    }
    assert_eq!(number(db.get("whole")?), 20);
    db.close()?;
    let db = shingle::Database::open(dir.path().join("store"))?;
    assert_eq!((number(db.get("whole")?), db.get("half")?), (20, None));
    Ok(())
}

/// A panic while a scan of the transaction is half read, with the scan and the transaction dropped by the unwinding.
#[test]
fn a_panic_within_a_scan_leaves_the_store_usable() -> Result<()> {
    let db = store();
    db.transact(|txn| (0..100_u8).try_for_each(|n| txn.put([n], [n])))?;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        db.transact(|txn| -> Result<()> {
            for row in txn.range::<[u8; 1]>(..) {
                assert_ne!(row?.0, [50]);
            }
            Err(Error::Closed)
        })
    }));
    assert!(outcome.is_err());
    db.transact(|txn| txn.delete([50]))?;
    assert_eq!(db.range::<[u8; 1]>(..).count(), 99);
    Ok(())
}
