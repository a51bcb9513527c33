//! Keys and values as text: how they are written on the command line, and how they are shown.
//!
//! ```text
//! alice              the text itself, as UTF-8
//! 0x616c696365       hexadecimal
//! base64:YWxpY2U=    base64, standard alphabet, with or without padding
//! text:0xabc         the text after the colon: for text that begins like one of the others
//! ```
//! What is shown can be typed again: bytes that are not printable text are shown as `0x` hexadecimal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::fmt::Write;
use std::str::FromStr;

const HEX: &str = "0x";
const BASE64: &str = "base64:";
const TEXT: &str = "text:";

/// A key or a value, as an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// A value, as an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// `-`: the bytes that standard input gives.
    Stdin,
    /// The bytes themselves.
    Given(Vec<u8>),
}

impl FromStr for Value {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        if given == "-" { Ok(Value::Stdin) } else { given.parse().map(|Bytes(bytes)| Value::Given(bytes)) }
    }
}

/// How keys and values are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Encoding {
    // Comments, not documentation: clap would spread the whole help page to show it.
    // Text where it is printable, else hexadecimal.
    #[default]
    Auto,
    Hex,
    // With its prefix.
    Base64,
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        if let Some(hex) = given.strip_prefix(HEX) {
            decode_hex(hex)
        } else if let Some(base64) = given.strip_prefix(BASE64) {
            STANDARD_NO_PAD
                .decode(base64.trim_end_matches('='))
                .map_err(|error| format!("not base64 ({error}); to mean this text itself, write {TEXT}{given}"))
        } else {
            Ok(given.strip_prefix(TEXT).unwrap_or(given).as_bytes().to_vec())
        }
        .map(Bytes)
    }
}

fn decode_hex(hex: &str) -> Result<Vec<u8>, String> {
    let wrong = |what: &str| format!("not hexadecimal ({what}); to mean this text itself, write {TEXT}{HEX}{hex}");
    if !hex.len().is_multiple_of(2) {
        return Err(wrong("an odd number of digits"));
    }
    let digit = |c: u8| char::from(c).to_digit(16).ok_or_else(|| wrong("a character that is no digit"));
    hex.as_bytes().chunks_exact(2).map(|pair| Ok((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect()
}

impl Encoding {
    /// Shows `bytes`, so that [`Bytes`] reads them back.
    pub(crate) fn show(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Auto => match std::str::from_utf8(bytes) {
                Ok(text) if text.chars().all(|c| !c.is_control()) => {
                    let ambiguous = [HEX, BASE64, TEXT].iter().any(|prefix| text.starts_with(prefix));
                    if ambiguous { format!("{TEXT}{text}") } else { text.to_owned() }
                }
                _ => show_hex(bytes),
            },
            Encoding::Hex => show_hex(bytes),
            Encoding::Base64 => format!("{BASE64}{}", base64::engine::general_purpose::STANDARD.encode(bytes)),
        }
    }
}

fn show_hex(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(HEX.len() + 2 * bytes.len());
    shown.push_str(HEX);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(shown, "{byte:02x}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Encoding, Value};

    fn parse(given: &str) -> Result<Vec<u8>, String> {
        given.parse::<Bytes>().map(|bytes| bytes.0)
    }

    #[test]
    fn each_form_is_read() {
        assert_eq!(parse("alice"), Ok(b"alice".to_vec()));
        assert_eq!(parse("0x616C696365"), Ok(b"alice".to_vec()));
        assert_eq!(parse("base64:YWxpY2U="), Ok(b"alice".to_vec()));
        assert_eq!(parse("base64:YWxpY2U"), Ok(b"alice".to_vec()));
        assert_eq!(parse("text:0xzz"), Ok(b"0xzz".to_vec()));
        assert_eq!(parse("0x"), Ok(Vec::new()));
        assert_eq!(parse("ключ"), Ok("ключ".as_bytes().to_vec()));
    }

    #[test]
    fn a_dash_is_standard_input_unless_it_is_text() {
        assert_eq!("-".parse(), Ok(Value::Stdin));
        assert_eq!("text:-".parse(), Ok(Value::Given(b"-".to_vec())));
        assert_eq!("".parse(), Ok(Value::Given(Vec::new())));
    }

    #[test]
    fn what_is_malformed_is_refused_with_the_way_out() {
        for given in ["0xabc", "0xzz", "0xé1", "base64:?"] {
            let said = parse(given).expect_err("malformed");
            assert!(said.contains(&format!("text:{given}")), "{said}");
        }
    }

    #[test]
    fn what_is_shown_can_be_typed_again() {
        let samples: [&[u8]; 8] =
            [b"alice", b"", b"0xabc", b"text:", b"base64:", b"a\nb", &[0xff, 0x00], "ключ".as_bytes()];
        for bytes in samples {
            for encoding in [Encoding::Auto, Encoding::Hex, Encoding::Base64] {
                let shown = encoding.show(bytes);
                assert_eq!(parse(&shown), Ok(bytes.to_vec()), "{shown}");
            }
        }
    }
}
