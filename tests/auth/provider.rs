//! A real identity provider at the other end: its tokens, over HTTP.
//!
//! It is `oidc-provider`, from npm: it is put into `target/` when it is not there yet.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use stageflow::auth::{Authenticate, Jwks, JwtAuthenticator, JwtRules, Principal};
use stageflow::prelude::*;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::support::{Desk, org};

const VERSION: &str = "9.13.3";
const AUDIENCE: &str = "https://docs.example.org";

/// Longer than any machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A provider on a port of its own, which is killed when it is dropped.
struct Provider {
    said: Lines<BufReader<ChildStdout>>,
    told: ChildStdin,
    complained: File,
    port: u16,
    _process: Child,
}

impl Provider {
    async fn start(org: &str) -> Self {
        let started = Self::start_with(&[org]).await;
        started.unwrap_or_else(|why| panic!("{why}"))
    }

    /// It chooses a port itself: one that was free a moment ago may be somebody else's by now.
    async fn start_with(args: &[&str]) -> Result<Self, String> {
        let complained = tempfile::tempfile().unwrap();
        let mut process = tokio::process::Command::new("node")
            .current_dir(installed()?)
            .arg("provider.mjs")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complained.try_clone().unwrap())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("no `node`: {error}"))?;
        let mut provider = Self {
            said: BufReader::new(process.stdout.take().unwrap()).lines(),
            told: process.stdin.take().unwrap(),
            complained,
            port: 0,
            _process: process,
        };
        let port = provider.says("ready").await?;
        provider.port = port.parse().unwrap();
        Ok(provider)
    }

    /// From now on it has this key, and no other one.
    async fn change_key(&mut self, kid: &str) {
        let line = format!("{kid}\n");
        self.told.write_all(line.as_bytes()).await.unwrap();
        let has = self.says("key").await;
        assert_eq!(has.as_deref(), Ok(kid));
    }

    /// What comes behind this word, in a line of its own.
    async fn says(&mut self, word: &str) -> Result<String, String> {
        let line = async {
            while let Ok(Some(line)) = self.said.next_line().await {
                if let Some((first, rest)) = line.split_once(' ')
                    && first == word
                {
                    return Some(rest.to_owned());
                }
            }
            None
        };
        match timeout(PATIENCE, line).await {
            Ok(Some(rest)) => Ok(rest),
            Ok(None) => Err(self.why(&format!("the provider ended before it said `{word}`"))),
            Err(_) => Err(self.why(&format!(
                "the provider did not say `{word}` in {PATIENCE:?}"
            ))),
        }
    }

    /// The same, with what it wrote about it.
    fn why(&mut self, what: &str) -> String {
        let mut wrote = String::new();
        self.complained.rewind().unwrap();
        self.complained.read_to_string(&mut wrote).unwrap();
        format!("{what}; it wrote: {wrote}")
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
        timeout(PATIENCE, read).await.unwrap().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value =
            serde_json::from_str(body).unwrap_or_else(|_| panic!("no token in {answer}"));
        body["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("no token in {answer}"))
            .to_owned()
    }
}

/// The folder with the provider, put in place first if it is not there. Programs that want it at the same time wait for each other.
fn installed() -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = place.join(format!("oidc-provider-{VERSION}"));
    let failed = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
    fs::create_dir_all(&folder).map_err(|error| failed("no folder for the provider", &error))?;
    let lock = File::create(place.join(format!("oidc-provider-{VERSION}.lock")));
    let lock = lock.map_err(|error| failed("no lock for the provider", &error))?;
    lock.lock()
        .map_err(|error| failed("no lock for the provider", &error))?;
    put(
        &folder.join("provider.mjs"),
        include_str!("provider.js").as_bytes(),
    )
    .map_err(|error| failed("no program for the provider", &error))?;
    let done = folder.join("installed");
    if !done.exists() {
        install(&folder)?;
        put(&done, VERSION.as_bytes())
            .map_err(|error| failed("the provider cannot be marked as there", &error))?;
    }
    Ok(folder)
}

fn install(folder: &Path) -> Result<(), String> {
    let advice = "this test needs Node.js 20 and npm, and npm's registry once: `apt-get install nodejs npm`; behind a proxy set \
                  `npm_config_registry`";
    let package = format!("oidc-provider@{VERSION}");
    let output = Command::new("npm")
        .current_dir(folder)
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
        .map_err(|error| format!("{advice}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{advice}: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// Puts these bytes there, so that whoever reads the file just now sees it whole: as it was, or as it is.
fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&beside, bytes)?;
    fs::rename(beside, path)
}

#[test]
fn whoever_reads_the_program_meanwhile_sees_all_of_it() {
    const LONG: usize = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("program");
    put(&file, &[0; LONG]).unwrap();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| (0..100_u8).for_each(|n| put(&file, &[n; LONG]).unwrap()));
        while !writing.is_finished() {
            let read = fs::read(&file).unwrap();
            let is_whole = read.len() == LONG && read.iter().all(|byte| *byte == read[0]);
            assert!(is_whole, "{} bytes", read.len());
        }
    });
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_provider_that_does_not_start_says_why() {
    let why = Provider::start_with(&[]).await.err().unwrap();
    assert!(why.contains("was not told which org"), "{why}");
}

#[tokio::test]
async fn tokens_of_a_real_provider_come_in_for_their_audience_and_org() {
    let own = org(0xacce);
    let provider = Provider::start(&own.to_string()).await;
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
    let mut provider = Provider::start(&own.to_string()).await;
    let issuer = provider.issuer();
    let keys = Jwks::discover(&issuer).unwrap().floor(FLOOR);
    let rules = JwtRules::new(issuer, AUDIENCE);
    let desk = Desk::new(Authenticate::with(JwtAuthenticator::new(keys, rules)));
    let shown = |token: &str| RunOptions::new().credentials(Credentials::bearer(token.to_owned()));

    let old = provider.token(AUDIENCE).await;
    desk.run(shown(&old)).await.assert_in(own);
    let began = tokio::time::Instant::now();
    provider.change_key("second").await;
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
