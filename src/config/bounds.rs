//! Bounds of numbers, and how a refusal words them.

use super::ConfigError;
use std::ops::RangeInclusive;

/// Refuses `given` outside of `bound`; `unit` follows the numbers in the refusal.
pub(super) fn check(field: &str, unit: &str, bound: RangeInclusive<u64>, given: u64) -> Result<(), ConfigError> {
    if bound.contains(&given) {
        return Ok(());
    }
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    Err(ConfigError::OutOfRange {
        field: field.to_owned(),
        bound: format!("{} to {}{unit}", bound.start(), bound.end()),
        given: given.to_string(),
    })
}
