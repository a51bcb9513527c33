//! The token that actions need.

use super::ServeError;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A shorter token can be guessed.
const BYTES_MIN: usize = 16;

/// A longer one is no token.
const BYTES_MAX: usize = 1024;

/// Bits that let somebody other than the owner read or write the file.
const OTHERS: u32 = 0o077;

/// A secret. It is never shown.
pub(super) struct Token(Vec<u8>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// Reads the token from a file that only its owner can read.
    pub(super) fn from_file(path: &Path) -> Result<Self, ServeError> {
        let unreadable = |cause| ServeError::TokenFile { path: path.to_owned(), cause };
        let unfit = |what: String| ServeError::Token { path: path.to_owned(), what };
        let unfit_kind = || unfit("it is not a file".to_owned());
        // Opening a pipe waits for who writes to it.
        if !path.metadata().map_err(unreadable)?.is_file() {
            return Err(unfit_kind());
        }
        let file = File::open(path).map_err(unreadable)?;
        // Of the open file: the path may name another one by now.
        let found = file.metadata().map_err(unreadable)?;
        if !found.is_file() {
            return Err(unfit_kind());
        }
        if found.mode() & OTHERS != 0 {
            return Err(unfit(format!(
                "others may read or write it (mode {:03o}); run chmod 600 on it",
                found.mode() & 0o777
            )));
        }
        let mut text = Vec::new();
        file.take(BYTES_MAX as u64 + 2).read_to_end(&mut text).map_err(unreadable)?;
        let token = text.trim_ascii().to_vec();
        if !(BYTES_MIN..=BYTES_MAX).contains(&token.len()) {
            return Err(unfit(format!("a token has from {BYTES_MIN} to {BYTES_MAX} characters")));
        }
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err(unfit("a token is one word of printable ASCII".to_owned()));
        }
        Ok(Token(token))
    }

    /// Whether it is `given`. Takes as long for a wrong token as for the right one, whichever of its characters are right.
    pub(super) fn is(&self, given: &[u8]) -> bool {
        let mut differs = usize::from(given.len() != self.0.len());
        for (at, byte) in given.iter().enumerate() {
            differs |= usize::from(byte ^ self.0[at % self.0.len()]);
        }
        std::hint::black_box(differs) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn read(text: &str, mode: u32) -> Result<Token, String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("token");
        std::fs::write(&path, text).expect("it can be written");
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
        Token::from_file(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_very_token_is_right() {
        let token = read("0123456789abcdef\n", 0o600).expect("a good token");
        assert!(token.is(b"0123456789abcdef"));
        for wrong in
            ["", "0", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0", "0123456789abcdef0123456789abcdef"]
        {
            assert!(!token.is(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn a_file_that_others_can_read_or_that_holds_no_token_is_refused() {
        for (text, mode, said) in [
            ("0123456789abcdef", 0o640, "chmod 600"),
            ("0123456789abcdef", 0o602, "chmod 600"),
            ("0123456789abcde\n\n\n", 0o600, "from 16 to 1024"),
            ("", 0o600, "from 16 to 1024"),
            ("0123456789 abcdef", 0o600, "one word"),
            ("0123456789abcdéf", 0o600, "one word"),
            (&"x".repeat(1025), 0o400, "from 16 to 1024"),
        ] {
            let error = read(text, mode).expect_err("it is refused");
            assert!(error.contains(said), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        let dir = Token::from_file(Path::new("/tmp")).expect_err("it is refused").to_string();
        assert!(dir.contains("/tmp"), "{dir}");
        let place = tempfile::tempdir().expect("a temporary directory");
        let pipe = place.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("there is a shell's mkfifo");
        assert!(made.success());
        let pipe = Token::from_file(&pipe).expect_err("nobody writes to it").to_string();
        assert!(pipe.contains("not a file"), "{pipe}");
    }
}
