//! A Postgres of a test's own: brought along if there is none, started on a socket, gone afterwards.
//!
//! ```no_run
//! use stageflow_testkit::postgres::Cluster;
//!
//! # async fn test() {
//! let cluster = Cluster::start().await;
//! let url = cluster.url("postgres", "postgres"); // as its superuser
//! # }
//! ```

mod found;
mod user;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use user::User;

/// How long a server may take to start before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the server, and stops it and takes the folder away when nobody holds the other end of its input any more: when the
/// cluster is dropped, and when the program ends in any other way.
const KEEPER: &str = r#"
trap '' HUP INT
folder=$1; shift
"$@" </dev/null >>"$folder/log" 2>&1 &
server=$!
read -r keep
kill -QUIT "$server" 2>/dev/null
wait "$server" 2>/dev/null
if [ "$keep" != keep ]; then rm -rf "$folder"; fi
"#;

/// A server of Postgres with a data folder of its own, which listens on a socket and nowhere else. Whoever reaches the socket
/// is who they say they are: there are no passwords.
///
/// When it is dropped the server is stopped at once and its folder is taken away; also when the program is killed.
pub struct Cluster {
    bin: PathBuf,
    folder: PathBuf,
    user: Option<User>,
    disk: Disk,
    keeper: Option<Child>,
}

/// Whether what is written must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    Durable,
    Fast,
}

impl Cluster {
    /// A server that does not wait for the disk: right for tests that kill nothing. Takes about a second.
    ///
    /// # Panics
    ///
    /// If there is no Postgres and none can be brought, or if it does not start.
    pub async fn start() -> Self {
        Self::with(Disk::Fast).await
    }

    /// A server that has on its disk what it says it has.
    ///
    /// # Panics
    ///
    /// If there is no Postgres and none can be brought, or if it does not start.
    pub async fn durable() -> Self {
        Self::with(Disk::Durable).await
    }

    /// Whether one can be started without fetching anything: for programs that may not, and have to say what they leave out.
    ///
    /// # Errors
    ///
    /// What is missing, and how to come by it.
    pub fn at_hand() -> Result<(), String> {
        user::instead_of_root()?;
        match found::are_at_hand() {
            true => Ok(()),
            false => Err(
                "no Postgres is installed, and none was brought by a test before: \
                 `apt-get install postgresql`, or run the tests once"
                    .to_owned(),
            ),
        }
    }

    async fn with(disk: Disk) -> Self {
        let bin = found::programs().unwrap_or_else(|why| panic!("{why}"));
        let user = user::instead_of_root().unwrap_or_else(|why| panic!("{why}"));
        let mut cluster = Self {
            bin,
            folder: folder(user.as_ref()),
            user,
            disk,
            keeper: None,
        };
        cluster.initialise();
        cluster.go().await;
        cluster
    }

