//! What is in the log: whose every line is, and that no line can be split, forged or made to tell a secret.

#![cfg(test)]

#[expect(
    clippy::disallowed_methods,
    reason = "tasks and threads of the program's own are what this is about"
)]
mod correlation;
mod engine_lines;
mod forging;
mod reaching;

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use stageflow::context::{
    CorrelationId, InteractionId, OrgId, RequestId, RunId, SessionId, SystemIds, UserId,
};
use stageflow::events::LogLines;
use stageflow::prelude::*;
use tracing_subscriber::prelude::*;

/// What was written, by all tests of this program.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Set up once for the whole program: threads that nobody here has started log, too.
static PAPER: LazyLock<Paper> = LazyLock::new(|| {
    let paper = Paper::default();
    let lines = LogLines::new(paper.clone());
    tracing_subscriber::registry().with(lines).init();
    paper
});

/// A run that has all ids.
pub(crate) fn somebody() -> RunIdentity {
    LazyLock::force(&PAPER);
    let ids = SystemIds::new();
    RunIdentity::new(RunId::generate(&ids))
        .with_request_id(RequestId::generate(&ids))
        .with_session_id(SessionId::generate(&ids))
        .with_user_id(UserId::generate(&ids))
        .with_org_id(OrgId::generate(&ids))
        .with_interaction_id(InteractionId::generate(&ids))
        .with_correlation_id(CorrelationId::generate(&ids))
}

/// Everything that was written.
pub(crate) fn paper() -> String {
    String::from_utf8(PAPER.0.lock().unwrap().clone()).unwrap()
}

/// The lines of everything with this cause.
pub(crate) fn lines_of(identity: &RunIdentity) -> Vec<Value> {
    let text = paper();
    let lines = text
        .split_terminator('\n')
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let correlation = identity.correlation_id().to_string();
    lines
        .filter(|line| line["correlation_id"] == *correlation)
        .collect()
}

/// The one line of this run that says this.
#[track_caller]
pub(crate) fn line_that_says(identity: &RunIdentity, message: &str) -> Value {
    let mut lines = lines_of(identity);
    lines.retain(|line| line["message"] == message);
    assert_eq!(lines.len(), 1, "lines that say {message:?}");
    lines.remove(0)
}
