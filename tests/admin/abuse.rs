//! Clients that mean no good: too much, too many, too slow.

use crate::http::{ask, connect, get, read_answer};
use crate::{Node, TOKEN, commit};
use std::io::Write;
use std::time::{Duration, Instant};

fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}")
}

#[test]
fn a_huge_body_is_refused_and_not_read() {
    let node = Node::start();
    let body = vec![b' '; 64 << 20];
    // The server may close before it has read everything: then there is no answer, and no harm.
    if let Some(answer) = ask(node.address(), "POST", "/flush", &[&bearer()], &body) {
        assert_eq!(answer.status, 413, "{answer:?}");
    }
    let mut endless = connect(node.address());
    write!(
        endless,
        "POST /flush HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\r\nTransfer-Encoding: chunked\r\n\r\n",
        bearer()
    )
    .expect("it listens");
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    // A gigabyte, unless somebody stops us.
    let stopped = (0..16_384).any(|_| endless.write_all(&chunk).is_err());
    assert!(stopped, "the server has read a gigabyte");
    assert_eq!(node.db.stats().flush.flushes, 0);
    assert_eq!(get(node.address(), "/healthz").status, 200);
}

#[test]
fn a_huge_head_is_refused() {
    let node = Node::start();
    let mut client = connect(node.address());
    write!(client, "GET /status HTTP/1.1\r\n").expect("it listens");
    let line = format!("X-Filler: {}\r\n", "x".repeat(8000));
    let stopped = (0..10_000).any(|_| client.write_all(line.as_bytes()).is_err());
    assert!(stopped, "the server has read 80 MB of headers");
    assert_eq!(get(node.address(), "/healthz").status, 200);
}

/// Clients that send a byte now and then hold no connection for longer than the server's patience, and meanwhile nobody else waits for them.
#[test]
fn slow_clients_are_given_up_and_hold_nobody_up() {
    let node = Node::start();
    let slow: Vec<_> = (0..100).map(|_| connect(node.address())).collect();
    let asked = Instant::now();
    assert_eq!(get(node.address(), "/status").status, 200);
    assert!(asked.elapsed() < Duration::from_secs(30), "others wait for slow clients");
    std::thread::scope(|scope| {
        for (number, mut client) in slow.into_iter().enumerate() {
            scope.spawn(move || {
                let text: &[u8] = match number % 3 {
                    0 => b"",
                    1 => b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: ",
                    _ => b"POST /flush HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n",
                };
                client.write_all(text).ok();
                // A server without patience would listen for hours.
                let ended = (0..240).any(|_| {
                    std::thread::sleep(Duration::from_millis(250));
                    number % 3 != 0 && client.write_all(b"x").is_err()
                        || number % 3 == 0 && client.peek(&mut [0]).is_ok_and(|read| read == 0)
                        || client.take_error().is_ok_and(|error| error.is_some())
                });
                let answered = read_answer(&mut client).map(|answer| answer.status);
                assert!(ended || answered.is_some_and(|status| status >= 400), "{number}: still listened to");
            });
        }
    });
    assert_eq!(get(node.address(), "/healthz").status, 200);
}

/// A client that asks for much and reads nothing.
#[test]
fn who_does_not_read_is_given_up() {
    let node = Node::start();
    let mut client = connect(node.address());
    client.set_write_timeout(Some(Duration::from_millis(500))).expect("it is a socket");
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
    // The server stops reading when nobody takes its answers, and ends the connection when its patience is over.
    let begun = Instant::now();
    let mut given_up = false;
    while !given_up && begun.elapsed() < Duration::from_secs(120) {
        given_up = client.write_all(&request).is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock);
    }
    assert!(given_up, "the server waits for ever");
    assert_eq!(get(node.address(), "/healthz").status, 200);
}

/// More clients at once than it serves: each gets an answer, if only that it is too much.
#[test]
fn many_clients_at_once_all_get_an_answer() {
    let node = Node::start();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..300)
            .map(|number| {
                let path = ["/metrics", "/status", "/", "/history"][number % 4];
                let address = node.address();
                scope.spawn(move || ask(address, "GET", path, &[], b"").map(|answer| answer.status))
            })
            .collect();
        asking.into_iter().map(|one| one.join().expect("no panic").expect("an answer")).collect()
    });
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 200).count() >= 64, "{statuses:?}");
}

#[test]
fn what_is_not_http_is_not_answered_with_harm() {
    let node = Node::start();
    for noise in [
        &b"\0\x01\x02\xff\xfe"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
    ] {
        let mut client = connect(node.address());
        client.write_all(noise).expect("it listens");
        client.shutdown(std::net::Shutdown::Write).expect("it is open");
        assert!(read_answer(client).is_none_or(|answer| answer.status >= 400), "{noise:?}");
    }
    for path in ["/../Cargo.toml", "/status/..", "//", "/%2e%2e/x", "/operations/../status"] {
        let answer = get(node.address(), path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("/operations"), "{path}: {answer:?}");
    }
    assert_eq!(get(node.address(), "/history?since=-1").status, 400);
}

