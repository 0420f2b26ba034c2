//! The whole pipeline over the fixtures, with writers that behave and one that does not.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use stageflow::context::{FixedClock, Operation, Usage};
use stageflow::executor::{Engine, RunOptions};

use crate::answer::citations::{Cited, Draft};
use crate::answer::compose::{Compose, Composition, Extractive, Request};
use crate::answer::model::ModelError;
use crate::corpus::{Bounds, load};
use crate::pipeline::transcript::FileTranscript;
use crate::pipeline::{DocsQa, Shared};
use crate::report::{Ending, Report};
use crate::search::Index;
use crate::session::memory;

fn shared(compose: impl Compose + 'static, transcript: PathBuf) -> Arc<Shared> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs_qa/fixtures/handbook");
    Arc::new(Shared {
        index: Arc::new(Index::build(Arc::new(
            load(&root, Bounds::default()).unwrap(),
        ))),
        compose: Box::new(compose),
        transcript: Box::new(FileTranscript {
            path: transcript,
            session: "s".into(),
        }),
        profile: None,
        clock: Box::new(FixedClock::new(SystemTime::UNIX_EPOCH)),
    })
}

async fn ask(shared: &Arc<Shared>, text: &str) -> Report {
    let docs_qa = DocsQa::new(shared).unwrap();
    let run = Engine::new()
        .run(&docs_qa.pipeline, text.to_owned(), RunOptions::new())
        .await;
    Report::new(text, &run, docs_qa.checked)
}

fn status<'a>(report: &'a Report, stage: &str) -> &'a str {
    report
        .stages
        .iter()
        .find(|row| row.stage == stage)
        .unwrap()
        .status
}

#[tokio::test]
async fn an_answer_is_given_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    let shared = shared(Extractive, path.clone());
    let report = ask(&shared, "Why are audit parcels never dropped?").await;
    let Ending::Answered(sentences) = &report.ending else {
        panic!("{report:?}")
    };
    assert_eq!(
        (sentences[0].file.as_str(), sentences[0].line),
        ("queues.md", 21)
    );
    let none = ask(&shared, "Who won the chess tournament?").await;
    assert_eq!(none.ending.exit_code(), 3);
    let memory = memory::recall(&path, "s").unwrap();
    assert_eq!(memory.exchanges.len(), 2);
}

#[tokio::test]
async fn a_refused_question_starts_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    let shared = shared(Extractive, path.clone());
    let report = ask(&shared, "what is it?").await;
    assert!(matches!(report.ending, Ending::Rejected(_)), "{report:?}");
    assert_eq!(status(&report, "append-transcript"), "cancelled");
    assert!(!path.exists());
}

/// Writes these drafts one after the other, and notes the objections it gets.
struct Drafts(Mutex<Vec<(&'static str, u32)>>, Arc<Mutex<Vec<String>>>);

impl Compose for Drafts {
    fn operation(&self) -> Operation {
        Operation::chat("drafts")
    }

    fn compose(&self, request: &Request<'_>, _used: &mut Usage) -> Result<Composition, ModelError> {
        self.1
            .lock()
            .unwrap()
            .extend(request.objection.map(str::to_owned));
        let (text, line) = self.0.lock().unwrap().remove(0);
        let (file, text) = ("faq.md".to_owned(), text.to_owned());
        let cited = Cited {
            quote: text.clone(),
            text,
            file,
            line,
            ..Cited::default()
        };
        Ok(Composition::Draft(Draft {
            sentences: vec![cited],
        }))
    }
}

#[tokio::test]
async fn made_up_citations_are_objected_to_and_then_refused() {
    let folder = tempfile::tempdir().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let drafts = |drafts: &[(&'static str, u32)]| {
        let drafts = Drafts(Mutex::new(drafts.to_vec()), Arc::clone(&heard));
        shared(drafts, folder.path().join("t.jsonl"))
    };
    let question = "Where is the lost property office?";
    let (made_up, true_one) = (
        ("It is on the moon.", 9),
        ("In the basement of the north building", 9),
    );
    let mended = ask(&drafts(&[made_up, true_one]), question).await;
    assert_eq!(mended.ending.exit_code(), 0, "{mended:?}");
    let refused = ask(&drafts(&[made_up, made_up]), question).await;
    let Ending::Unsupported(error) = &refused.ending else {
        panic!("{refused:?}")
    };
    assert!(
        error
            .to_string()
            .contains("[faq.md:9] does not say \u{201c}It is on the moon.\u{201d}"),
        "{error}"
    );
    assert_eq!(status(&refused, "guard-citations"), "failed");
    assert_eq!(heard.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_answer_outlives_a_transcript_that_cannot_be_written() {
    let report = ask(
        &shared(Extractive, "/dev/null/t.jsonl".into()),
        "How do I reset my badge?",
    )
    .await;
    let Ending::Failed { message, answer } = &report.ending else {
        panic!("{report:?}")
    };
    assert!(
        message.contains("cannot append to the transcript") && !answer.is_empty(),
        "{message}"
    );
    assert_eq!(status(&report, "load-memory"), "failed");
    assert_eq!(status(&report, "rerank"), "succeeded");
}
