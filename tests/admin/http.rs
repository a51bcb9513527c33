//! A client that may misbehave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than the server waits for anybody.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("it is a socket");
    stream
}

/// What came before the server ended the connection; `None`: nothing that is an answer.
pub(crate) fn read_answer(mut stream: impl Read) -> Option<Answer> {
    let mut bytes = Vec::new();
    // A connection that is reset may have said something before.
    stream.read_to_end(&mut bytes).ok();
    let text = String::from_utf8(bytes).expect("the server speaks UTF-8");
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// One request on a connection of its own, headers as they are given.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nContent-Length: {length}\r\n{headers}\r\n").ok()?;
    // A server that has heard enough may close before all is sent.
    stream.write_all(body).ok();
    read_answer(stream)
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, &[], b"").expect("it answers")
}
