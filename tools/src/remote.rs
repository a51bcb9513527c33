//! Asking a running node, over HTTP.

use crate::args::{DirNodeArgs, NodeArgs, TokenArgs};
use crate::failure::Usage;
use crate::{progress, units};
use anyhow::{Context, anyhow, bail};
use indicatif::ProgressBar;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shingle::admin::{Operation, OperationState};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

/// The node answers within ten seconds, or says that it could not.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often an operation is asked how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// A larger answer is none of a node's.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// A node's admin server.
#[derive(Debug)]
pub(crate) struct Node {
    url: String,
    /// Host and port.
    address: String,
}

/// What becomes of an action whose like is under way already, with other settings.
#[derive(Clone, Copy)]
pub(crate) enum Others<'a> {
    /// They are waited for.
    First,
    /// They are told this, then waited for, and what comes of them is what was asked for.
    Joined(&'a dyn Fn() -> anyhow::Result<()>),
    /// They may take hours, and what was planned would not fit afterwards.
    Refused,
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl NodeArgs {
    /// The node, if one is to be asked.
    pub(crate) fn node(&self) -> anyhow::Result<Option<Node>> {
        self.url.as_deref().map(Node::new).transpose()
    }
}

impl DirNodeArgs {
    /// The node, if one is to be asked.
    pub(crate) fn node(&self) -> anyhow::Result<Option<Node>> {
        self.url.as_deref().map(Node::new).transpose()
    }
}

impl TokenArgs {
    fn read(&self) -> anyhow::Result<Option<String>> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read the token in {}", path.display()))
        };
        Ok(self.token_file.as_deref().map(read).transpose()?.map(|text| text.trim().to_owned()))
    }
}

impl Node {
    fn new(url: &str) -> anyhow::Result<Self> {
        let refuse = || {
            Usage(format!(
                "{url} is not the address of an admin server: http://HOST:PORT is, such as http://127.0.0.1:9464"
            ))
        };
        let address = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')).ok_or_else(refuse)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if address.is_empty() || !address.chars().all(plain) {
            return Err(refuse().into());
        }
        let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port { address.to_owned() } else { format!("{address}:80") };
        Ok(Node { url: url.to_owned(), address })
    }

    /// Reads a document.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.ask("GET", path, None, "")?;
        if answer.status != 200 {
            return Err(self.refused(&answer));
        }
        self.parse(&answer)
    }

    /// Reads a document that depends on settings, and needs the token.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        settings: &impl Serialize,
        token: &TokenArgs,
    ) -> anyhow::Result<T> {
        let answer = self.ask("POST", path, token.read()?.as_deref(), &serde_json::to_string(settings)?)?;
        if answer.status != 200 {
            return Err(self.refused(&answer));
        }
        self.parse(&answer)
    }

    /// Has an action done, and waits until it is; what came out.
    pub(crate) fn act<T: DeserializeOwned>(
        &self,
        action: &'static str,
        settings: &impl Serialize,
        token: &TokenArgs,
    ) -> anyhow::Result<T> {
        let bar = progress::bar(action, 0);
        let done = self.act_showing(action, settings, token, Others::First, &|operation| show(&bar, operation));
        bar.finish_and_clear();
        done
    }

    /// The same, told several times a second how far it is.
    pub(crate) fn act_showing<T: DeserializeOwned>(
        &self,
        action: &'static str,
        settings: &impl Serialize,
        token: &TokenArgs,
        others: Others<'_>,
        show: &dyn Fn(&Operation),
    ) -> anyhow::Result<T> {
        let (settings, token) = (serde_json::to_value(settings)?, token.read()?);
        loop {
            let answer = self.ask("POST", &format!("/{action}"), token.as_deref(), &settings.to_string())?;
            let operation: Operation = match answer.status {
                202 | 409 => self.parse(&answer)?,
                _ => return Err(self.refused(&answer)),
            };
            let runs_already = answer.status == 409;
            // What the very same request brings is the answer. One with other settings is not.
            let mut is_ours = !runs_already || operation.settings == settings;
            if runs_already {
                let since = units::duration(Duration::from_millis(operation.elapsed_ms));
                match others {
                    Others::Refused if !is_ours => {
                        bail!("the node is at another {action} already, since {since}: {}", operation.settings)
                    }
                    Others::Joined(tell) => {
                        tell()?;
                        is_ours = true;
                    }
                    Others::First | Others::Refused => {}
                }
                eprintln!("shingle: the node is at another {action} already, since {since}; waiting for it");
            }
            let ended = self.wait_for(action, operation, show)?;
            match ended {
                OperationState::Done { result } if is_ours => {
                    return serde_json::from_value(result).with_context(|| self.not_understood());
                }
                OperationState::Failed { error } if is_ours => bail!("{error}"),
                OperationState::Done { .. } | OperationState::Failed { .. } | OperationState::Running => {}
            }
        }
    }

    /// Waits until an operation has ended; how.
    fn wait_for(
        &self,
        action: &'static str,
        mut operation: Operation,
        show: &dyn Fn(&Operation),
    ) -> anyhow::Result<OperationState> {
        while operation.state == OperationState::Running {
            show(&operation);
            std::thread::sleep(LOOK);
            let looked = self.get(&format!("/operations/{}", operation.id));
            // A node that ends gives up what it is at, and cannot say so any more.
            operation = looked.with_context(|| {
                format!("the node was at the {action} and does not answer any more: whether it was done is not known")
            })?;
        }
        Ok(operation.state)
    }

    fn parse<T: DeserializeOwned>(&self, answer: &Answer) -> anyhow::Result<T> {
        serde_json::from_slice(&answer.body).with_context(|| self.not_understood())
    }

    fn not_understood(&self) -> String {
        format!("{} answers something else than a Shingle node of this version", self.url)
    }

    fn refused(&self, answer: &Answer) -> anyhow::Error {
        let said = String::from_utf8_lossy(&answer.body);
        let hint = if answer.status == 401 { "; --token-file names the token" } else { "" };
        anyhow!("{} refuses ({}): {}{hint}", self.url, answer.status, said.trim())
    }

    /// HTTP/1.0: one answer, as long as the connection lasts.
    fn ask(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> anyhow::Result<Answer> {
        let cannot = || format!("cannot reach {}", self.url);
        let addresses = self.address.to_socket_addrs().with_context(cannot)?;
        let mut last = None;
        let stream = addresses.into_iter().find_map(|address| {
            TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| last = Some(error)).ok()
        });
        let mut stream = match (stream, last) {
            (Some(stream), _) => stream,
            (None, Some(error)) => return Err(error).with_context(cannot),
            (None, None) => bail!("{}: the name has no address", cannot()),
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let (host, length) = (&self.address, body.len());
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{authorization}Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).with_context(cannot)?;
        let mut bytes = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).with_context(cannot)?;
        if bytes.is_empty() {
            bail!("{} closed the connection without an answer: it may be ending", self.url);
        }
        parse_answer(&bytes).ok_or_else(|| anyhow!(self.not_understood()))
    }
}

