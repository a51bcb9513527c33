//! Between the command and a server: it lets a number of pieces of what the command sends pass, and then no more.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;

pub(crate) struct Relay {
    port: u16,
    stopped: Arc<AtomicBool>,
}

impl Relay {
    /// Lets `pieces` pass to the server at `port` of this machine.
    pub(crate) fn start(port: u16, pieces: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let relay = Relay { port: listener.local_addr().expect("it listens").port(), stopped: Arc::default() };
        let (left, stopped) = (Arc::new(AtomicI64::new(pieces)), Arc::clone(&relay.stopped));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
                let (from_server, to_client) = (server.try_clone(), client.try_clone());
                let (left, stopped) = (Arc::clone(&left), Arc::clone(&stopped));
                thread::spawn(move || pass(client, server, &|| left.fetch_sub(1, Ordering::SeqCst) > 0, &stopped));
                let never = AtomicBool::new(false);
                thread::spawn(move || {
                    if let (Ok(from), Ok(to)) = (from_server, to_client) {
                        pass(from, to, &|| true, &never);
                    }
                });
            }
        });
        relay
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether a piece was held back.
    pub(crate) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, may_pass: &dyn Fn() -> bool, stopped: &AtomicBool) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut piece) {
        if read == 0 {
            break;
        }
        if !may_pass() {
            // What has come is kept, and the connections stay open: nobody learns of it before the command is killed.
            stopped.store(true, Ordering::SeqCst);
            continue;
        }
        if to.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Write).ok();
}
