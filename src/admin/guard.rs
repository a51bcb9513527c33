//! Who may ask, how much, and for how long.

use super::listener::Seat;
use super::state::App;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION, HOST, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The largest body of a request: room for every other one of 4096 slots by its number.
pub(super) const BODY_BYTES_MAX: usize = 64 << 10;

/// A request that is not answered by then is given up. Work that takes longer goes on as an operation.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Refuses what is too much at once, and gives up what takes too long.
pub(super) async fn bound(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(seat)) = request.extensions().get::<ConnectInfo<Seat>>() {
        seat.keep();
    }
    let Ok(_place) = app.requests.try_acquire() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], "too many requests at a time\n")
            .into_response();
    };
    match tokio::time::timeout(TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "not answered in time\n").into_response(),
    }
}

/// Refuses requests that a foreign page made a browser send here under a name of its own.
pub(super) async fn local(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let named = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    let is_local = request.headers().get_all(HOST).iter().all(is_loopback)
        && named.is_none_or(|named| named.is_ok_and(|named| is_loopback(&named)));
    if app.loopback_only && !is_local {
        return (
            StatusCode::FORBIDDEN,
            "this server listens on the loopback interface: ask it as 127.0.0.1 or localhost\n",
        )
            .into_response();
    }
    next.run(request).await
}

fn is_loopback(host: &HeaderValue) -> bool {
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Lets only those with the token act.
pub(super) async fn authorized(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // Whoever asks otherwise is told so first: with the token it would be refused as well.
    if request.method() != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")], "actions are asked for with POST\n")
            .into_response();
    }
    let Some(token) = &app.token else {
        return (StatusCode::FORBIDDEN, "this server takes no actions: it was started without a token file\n")
            .into_response();
    };
    let refused = match bearer(request.headers()) {
        Some(given) if token.is(given) => None,
        Some(_) => Some("the token is not that of this server\n"),
        None => Some("actions need the header Authorization: Bearer TOKEN\n"),
    };
    if let Some(why) = refused {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], why).into_response();
    }
    if app.is_closing() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is closing\n").into_response();
    }
    next.run(request).await
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let only = given.next()?.as_bytes();
    let scheme = only.get(..7)?;
    (given.next().is_none() && scheme.eq_ignore_ascii_case(b"bearer ")).then(|| only[7..].trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_is_not_ours() {
        let is = |host: &str| is_loopback(&HeaderValue::from_str(host).expect("plain text"));
        for ours in ["localhost", "LOCALHOST:9464", "127.0.0.1:9464", "127.8.9.1", "[::1]:80", "[::1]"] {
            assert!(is(ours), "{ours}");
        }
        for foreign in ["evil.example", "localhost.evil.example:80", "10.0.0.1:9464", "", "[::2]:80", "127.0.0.1.evil"]
        {
            assert!(!is(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_token_is_given_once_and_as_a_bearer() {
        let given = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(given(&["bearer abc"]), Some(b"abc".to_vec()));
        for refused in [&[][..], &["abc"], &["Basic abc"], &["Bearer"], &["Bearer a", "Bearer b"]] {
            assert_eq!(given(refused), None, "{refused:?}");
        }
    }
}
