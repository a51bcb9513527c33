//! Reads what a node, or Prometheus, serves.

use std::io::{Read, Write};
use std::net::TcpStream;

/// The body of a good answer; `None`: nobody answers, or not well.
pub(crate) fn get(url: &str, path: &str) -> Option<String> {
    let address = url.strip_prefix("http://")?;
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.split(' ').nth(1).filter(|status| *status == "200")?;
    Some(body.to_owned())
}