    /// Where a user finds a database of it.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        let folder = self.folder.display();
        format!("postgres://{user}@localhost/{database}?host={folder}")
    }

    /// What the server wrote down so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Kills every process of the server, without a warning to any, and waits until none is left.
    ///
    /// # Panics
    ///
    /// If they do not go.
    pub async fn kill(&mut self) {
        let server = must("the server runs", self.server().ok_or("it does not"));
        // One that stands still starts no more processes.
        signal("STOP", &[server]);
        let mut all = children(server);
        all.push(server);
        signal("KILL", &all);
        let limit = Instant::now() + PATIENCE;
        while all.iter().any(|process| is_alive(*process)) {
            assert!(Instant::now() < limit, "{all:?} are still there");
            sleep(Duration::from_millis(2)).await;
        }
        self.end("keep\n");
    }

    /// Starts it again after [`kill`](Self::kill), on what is on its disk.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.end("keep\n");
        self.go().await;
    }

    fn initialise(&self) {
        let data = self.folder.join("data");
        let mut command = self.command(self.bin.join("initdb"));
        command.args(["--username=postgres", "--auth=trust", "--no-sync"]);
        command
            .args(["--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(data);
        let made = must("initdb starts", command.stdin(Stdio::null()).output());
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb: {said}");
    }

    async fn go(&mut self) {
        let before = self.log().len();
        let mut command = self.command(Path::new("sh"));
        command.args(["-c", KEEPER, "keeper"]).arg(&self.folder);
        command
            .arg(self.bin.join("postgres"))
            .arg("-D")
            .arg(self.folder.join("data"));
        command.arg("-k").arg(&self.folder);
        command.args(["-c", "listen_addresses=", "-c", "max_connections=100"]);
        if self.disk == Disk::Fast {
            for setting in [
                "fsync=off",
                "full_page_writes=off",
                "synchronous_commit=off",
            ] {
                command.args(["-c", setting]);
            }
        }
        // Looking through thousands of files after each kill takes seconds.
        if self.disk == Disk::Durable && cfg!(target_os = "linux") {
            command.args(["-c", "recovery_init_sync_method=syncfs"]);
        }
        let keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.keeper = Some(must("a shell starts", keeper.spawn()));
        let limit = Instant::now() + PATIENCE;
        while !self.is_ready(before) {
            assert!(
                Instant::now() < limit,
                "Postgres does not start:\n{}",
                self.log()
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether it said so: its socket is there before it is ready.
    fn is_ready(&self, before: usize) -> bool {
        let log = self.log();
        log.get(before..)
            .is_some_and(|new| new.contains("is ready to accept connections"))
    }

    /// A command that is run by the server's user.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env("LC_ALL", "C");
        if let Some(user) = &self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// The process that all others of the server come from.
    fn server(&self) -> Option<u32> {
        let file = fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    /// Lets the keeper do its last work, and waits for it.
    fn end(&mut self, word: &str) {
        use std::io::Write as _;
        if let Some(mut keeper) = self.keeper.take() {
            if let Some(mut input) = keeper.stdin.take() {
                // A keeper that is gone needs no word.
                let _ = input.write_all(word.as_bytes());
            }
            let _ = keeper.wait();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            use std::io::Write as _;
            let log = self.log();
            let lines: Vec<&str> = log.lines().rev().take(30).collect();
            let lines: Vec<&str> = lines.into_iter().rev().collect();
            let _ = writeln!(
                std::io::stderr(),
                "the last lines of Postgres:\n{}",
                lines.join("\n")
            );
        }
        self.end("\n");
        // The keeper did it, unless it was killed.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("bin", &self.bin)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// A new folder with a short name, since the name of a socket has 107 bytes at most, that only the server's user looks into.
fn folder(user: Option<&User>) -> PathBuf {
    let temp = std::env::temp_dir();
    let parent = if temp.as_os_str().len() > 60 {
        PathBuf::from("/tmp")
    } else {
        temp
    };
    let folder = tempfile::Builder::new().prefix("sfpg").tempdir_in(parent);
    let folder = must("a temporary folder is made", folder).keep();
    if let Some(user) = user {
        let given = chown(&folder, Some(user.uid), Some(user.gid));
        must("root gives a folder away", given);
    }
    let own = fs::Permissions::from_mode(0o700);
    must(
        "the rights of a folder are set",
        fs::set_permissions(&folder, own),
    );
    folder
}

#[track_caller]
fn must<T, E: fmt::Display>(what: &str, done: Result<T, E>) -> T {
    done.unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn signal(name: &str, processes: &[u32]) {
    let mut command = Command::new("sh");
    command.args(["-c", "kill -\"$@\"", "kill", name]);
    command.args(processes.iter().map(u32::to_string));
    // A process that is gone needs no signal.
    let _ = command.stderr(Stdio::null()).status();
}

/// The processes that this one started, from what `/proc` says: `PID (NAME) STATE PARENT ...`.
fn children(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| stat(*id).is_some_and(|(_, from)| from == parent))
        .collect()
}

fn is_alive(process: u32) -> bool {
    stat(process).is_some_and(|(state, _)| state != "Z")
}

fn stat(process: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let state = words.next()?.to_owned();
    Some((state, words.next()?.parse().ok()?))
}
