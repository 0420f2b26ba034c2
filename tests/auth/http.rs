//! Keys over HTTP, from a tiny server that says what it is told.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use serde_json::json;
use stageflow::auth::{HttpFetch, Jwks, JwksFetch as _, JwtAuthenticator, KeyErrorKind};
use stageflow::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::support::{Desk, claims, clock, org, rsa, rules};

/// Says what it was told to, for each path; anything else is 404.
struct Server {
    address: String,
    pages: Arc<Mutex<HashMap<String, String>>>,
    task: AbortHandle,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let pages: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let known = Arc::clone(&pages);
        let task = Handle::current().spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut read = Vec::new();
                while !read.windows(4).any(|end| end == b"\r\n\r\n") {
                    if socket.read_buf(&mut read).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                let text = String::from_utf8_lossy(&read).into_owned();
                let path = text.split(' ').nth(1).unwrap_or_default();
                let page = known.lock().unwrap().get(path).cloned();
                let answer = page.unwrap_or_else(|| {
                    "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned()
                });
                // Who does not listen to the end is part of the tests.
                let _ = socket.write_all(answer.as_bytes()).await;
                let _ = socket.shutdown().await;
            }
        });
        Self {
            address,
            pages,
            task: task.abort_handle(),
        }
    }

    fn answers(&self, path: &str, raw: String) {
        self.pages.lock().unwrap().insert(path.to_owned(), raw);
    }

    fn says(&self, path: &str, body: &str) {
        let length = body.len();
        self.answers(
            path,
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"),
        );
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Where keys are found by discovery, if the document says this.
    fn discovery(&self, issuer: &str, keys: &str) {
        let document = json!({ "issuer": issuer, "jwks_uri": keys }).to_string();
        self.says("/.well-known/openid-configuration", &document);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn keys_at_an_address_and_by_discovery() {
    let server = Server::start().await;
    server.says("/keys", &rsa().jwks());
    server.discovery(&server.address, &server.url("/keys"));
    for keys in [
        Jwks::at(&server.url("/keys")),
        Jwks::discover(&server.address),
    ] {
        let tokens = JwtAuthenticator::new(keys.unwrap(), rules()).with_clock(clock(0));
        let token = rsa().token(&claims(org(1)));
        let options = RunOptions::new().credentials(Credentials::bearer(token));
        Desk::knowing(tokens, 0)
            .run(options)
            .await
            .assert_in(org(1));
    }
}

#[tokio::test]
async fn a_document_of_another_issuer_is_not_believed() {
    let server = Server::start().await;
    server.says("/keys", &rsa().jwks());
    server.discovery("https://id.example.org", &server.url("/keys"));
    assert_eq!(
        failure(HttpFetch::discover(&server.address).unwrap()).await,
        KeyErrorKind::ForeignIssuer
    );
    // To the letter.
    server.discovery(&format!("{}/", server.address), &server.url("/keys"));
    assert_eq!(
        failure(HttpFetch::discover(&server.address).unwrap()).await,
        KeyErrorKind::ForeignIssuer
    );
    server.says("/.well-known/openid-configuration", "<html>");
    assert_eq!(
        failure(HttpFetch::discover(&server.address).unwrap()).await,
        KeyErrorKind::Unreadable
    );
}

#[tokio::test]
async fn a_document_cannot_lead_away_from_tls() {
    let server = Server::start().await;
    server.discovery(&server.address, "http://keys.example.org/keys");
    assert_eq!(
        failure(HttpFetch::discover(&server.address).unwrap()).await,
        KeyErrorKind::Insecure
    );
    server.discovery(&server.address, "file:///etc/passwd");
    assert_eq!(
        failure(HttpFetch::discover_insecure(&server.address).unwrap()).await,
        KeyErrorKind::Insecure
    );
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = Server::start().await;
    server.says("/keys", &rsa().jwks());
    server.answers(
        "/moved",
        "HTTP/1.1 302 Found\r\nlocation: /keys\r\ncontent-length: 0\r\n\r\n".to_owned(),
    );
    assert_eq!(
        failure(HttpFetch::at(&server.url("/moved")).unwrap()).await,
        KeyErrorKind::Unreachable
    );
    assert_eq!(
        failure(HttpFetch::at(&server.url("/gone")).unwrap()).await,
        KeyErrorKind::Unreachable
    );
}

#[tokio::test]
async fn no_more_is_read_than_was_said() {
    let server = Server::start().await;
    let keys = rsa().jwks();
    server.says("/keys", &keys);
    // Without a length, until the end of the connection.
    server.answers(
        "/endless",
        format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 20)),
    );
    let exactly = NonZeroUsize::new(keys.len()).unwrap();
    let less = NonZeroUsize::new(keys.len() - 1).unwrap();
    let at = |path: &str| HttpFetch::at(&server.url(path)).unwrap();
    assert_eq!(at("/keys").max_bytes(exactly).fetch().await.unwrap(), keys);
    assert_eq!(
        failure(at("/keys").max_bytes(less)).await,
        KeyErrorKind::TooMuch
    );
    assert_eq!(failure(at("/endless")).await, KeyErrorKind::TooMuch);
    server.answers(
        "/bytes",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\u{e9}".to_owned(),
    );
    assert_eq!(failure(at("/bytes")).await, KeyErrorKind::Unreadable);
}

#[tokio::test]
async fn nobody_there_is_an_error_of_its_own() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    assert_eq!(
        failure(HttpFetch::at(&format!("http://{free}/keys")).unwrap()).await,
        KeyErrorKind::Unreachable
    );
}

#[test]
fn only_tls_unless_it_is_this_machine_or_said_otherwise() {
    for safe in [
        "https://id.example.org",
        "http://127.0.0.1:1",
        "http://[::1]:1",
        "http://localhost",
    ] {
        assert!(
            HttpFetch::at(safe).is_ok() && HttpFetch::discover(safe).is_ok(),
            "{safe}"
        );
    }
    for unsafe_url in [
        "http://id.example.org",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "ftp://localhost",
    ] {
        let kinds = [HttpFetch::at(unsafe_url), HttpFetch::discover(unsafe_url)]
            .map(|it| it.unwrap_err().kind());
        assert_eq!(kinds, [KeyErrorKind::Insecure; 2], "{unsafe_url}");
    }
    assert!(HttpFetch::at_insecure("http://id.example.org/keys").is_ok());
    assert!(HttpFetch::discover_insecure("http://id.example.org").is_ok());
    assert_eq!(
        HttpFetch::at("keys").unwrap_err().kind(),
        KeyErrorKind::Unreadable
    );
    let secret = HttpFetch::at("https://ada:hunter2@id.example.org/keys?code=hunter2").unwrap();
    assert!(!format!("{secret:?}").contains("hunter2"));
}

async fn failure(fetch: HttpFetch) -> KeyErrorKind {
    let error = fetch.fetch().await.unwrap_err();
    assert!(error.to_string().starts_with("SF0612: "), "{error}");
    error.kind()
}
