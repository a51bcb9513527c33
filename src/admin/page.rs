//! The page for an operator.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY};
use axum::response::{IntoResponse, Response};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::sync::LazyLock;

/// One document: its style and its script stand in it.
static PAGE: LazyLock<String> = LazyLock::new(|| {
    let script = concat!(include_str!("page/units.js"), include_str!("page/charts.js"), include_str!("page/live.js"));
    include_str!("page/page.html").replace("{{style}}", include_str!("page/style.css")).replace("{{script}}", script)
});

/// Stands in the page where its own style and script are marked as such.
const NONCE: &str = "{{nonce}}";

/// The page. Its policy lets it load nothing, talk to this server alone, and run nothing but its own script.
pub(super) async fn page() -> Response {
    let Ok(nonce) = nonce() else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the system gives no random numbers\n").into_response();
    };
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers: [(HeaderName, String); 3] = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, PAGE.replace(NONCE, &nonce)).into_response()
}

/// Another one for each answer: who cannot read it cannot have a script run.
fn nonce() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").map_err(io::Error::other)?;
    }
    Ok(text)
}
