//! A headless Chromium, driven through its DevTools protocol over two pipes.

use serde_json::{Value, json};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a page may take to show something.
const PATIENCE: Duration = Duration::from_secs(60);

/// One page in a browser.
pub(crate) struct Browser {
    process: Child,
    commands: File,
    answers: RefCell<BufReader<File>>,
    session: String,
    last: RefCell<u64>,
    /// What the page has asked for, and what went wrong in it.
    events: RefCell<Vec<Value>>,
    _dir: TempDir,
}

impl Browser {
    /// `None`, and a loud word, where there is no Chromium.
    pub(crate) fn start() -> Option<Self> {
        let installed = |name: &&str| {
            Command::new(name)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|it| it.success())
        };
        let Some(program) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(installed) else {
            eprintln!(
                "SKIPPED: Chromium is not installed, so that no page is looked at; scripts/setup tests installs it"
            );
            return None;
        };
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [commands, answers] = ["commands", "answers"].map(|name| dir.path().join(name));
        let made = Command::new("mkfifo").arg(&commands).arg(&answers).status().expect("every system has it");
        assert!(made.success());
        // It speaks over its descriptors 3 and 4, which a shell can give it.
        let script = "exec \"$1\" --headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
                      --user-data-dir=\"$4/profile\" --remote-debugging-pipe about:blank 3<\"$2\" 4>\"$3\"";
        let process = Command::new("sh")
            .args(["-c", script, "sh", program])
            .args([&commands, &answers])
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let commands = OpenOptions::new().write(true).open(commands).expect("the shell reads it");
        let answers = BufReader::new(File::open(answers).expect("the shell writes it"));
        let mut browser = Browser {
            process,
            commands,
            answers: RefCell::new(answers),
            session: String::new(),
            last: RefCell::new(0),
            events: RefCell::default(),
            _dir: dir,
        };
        let page = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached = browser.call("Target.attachToTarget", &json!({ "targetId": page["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    pub(crate) fn call(&self, method: &str, parameters: &Value) -> Value {
        *self.last.borrow_mut() += 1;
        let id = *self.last.borrow();
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        let mut text = message.to_string().into_bytes();
        text.push(0);
        (&self.commands).write_all(&text).expect("the browser listens");
        loop {
            let mut bytes = Vec::new();
            self.answers.borrow_mut().read_until(0, &mut bytes).expect("the browser speaks");
            assert_eq!(bytes.pop(), Some(0), "the browser has ended");
            let answer: Value = serde_json::from_slice(&bytes).expect("it speaks JSON");
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.borrow_mut().push(answer);
        }
    }

    pub(crate) fn open(&self, url: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&self, expression: &str) -> Value {
        let answer = self.call("Runtime.evaluate", &json!({ "expression": expression, "returnByValue": true }));
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({selector:?})?.textContent ?? ''"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true.
    pub(crate) fn wait_for(&self, expression: &str) {
        let begun = Instant::now();
        while self.evaluate(expression) != Value::Bool(true) {
            let shown = || self.evaluate("document.body?.innerText ?? ''");
            assert!(begun.elapsed() < PATIENCE, "never true: {expression}; the page shows {}", shown());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Events of one kind since the start.
    pub(crate) fn events(&self, method: &str) -> Vec<Value> {
        // What came before this answer has come.
        self.evaluate("1");
        let events = self.events.borrow();
        events.iter().filter(|event| event["method"] == method).map(|event| event["params"].clone()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
