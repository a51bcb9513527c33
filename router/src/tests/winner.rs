//! What a transaction that met a conflict waits for.

use super::Still;
use crate::open::OpenOptions;
use crate::{Error, Result};

/// More writes than a commit may have without a set of its own.
const MANY: usize = 100;

/// It waits for commits that wrote what it lost, and not for others: those take another sync.
#[test]
fn a_loser_waits_for_the_winner_alone() -> Result<()> {
    let still = Still::new(OpenOptions::default())?;
    let keys: Vec<_> = (0..MANY).map(|number| format!("large {number}")).collect();
    let large: Vec<_> = keys.iter().map(|key| (key.as_str(), "value")).collect();
    let handles = [still.submit(&large)?, still.submit(&[("hot", "1")])?, still.submit(&[("other", "value")])?];
    let versions = handles.each_ref().map(|handle| handle.version());
    let winner = |key: &str| {
        let lost = Error::Conflict { key: key.as_bytes().to_vec() };
        still.core.winner(&mut still.core.sequencer.lock(), &lost)
    };
    assert_eq!(winner("large 7"), Some(versions[0]));
    assert_eq!(winner("hot"), Some(versions[1]));
    assert_eq!(winner("cold"), None, "nobody writes it");
    let lost = Error::RangeConflict { range: "any".to_owned() };
    assert_eq!(
        still.core.winner(&mut still.core.sequencer.lock(), &lost),
        Some(versions[2]),
        "any may have written there"
    );
    let again = still.submit(&[("large 7", "newer"), ("hot", "2")])?.version();
    assert_eq!((winner("large 7"), winner("hot")), (Some(again), Some(again)));
    still.settle()?;
    assert_eq!(winner("hot"), None, "it is visible");
    Ok(())
}
