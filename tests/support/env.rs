//! Numbers that the environment may give to extend or reproduce a test.

/// The number in the environment variable `name`, or `default`.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")),
        Err(_) => default,
    }
}