/// The server ends although clients hold connections, and the store closes although the server runs.
#[test]
fn an_end_is_not_held_up() {
    let node = Node::start();
    let _silent = connect(node.address());
    let mut half = connect(node.address());
    half.write_all(b"GET /status HTTP/1.1\r\n").expect("it listens");
    let asking = std::thread::spawn({
        let address = node.address();
        move || (0..200).filter_map(|_| std::net::TcpStream::connect(address).ok()).count()
    });
    let begun = Instant::now();
    let Node { server, db, dir } = node;
    server.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(30), "clients hold the server up");
    asking.join().expect("no panic");
    commit(&db, 6);
    db.close().expect("a sound store");
    drop(dir);
}

/// Connections on which nothing happens, as many as there may be: whoever comes next gets a place before they are given up.
#[test]
fn idle_clients_keep_nobody_out() {
    let node = Node::start();
    let idle: Vec<_> = (0..128)
        .map(|_| {
            let mut client = connect(node.address());
            client.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it listens");
            client
        })
        .collect();
    // Longer than this client waits for an answer, each of them would be kept.
    assert_eq!(get(node.address(), "/healthz").status, 200);
    assert_eq!(get(node.address(), "/status").status, 200);
    drop(idle);
}

/// Clients that say nothing, or stop half-way, as many as there are places: who comes next takes the place of the first of them, and of no other.
#[test]
fn silent_clients_keep_nobody_out() {
    for said in ["", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Half: "] {
        let node = Node::start();
        let mut silent: Vec<_> = (0..128)
            .map(|_| {
                let mut client = connect(node.address());
                client.write_all(said.as_bytes()).expect("it listens");
                client
            })
            .collect();
        for path in ["/healthz", "/status", "/metrics"] {
            assert_eq!(get(node.address(), path).status, 200);
        }
        // If their patience had ended, the last one's would have, too.
        let mut last = silent.pop().expect("there are 128");
        let rest = if said.is_empty() { "GET /healthz HTTP/1.1\r\nHost: localhost\r\n" } else { "way\r\n" };
        write!(last, "{rest}Connection: close\r\n\r\n").expect("it is open");
        assert_eq!(read_answer(last).map(|answer| answer.status), Some(200), "{said:?}");
        // A thousand more: each takes the place of one before it.
        let crowd: Vec<_> = (0..1000).map(|_| connect(node.address())).collect();
        assert_eq!(get(node.address(), "/healthz").status, 200);
        drop((silent, crowd));
    }
}

/// Several requests in one piece are answered in their order, on one connection.
#[test]
fn requests_that_come_all_at_once_are_answered_in_order() {
    let node = Node::start();
    let mut client = connect(node.address());
    let text: String = ["/healthz", "/readyz", "/nowhere", "/healthz"]
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .concat();
    client.write_all(text.as_bytes()).expect("it listens");
    // A flush is not among them without a token, be it smuggled into a body.
    let inner = "POST /flush HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = inner.len();
    let last = format!(
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{inner}"
    );
    client.write_all(last.as_bytes()).expect("it listens");
    let mut said = String::new();
    std::io::Read::read_to_string(&mut client, &mut said).expect("it answers and closes");
    let statuses: Vec<_> = said.match_indices("HTTP/1.1 ").map(|(at, found)| &said[at + found.len()..][..3]).collect();
    assert_eq!(statuses, ["200", "200", "404", "200", "200"], "{said}");
    assert_eq!(node.db.stats().flush.flushes, 0);
}

#[test]
fn methods_that_are_not_meant_do_nothing() {
    let node = Node::start();
    let status = |method: &str, path: &str, headers: &[&str]| {
        ask(node.address(), method, path, headers, b"").expect("it answers").status
    };
    let ours = bearer();
    for path in ["/", "/status", "/metrics", "/healthz"] {
        assert_eq!(status("HEAD", path, &[]), 200, "{path}");
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FROBNICATE"] {
            assert_eq!(status(method, path, &[&ours]), 405, "{method} {path}");
        }
    }
    for path in ["/flush", "/prune", "/checkpoint", "/checkpoint/delete"] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FROBNICATE"] {
            assert_eq!(status(method, path, &[&ours]), 405, "{method} {path}");
            assert_eq!(status(method, path, &[]), 405, "{method} {path}");
        }
    }
    assert_eq!(get(node.address(), "/operations").json()["operations"], serde_json::json!([]));
}

/// However a foreign name is given, it is found.
#[test]
fn a_foreign_name_is_found_wherever_it_stands() {
    let node = Node::start();
    let ask = |text: &str| {
        let mut client = connect(node.address());
        client.write_all(text.as_bytes()).expect("it listens");
        read_answer(client).map(|answer| answer.status)
    };
    let close = "Connection: close\r\n\r\n";
    for foreign in [
        "GET /status HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
        "GET /status HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n",
        "GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\n",
        "GET http://localhost@evil.example/status HTTP/1.1\r\nHost: localhost\r\n",
        "GET /status HTTP/1.1\r\nHost: localhost@evil.example\r\n",
        "GET /status HTTP/1.1\r\nHost: localhost, evil.example\r\n",
        "GET /status HTTP/1.1\r\nHost: 127.0.0.1.evil.example:9464\r\n",
        "GET /status HTTP/1.1\r\nHost:\r\n",
    ] {
        let status = ask(&format!("{foreign}{close}"));
        assert!(matches!(status, Some(400 | 403)), "{foreign}: {status:?}");
    }
    let ours = format!("GET http://127.0.0.1:9464/healthz HTTP/1.1\r\nHost: 127.0.0.1:9464\r\n{close}");
    assert_eq!(ask(&ours), Some(200));
}
