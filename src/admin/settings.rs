//! What an action can be told: the bodies of requests.

use crate::{Database, RebalanceRequest, ReshardRequest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shingle_router::{PruneOptions, Retention};
use std::path::Path;
use std::time::Duration;

/// The lowest rate that a move can be told, as the command has it.
const RATE_MIN: u64 = 1 << 10;

/// What `POST /prune` takes: the options of `shingle prune`. What is to stay is said by exactly one of the first four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneRequest {
    /// The newest so many blocks stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_blocks: Option<u64>,
    /// The state at any time of so many seconds before the newest block stays, by the blocks' timestamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_secs: Option<u64>,
    /// At most so many versions of any key stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_versions: Option<u64>,
    /// This block and those above it stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_height: Option<u64>,
    /// What would go is counted, and nothing is changed.
    #[serde(default)]
    pub dry_run: bool,
    /// Files of which much is removed are rewritten, so that their space comes back now.
    #[serde(default)]
    pub compact: bool,
}

impl PruneRequest {
    /// What is to stay.
    #[must_use]
    pub fn retention(&self) -> Retention {
        Retention {
            versions_per_key: self.keep_versions,
            blocks: self.keep_blocks,
            window: self.keep_secs.map(Duration::from_secs),
            below_height: self.below_height,
        }
    }

    /// How it is gone about.
    #[must_use]
    pub fn options(&self) -> PruneOptions {
        PruneOptions { dry_run: self.dry_run, compact: self.compact }
    }
}

/// What `POST /checkpoint`, `/checkpoint/verify` and `/checkpoint/delete` take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointRequest {
    /// The checkpoint's name.
    pub name: String,
}

/// What `POST /rebalance/resume` and `/rebalance/rate` take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Bytes that are copied in a second at the most, from now on; `None`: as before when it is resumed, and for
    /// `/rebalance/rate` as many as the disks take.
    #[serde(default)]
    pub rate_bytes_per_sec: Option<u64>,
}

/// What an action without settings takes: nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoSettings {}

/// Settings that can be wrong in themselves, whatever the store holds.
pub(super) trait Settings: Serialize + DeserializeOwned {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn read(body: &[u8]) -> Result<Self, String> {
        let text = if body.trim_ascii().is_empty() { b"{}" } else { body.trim_ascii() };
        // A list of values without names would be taken, too.
        if !text.starts_with(b"{") {
            return Err("they are a JSON object".to_owned());
        }
        let settings: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        settings.check()?;
        Ok(settings)
    }
}

impl Settings for NoSettings {}

impl Settings for PruneRequest {
    fn check(&self) -> Result<(), String> {
        let given = [self.keep_blocks, self.keep_secs, self.keep_versions, self.below_height];
        if given.iter().flatten().count() != 1 {
            return Err("what is to stay is said by one of keep_blocks, keep_secs, keep_versions, below_height".into());
        }
        if [self.keep_blocks, self.keep_versions].contains(&Some(0)) {
            return Err("a pruning keeps at least 1 block, or 1 version of a key".into());
        }
        if self.dry_run && self.compact {
            return Err("a dry run rewrites no files: dry_run or compact, not both".into());
        }
        Ok(())
    }
}

impl Settings for CheckpointRequest {
    /// A name stays within the store's directory of checkpoints.
    fn check(&self) -> Result<(), String> {
        Database::checkpoint_path(Path::new(""), &self.name).map(drop).map_err(|error| error.to_string())
    }
}

impl Settings for RebalanceRequest {
    /// What does not depend on the store. The rest the plan refuses.
    fn check(&self) -> Result<(), String> {
        check_rate(self.rate_bytes_per_sec)?;
        match self.shard_dirs.iter().find(|dir| !dir.is_absolute()) {
            Some(dir) => Err(format!("{dir:?} is relative, and nobody knows to what: shard_dirs begin with /")),
            None => Ok(()),
        }
    }
}

impl Settings for ReshardRequest {
    fn check(&self) -> Result<(), String> {
        check_rate(self.rate_bytes_per_sec)
    }
}

impl Settings for ResumeRequest {
    fn check(&self) -> Result<(), String> {
        check_rate(self.rate_bytes_per_sec)
    }
}

