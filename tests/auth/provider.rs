//! A real identity provider at the other end: its tokens, over HTTP.
//!
//! It is `oidc-provider`, from npm: it is put into `target/` when it is not there yet.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use stageflow::auth::{Authenticate, Jwks, JwtAuthenticator, JwtRules, Principal};
use stageflow::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Desk, org};

const VERSION: &str = "9.13.3";
const AUDIENCE: &str = "https://docs.example.org";

/// A provider on a free port, which is killed when it is dropped.
struct Provider {
    process: Child,
    port: u16,
}

impl Provider {
    fn start(org: &str) -> Self {
        Self::start_at(free_port(), org, "first")
    }

    /// The same at another time, with a new key of this name.
    fn start_again(self, org: &str, kid: &str) -> Self {
        let port = self.port;
        drop(self);
        Self::start_at(port, org, kid)
    }

    fn start_at(port: u16, org: &str, kid: &str) -> Self {
        let folder = installed().unwrap_or_else(|why| panic!("{why}"));
        let process = Command::new("node")
            .current_dir(&folder)
            .args(["provider.mjs", &port.to_string(), org, kid])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut provider = Self {
            process: process.unwrap(),
            port,
        };
        let said = provider.process.stdout.take().unwrap();
        let ready = BufReader::new(said)
            .lines()
            .map_while(Result::ok)
            .any(|line| line == "ready");
        assert!(ready, "the provider ended before it listened");
        provider
    }

    fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A token for this audience, as a program gets one.
    async fn token(&self, audience: &str) -> String {
        let body = format!("grant_type=client_credentials&scope=kb:read&resource={audience}");
        // Basic, of `importer` and the secret, each encoded as a form is.
        let request = format!(
            "POST /token HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: Basic aW1wb3J0ZXI6YStzZWNyZXQrb2YrdGhlK3Rlc3Q=\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        );
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = socket.read_to_string(&mut answer);
        timeout(Duration::from_secs(30), read)
            .await
            .unwrap()
            .unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value =
            serde_json::from_str(body).unwrap_or_else(|_| panic!("no token in {answer}"));
        body["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("no token in {answer}"))
            .to_owned()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // One that is gone is what was asked for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The folder with the provider, put in place first if it is not there.
fn installed() -> Result<PathBuf, String> {
    // One test at a time: there is one folder.
    static ONE: Mutex<()> = Mutex::new(());
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("oidc-provider-{VERSION}"));
    let failed = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
    fs::create_dir_all(&folder).map_err(|error| failed("no folder for the provider", &error))?;
    fs::write(folder.join("provider.mjs"), include_str!("provider.js"))
        .map_err(|error| failed("no program for the provider", &error))?;
    let done = folder.join("installed");
    if done.exists() {
        return Ok(folder);
    }
    let advice = "this test needs Node.js 20 and npm, and npm's registry once: `apt-get install nodejs npm`; behind a proxy set \
                  `npm_config_registry`";
    let package = format!("oidc-provider@{VERSION}");
    let output = Command::new("npm")
        .current_dir(&folder)
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--silent",
            "--prefix",
            ".",
            &package,
        ])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(advice, &error))?;
    if !output.status.success() {
        return Err(failed(advice, &String::from_utf8_lossy(&output.stderr)));
    }
    fs::write(done, VERSION)
        .map_err(|error| failed("the provider cannot be marked as there", &error))?;
    Ok(folder)
}

#[tokio::test]
async fn tokens_of_a_real_provider_come_in_for_their_audience_and_org() {
    let own = org(0xacce);
    let provider = Provider::start(&own.to_string());
    let (issuer, token) = (provider.issuer(), provider.token(AUDIENCE).await);
    let keys = || Jwks::discover(&provider.issuer()).unwrap();
    let door = JwtAuthenticator::new(keys(), JwtRules::new(issuer.clone(), AUDIENCE));

    let who = Authenticate::with(JwtAuthenticator::new(
        keys(),
        JwtRules::new(issuer.clone(), AUDIENCE),
    ))
    .authenticate(&Credentials::bearer(token.clone()))
    .await
    .unwrap();
    assert_eq!((who.org(), who.issuer()), (own, Some(&*issuer)));
    assert_eq!(Principal::roles(&who).collect::<Vec<_>>(), ["importer"]);
    assert!(who.has_scope("kb:read"), "{who:?}");

    let desk = Desk::new(Authenticate::with(door));
    let run = |token: &str| RunOptions::new().credentials(Credentials::bearer(token));
    desk.run(run(&token)).await.assert_in(own);
    desk.run(run(&token).org(org(2)))
        .await
        .assert_refused(Outcome::Denied, "SF0610");
    let elsewhere = provider.token("https://billing.example.org").await;
    desk.run(run(&elsewhere))
        .await
        .assert_refused(Outcome::Denied, "SF0608");
    let changed = token.replacen('.', ".e30", 1);
    desk.run(run(&changed))
        .await
        .assert_refused(Outcome::Denied, "SF0604");
}

#[tokio::test]
async fn a_provider_changes_its_keys_while_the_service_runs() {
    const FLOOR: Duration = Duration::from_secs(1);
    let own = org(0xacce);
    let provider = Provider::start(&own.to_string());
    let issuer = provider.issuer();
    let keys = Jwks::discover(&issuer).unwrap().floor(FLOOR);
    let rules = JwtRules::new(issuer, AUDIENCE);
    let desk = Desk::new(Authenticate::with(JwtAuthenticator::new(keys, rules)));
    let shown = |token: &str| RunOptions::new().credentials(Credentials::bearer(token.to_owned()));

    let old = provider.token(AUDIENCE).await;
    desk.run(shown(&old)).await.assert_in(own);
    let began = tokio::time::Instant::now();
    let provider = provider.start_again(&own.to_string(), "second");
    let new = provider.token(AUDIENCE).await;
    // Whoever comes too early is refused, and may come again.
    tokio::time::sleep_until(began + FLOOR).await;
    desk.run(shown(&new)).await.assert_in(own);
    // The new set does not have it any more.
    desk.run(shown(&old))
        .await
        .assert_refused(Outcome::Denied, "SF0604");
    desk.run(shown(&new)).await.assert_in(own);
}
