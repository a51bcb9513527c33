//! An S3 server of the test's own: SeaweedFS, in memory's reach only of this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BUCKET: &str = "checkpoints";
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
pub(crate) struct S3 {
    server: Child,
    port: u16,
    _dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// It listens on ports that it cannot be told, too: one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl S3 {
    /// `None`, with a word on standard error, where the server cannot be installed or started.
    pub(crate) fn start() -> Option<S3> {
        let script = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests"))
            .join("../scripts/s3-server");
        let installed = Command::new(script).stderr(Stdio::inherit()).output();
        let program = match installed {
            Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            failed => {
                eprintln!(
                    "SKIPPED: NOTHING WAS TESTED AGAINST S3: scripts/s3-server could not install a server: {failed:?}"
                );
                return None;
            }
        };
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [master, volume, filer, port] = free_ports();
        let server = Command::new(program)
            .arg("server")
            .arg(format!("-dir={}", dir.path().display()))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-volume.max=20", "-master.volumeSizeLimitMB=64"])
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it was just installed");
        let s3 = S3 { server, port, _dir: dir, _alone: alone };
        let patience = Instant::now() + PATIENCE;
        while !s3.make_bucket() {
            if Instant::now() > patience {
                eprintln!("SKIPPED: NOTHING WAS TESTED AGAINST S3: the server does not answer");
                return None;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(s3)
    }

    fn make_bucket(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let request =
            format!("PUT /{BUCKET} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        let asked = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
        asked.is_ok() && answer.starts_with("HTTP/1.1 200")
    }

    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        environment(&self.endpoint())
    }
}

/// What the command must be told to take `endpoint` for S3.
pub(crate) fn environment(endpoint: &str) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "any"),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_REGION", "us-east-1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It takes its time to end in good order, and there is nothing to keep.
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// Ports that nobody listens on; so low that its second ones, 10 000 above, exist too.
fn free_ports() -> [u16; 4] {
    let start = 20_000 + (std::process::id() % 8_000) as u16;
    let is_free =
        |port: &u16| [*port, port + 10_000].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let mut free = (start..start + 1_000).filter(is_free);
    [(); 4].map(|()| free.next().expect("few of a thousand ports are in use"))
}
