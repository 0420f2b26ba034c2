//! A real collector at the other end, and a real program at this one.
//!
//! The collector is rotel, from the Python registry: it is put into a virtual environment in `target/` when it is not there
//! yet. Everything it gets, it writes down.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use stageflow_testkit::python::brought;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

const ROTEL: &str = "rotel==0.0.1a15";

/// A collector on free ports, which is killed when it is dropped.
struct Rotel {
    process: Child,
    port: u16,
    output: PathBuf,
}

impl Rotel {
    async fn start(name: &str) -> Self {
        static AGENT: OnceLock<PathBuf> = OnceLock::new();
        let agent = AGENT.get_or_init(|| {
            brought(folder(), ROTEL, "rotel/rotel-agent", Path::is_file)
                .unwrap_or_else(|why| panic!("{why}"))
        });
        let output = folder().join(format!("{name}.{}.log", std::process::id()));
        let (port, other) = (free_port(), free_port());
        let mut command = Command::new(agent);
        command.args([
            "start",
            "--exporter",
            "blackhole",
            "--debug-log-verbosity",
            "detailed",
        ]);
        for signal in ["traces", "metrics", "logs"] {
            command.args(["--debug-log", signal]);
        }
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{port}")]);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{other}")]);
        let file = || File::create(&output).unwrap();
        let process = command
            .stdin(Stdio::null())
            .stdout(file())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let rotel = Self {
            process,
            port,
            output,
        };
        let limit = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(
                Instant::now() < limit,
                "rotel does not listen: {}",
                rotel.said()
            );
            sleep(Duration::from_millis(20)).await;
        }
        rotel
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything it wrote down so far.
    fn said(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// What it wrote down, when this is in it.
    async fn says(&self, text: &str) -> String {
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            let said = self.said();
            if said.contains(text) {
                return said;
            }
            assert!(Instant::now() < limit, "no `{text}` in {said}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn kill(&mut self) {
        // One that is gone is what was asked for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(&self.output);
    }
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The example, built first: it is a program of another package.
fn docs_qa() -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "-p",
            "stageflow-examples",
            "--example",
            "docs_qa",
        ]);
        let status = cargo.current_dir(root).status().unwrap();
        assert!(status.success(), "the example does not build");
        folder().join("../debug/examples/docs_qa")
    });
    let mut command = Command::new(built);
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/docs_qa/fixtures");
    command.arg("--docs").arg(docs).stdin(Stdio::null());
    command
}

/// Nothing that another run could have left there.
fn transcript(name: &str) -> PathBuf {
    let path = folder().join(format!("{name}.{}.jsonl", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

/// The values of a field, in the order in which it wrote them down: `Name           : attempt 1`.
fn values<'a>(said: &'a str, field: &str) -> Vec<&'a str> {
    let of = |line: &'a str| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == field).then(|| value.trim())
    };
    said.lines().filter_map(of).collect()
}

#[tokio::test]
async fn everything_arrives_at_a_real_collector() {
    let rotel = Rotel::start("everything").await;
    let mut ask = docs_qa();
    ask.args([
        "--quiet",
        "--ask",
        "Who owns the audit queue?",
        "--otlp",
        &rotel.endpoint(),
    ]);
    ask.arg("--transcript").arg(transcript("everything"));
    let Output {
        status,
        stdout,
        stderr,
    } = ask.output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(
        status.success() && stdout.contains("handbook/queues.md:29"),
        "{stdout}{stderr}"
    );
    assert!(stderr.contains(" delivered, 0 lost"), "{stderr}");
    let said = rotel.says("gen_ai.client.token.usage").await;

    let names = values(&said, "Name");
    for name in [
        "invoke_workflow docs-qa",
        "stage compose",
        "chat extractive",
        "execute_tool search",
    ] {
        assert_eq!(
            names.iter().filter(|found| **found == name).count(),
            1,
            "{name}: {names:?}"
        );
    }
    let spans = names
        .iter()
        .position(|name| *name == "invoke_workflow docs-qa")
        .map(|_| values(&said, "ID"));
    let (ids, parents) = (spans.unwrap(), values(&said, "Parent ID"));
    assert_eq!(
        ids.len(),
        1 + 8 + 8 + 2,
        "a run, its stages, an attempt of each, two operations"
    );
    let roots: Vec<_> = parents
        .iter()
        .filter(|parent| !ids.contains(parent))
        .collect();
    assert_eq!(
        roots.len(),
        1,
        "everything but the run lies below something: {parents:?}"
    );
    let mut traces = values(&said, "Trace ID");
    traces.dedup();
    assert_eq!(
        traces.len(),
        1,
        "spans and log records are one trace: {traces:?}"
    );

    let tokens = [
        "gen_ai.usage.input_tokens: Int(",
        "gen_ai.usage.output_tokens: Int(",
    ];
    assert!(tokens.iter().all(|tokens| said.contains(tokens)), "{said}");
    for metric in [
        "stageflow.run.count",
        "stageflow.stage.duration",
        "gen_ai.client.operation.duration",
    ] {
        assert!(said.contains(&format!("-> Name: {metric}")), "{metric}");
    }
    let logs = values(&said, "EventName");
    assert_eq!(
        (logs.first(), logs.last()),
        (Some(&"run.started"), Some(&"run.ended"))
    );
}

#[tokio::test]
async fn a_collector_that_is_killed_changes_no_answer_and_what_it_missed_is_counted() {
    let questions = folder().join(format!("questions.{}.txt", std::process::id()));
    let owners = ["audit", "returns"].map(|queue| format!("Who owns the {queue} queue?\n"));
    std::fs::write(&questions, owners.concat().repeat(30)).unwrap();
    let ask = |name: &str| {
        let mut ask = docs_qa();
        ask.args(["--quiet", "--width", "1", "--questions"])
            .arg(&questions);
        ask.arg("--transcript").arg(transcript(name));
        ask.stdout(Stdio::piped()).stderr(Stdio::piped());
        ask
    };
    let expected = ask("alone").output().unwrap();
    assert!(expected.status.success());

    let mut rotel = Rotel::start("killed").await;
    let program = ask("killed")
        .args(["--otlp", &rotel.endpoint()])
        .spawn()
        .unwrap();
    // Metrics go out when the spans and the log records of a batch have been answered.
    rotel.says("-> Name: stageflow.run.count").await;
    rotel.kill();
    let found = program.wait_with_output().unwrap();
    std::fs::remove_file(&questions).unwrap();
    assert_eq!(found.stdout, expected.stdout);
    assert_eq!(found.status.code(), expected.status.code());
    let told = String::from_utf8_lossy(&found.stderr);
    let line = told
        .lines()
        .find_map(|line| line.strip_prefix("telemetry: "))
        .unwrap();
    let numbers = line
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty());
    let numbers: Vec<u64> = numbers.map(|digits| digits.parse().unwrap()).collect();
    let [delivered, lost] = *numbers else {
        panic!("{line}")
    };
    assert!(delivered > 0 && lost > 0, "{line}");
    // Each question has as many events: two of the run, two of each stage, two of each operation, a note.
    assert_eq!(delivered + lost, 60 * (2 + 16 + 4 + 1), "{line}");
}
