//! Refusals: the right kind, and a sentence that helps.

use shingle::{Error, ErrorKind};

/// The error of `result`, which must be of `kind` and say each of `words`.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Error>, kind: ErrorKind, words: &[&str]) -> Error {
    let Err(error) = result else { panic!("it was not refused; expected {kind:?} with {words:?}") };
    let said = error.to_string();
    assert_eq!(error.kind(), kind, "{said}");
    for word in words {
        assert!(said.contains(word), "the message does not say \"{word}\": {said}");
    }
    assert!(said.len() > 15 && !said.contains("Err(") && !said.contains("Some("), "no sentence for a person: {said}");
    error
}
