//! JSON documents that carry their own checksum, as their last member: that of every byte before it.

use xxhash_rust::xxh3::xxh3_64;

const CHECKSUM_MEMBER: &str = "  \"checksum\": \"";

fn checksum_member(body: &str) -> String {
    format!("{CHECKSUM_MEMBER}{:016x}\"\n}}\n", xxh3_64(body.as_bytes()))
}

/// Appends the checksum to `json`, an object printed over several lines.
pub(crate) fn seal(json: &str) -> String {
    let body = json.strip_suffix("\n}").unwrap_or(json);
    format!("{body},\n{}", checksum_member(body))
}

/// The object that [`seal`] was given; what is wrong, if it is not as it was sealed.
pub(crate) fn unseal(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
    let end = text.rfind(&format!(",\n{CHECKSUM_MEMBER}")).ok_or_else(|| "it has no checksum".to_owned())?;
    let body = &text[..end];
    if text[end + ",\n".len()..] != checksum_member(body) {
        return Err("it does not match its checksum".to_owned());
    }
    Ok(format!("{body}\n}}"))
}
