//! A node that `shingle serve` runs, and the files that it is given.

use crate::support::Place;
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

impl Place {
    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) {
        std::fs::write(self.path(name), text).expect("it can be written");
        std::fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("it is ours");
    }

    /// A file with a good token.
    pub(crate) fn token(&self, name: &str) {
        self.write(name, "0123456789abcdef0123456789abcdef\n", 0o600);
    }
}

/// A node that `shingle serve` runs. It is killed when it is dropped.
pub(crate) struct Serving {
    process: Child,
    url: String,
}

impl Serving {
    /// Serves `data` in the place, on a free port.
    pub(crate) fn start(place: &Place, args: &[&str]) -> Self {
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0", "--json"]);
        let mut process = command.args(args).stdout(Stdio::piped()).spawn().expect("the command can be started");
        let mut line = String::new();
        let said = process.stdout.take().expect("it is a pipe");
        BufReader::new(said).read_line(&mut line).expect("it says where it serves");
        let document: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let url = document["url"].as_str().expect("an address").to_owned();
        Serving { process, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks it to end, as a service manager does, and waits until it has.
    pub(crate) fn end(mut self) {
        let asked = Command::new("kill").arg(self.process.id().to_string()).status().expect("there is a shell's kill");
        assert!(asked.success());
        let status = self.process.wait().expect("it is waited for once");
        assert!(status.success(), "it did not end in good order: {status}");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Both fail if it has ended.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