/// A slice is copied at once, however low the rate: with one that is absurd it would rest for hours.
fn check_rate(bytes_per_sec: Option<u64>) -> Result<(), String> {
    match bytes_per_sec {
        Some(rate) if rate < RATE_MIN => Err(format!("rate_bytes_per_sec is at least {RATE_MIN}; {rate} was given")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_taken_as_they_are_meant_or_not_at_all() {
        let keep = PruneRequest { keep_blocks: Some(7), ..PruneRequest::default() };
        assert_eq!(PruneRequest::read(b" {\"keep_blocks\": 7} "), Ok(keep));
        let dry = PruneRequest { dry_run: true, ..keep };
        assert_eq!(PruneRequest::read(&serde_json::to_vec(&dry).expect("plain data")), Ok(dry));
        let deep = "[".repeat(10_000);
        for refused in [
            "",
            "{}",
            "7",
            "null",
            "[]",
            "{",
            "{\"keep_blocks\": 7} x",
            "{\"keep_blocks\": 0}",
            "{\"keep_versions\": 0}",
            "{\"keep_blocks\": -1}",
            "{\"keep_blocks\": 1.5}",
            "{\"keep_blocks\": \"7\"}",
            "{\"keep_blocks\": 18446744073709551616}",
            "{\"keep_blocks\": 7, \"keep_blocks\": 8}",
            "{\"keep_blocks\": 7, \"keep_secs\": 8}",
            "{\"keep_blocks\": 7, \"shard\": 1}",
            "{\"keep_blocks\": 7, \"dry_run\": 1}",
            "{\"keep_blocks\": 7, \"dry_run\": true, \"compact\": true}",
            "\u{feff}{\"keep_blocks\": 7}",
            deep.as_str(),
        ] {
            assert!(PruneRequest::read(refused.as_bytes()).is_err(), "{refused:.40}");
        }
        assert!(PruneRequest::read(b"{\"keep_blocks\": 7, \"dry_run\": \xff}").is_err());
        assert_eq!(NoSettings::read(b""), Ok(NoSettings {}));
        assert!(NoSettings::read(b"{\"shard\": 1}").is_err());
    }

    #[test]
    fn moves_are_taken_as_they_are_meant_or_not_at_all() {
        let read = |text: &str| RebalanceRequest::read(text.as_bytes());
        assert_eq!(read(""), Ok(RebalanceRequest::default()));
        let grown = read(r#"{"to_shards": 16, "by": "heat", "weights": {"3": 0.5}, "shard_dirs": ["/mnt/c"]}"#);
        assert_eq!(
            grown.map(|grown| (grown.to_shards, grown.weights[&3], grown.shard_dirs.len())),
            Ok((Some(16), 0.5, 1))
        );
        for refused in [
            "[]",
            r#"{"to_shards": -1}"#,
            r#"{"to_shards": 1.5}"#,
            r#"{"by": "luck"}"#,
            r#"{"weights": {"a": 1}}"#,
            r#"{"weights": [1, 2]}"#,
            r#"{"threshold_percent": "2"}"#,
            r#"{"shard_dirs": ["mnt/c"]}"#,
            r#"{"shard_dirs": "/mnt/c"}"#,
            r#"{"shard_dirs": [""]}"#,
            r#"{"rate_bytes_per_sec": 0}"#,
            r#"{"to_shards": 16, "simulate": true}"#,
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
        let slots = ReshardRequest::read(br#"{"from": 0, "to": 3, "slots": [{"start": 7, "end": 9}]}"#);
        assert_eq!(slots.map(|asked| asked.slots), Ok(vec![7..=9]));
        for refused in ["{}", r#"{"from": 0, "to": 3}"#, r#"{"from": 0, "to": 3, "slots": [7]}"#] {
            assert!(ReshardRequest::read(refused.as_bytes()).is_err(), "{refused}");
        }
        assert!(ResumeRequest::read(b"").is_ok() && ResumeRequest::read(br#"{"rate_bytes_per_sec": 1}"#).is_err());
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        let read = |name: &str| CheckpointRequest::read(serde_json::json!({ "name": name }).to_string().as_bytes());
        assert!(read("before-upgrade").is_ok());
        for refused in ["", ".", "..", "../data", "/etc", "a/b", "a\\b", ".hidden", "-rf", "a\0b", "a\n", "%2e%2e", "ä"]
        {
            assert!(read(refused).is_err(), "{refused:?}");
        }
        assert!(CheckpointRequest::read(b"{}").is_err());
        assert!(CheckpointRequest::read(b"{\"name\": [\"a\"]}").is_err());
    }
}