fn show(bar: &ProgressBar, operation: &Operation) {
    bar.set_length(operation.progress.total);
    bar.set_position(operation.progress.done);
}

fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some(Answer { status, body: bytes[end + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::{Node, Others, parse_answer};
    use crate::args::TokenArgs;
    use serde_json::{Value, json};
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn only_what_can_be_asked_is_an_address() {
        for (url, address) in
            [("http://127.0.0.1:9464", "127.0.0.1:9464"), ("http://node/", "node:80"), ("http://[::1]:7", "[::1]:7")]
        {
            assert_eq!(Node::new(url).expect("it is one").address, address);
        }
        for refused in
            ["", "127.0.0.1:9464", "https://node", "http://", "http://node/path", "http://no de", "http://a\r\nb"]
        {
            assert!(Node::new(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_answer_is_a_status_and_what_follows_the_head() {
        let answer = parse_answer(b"HTTP/1.0 202 Accepted\r\na: b\r\n\r\n{}").expect("it is one");
        assert_eq!((answer.status, answer.body.as_slice()), (202, &b"{}"[..]));
        for broken in [&b""[..], b"HTTP/1.0 200 OK\r\n", b"SSH-2.0\r\n\r\n", b"HTTP/1.0 2\r\n\r\n"] {
            assert!(parse_answer(broken).is_none());
        }
    }

    /// Somebody else's pruning is under way, with other settings: its result is not ours.
    #[test]
    fn an_operation_with_other_settings_is_waited_for_and_its_result_is_not_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let operation = |id: u64, settings: Value, state: Value| {
            let mut operation = json!({ "id": id, "action": "prune", "settings": settings, "progress": { "done": 0, "total": 0 }, "elapsed_ms": 1 });
            let fields = operation.as_object_mut().expect("it is one");
            fields.extend(state.as_object().cloned().expect("it is one"));
            operation.to_string()
        };
        let done = |result: &str| json!({ "state": "done", "result": result });
        let (ours, other) = (json!({ "keep_blocks": 7 }), json!({ "keep_blocks": 8 }));
        let script = [
            ("POST /prune", 409, operation(1, other.clone(), json!({ "state": "running" }))),
            ("GET /operations/1", 200, operation(1, other, done("theirs"))),
            ("POST /prune", 202, operation(2, ours.clone(), json!({ "state": "running" }))),
            ("GET /operations/2", 200, operation(2, ours.clone(), done("ours"))),
            ("POST /prune", 409, operation(3, ours.clone(), done("the same"))),
            ("POST /prune", 409, operation(4, json!({ "keep_blocks": 9 }), json!({ "state": "running" }))),
            ("POST /prune", 409, operation(5, json!({ "keep_blocks": 9 }), json!({ "state": "running" }))),
            ("POST /told", 202, operation(6, json!({}), done("told"))),
            ("GET /operations/5", 200, operation(5, json!({ "keep_blocks": 9 }), done("of both"))),
        ];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (asked, status, body) in script {
                    let (mut stream, _) = listener.accept().expect("somebody asks");
                    let mut request = [0; 4096];
                    let read = stream.read(&mut request).expect("it is sent in one piece");
                    assert!(request[..read].starts_with(asked.as_bytes()), "{asked}");
                    let length = body.len();
                    write!(stream, "HTTP/1.0 {status} X\r\nContent-Length: {length}\r\n\r\n{body}")
                        .expect("it is heard");
                }
            });
            let node = Node::new(&url).expect("it is one");
            let token = TokenArgs { token_file: None };
            for result in ["ours", "the same"] {
                let answer: String = node.act("prune", &ours, &token).expect("a good answer");
                assert_eq!(answer, result);
            }
            let refused = node.act_showing::<String>("prune", &ours, &token, Others::Refused, &|_| {});
            let said = refused.expect_err("another one is under way").to_string();
            assert!(said.contains("another prune already") && said.contains("\"keep_blocks\":9"), "{said}");
            let tell = || node.act("told", &json!({}), &token).map(|_: Value| ());
            let joined = node.act_showing::<String>("prune", &ours, &token, Others::Joined(&tell), &|_| {});
            assert_eq!(joined.expect("a good answer"), "of both");
        });
    }
}
