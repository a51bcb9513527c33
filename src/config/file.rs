//! A configuration as a file: TOML or JSON, by extension.

use super::{Config, ConfigError, Preset};
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::Arc;

/// Reads the file, lays it over the preset that it names (the defaults if it names none) and refuses what it does not know.
pub(super) fn read(path: &Path) -> Result<Config, ConfigError> {
    let format = Format::of(path)?;
    let text = std::fs::read_to_string(path)
        .map_err(|cause| ConfigError::Read { path: path.to_owned(), cause: Arc::new(cause) })?;
    parse(&text, format).map_err(|what| ConfigError::Parse { path: path.to_owned(), what })
}

#[derive(Clone, Copy)]
enum Format {
    Toml,
    Json,
}

impl Format {
    fn of(path: &Path) -> Result<Self, ConfigError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Ok(Format::Toml),
            Some("json") => Ok(Format::Json),
            _ => Err(ConfigError::Format { path: path.to_owned() }),
        }
    }

    fn parse<T: DeserializeOwned>(self, text: &str) -> Result<T, String> {
        match self {
            Format::Toml => toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned()),
            Format::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
        }
    }
}

type Table = serde_json::Map<String, serde_json::Value>;

/// What the file says about itself: everything else is a setting.
#[derive(serde::Deserialize)]
struct File {
    preset: Option<Preset>,
    #[serde(flatten)]
    settings: Table,
}

fn parse(text: &str, format: Format) -> Result<Config, String> {
    let file: File = format.parse(text)?;
    let Some(preset) = file.preset else {
        // Straight from the text, so that an error names line and column; an absent preset leaves nothing to merge.
        return format.parse(text);
    };
    let mut merged = serde_json::to_value(Config::from(preset)).map_err(|error| error.to_string())?;
    overlay(&mut merged, serde_json::Value::Object(file.settings));
    serde_json::from_value(merged).map_err(|error| error.to_string())
}

/// Lays `above` over `below`, table by table.
fn overlay(below: &mut serde_json::Value, above: serde_json::Value) {
    match (below, above) {
        (serde_json::Value::Object(below), serde_json::Value::Object(above)) => {
            for (field, value) in above {
                overlay(below.entry(field).or_insert(serde_json::Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}
