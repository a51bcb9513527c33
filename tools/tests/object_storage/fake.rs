//! A place on this machine's loopback that answers every request alike, and remembers what was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

pub(crate) struct Fake {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Answers with this status, such as `403 Forbidden`, until the test's process ends.
    pub(crate) fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                heard.lock().expect("no panic in it").extend(lines.next());
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                let body = "<Error><Message>the fake says no</Message></Error>";
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                (&stream).write_all((head + body).as_bytes()).ok();
            }
        });
        Fake { port, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The first line of each request.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic in it").clone()
    }
}

/// What Google's client must be told to ask another address, without credentials.
pub(crate) fn google(url: &str) -> Vec<(String, String)> {
    let key = serde_json::json!({
        "gcs_base_url": url, "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": "",
    });
    vec![
        ("GOOGLE_SERVICE_ACCOUNT_KEY".to_owned(), key.to_string()),
        ("GOOGLE_ALLOW_HTTP".to_owned(), "true".to_owned()),
    ]
}

/// What Azure's client must be told to ask an emulator, whose account and key everybody knows.
pub(crate) fn azure(url: &str) -> Vec<(String, String)> {
    [("AZURE_STORAGE_USE_EMULATOR", "true"), ("AZURITE_BLOB_STORAGE_URL", url)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}
