//! The parent's ear.

use crate::line::Line;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Reads the child's words as they come, so that it never waits for its parent.
pub(crate) fn listen(child: &mut Child) -> Receiver<Line> {
    let (told, lines) = channel();
    let output = child.stdout.take().expect("it is piped");
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            match Line::parse(&line) {
                Some(line) => {
                    if told.send(line).is_err() {
                        return;
                    }
                }
                None => assert!(!line.contains("@ ") || !line.ends_with(" ."), "not understood: {line}"),
            }
        }
    });
    lines
}

/// Whether the child's words ended within `moment`.
pub(crate) fn hear_for(lines: &Receiver<Line>, heard: &mut Vec<Line>, moment: Duration) -> bool {
    let until = Instant::now() + moment;
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => heard.push(line),
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
}
