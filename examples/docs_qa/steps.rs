//! The steps from a question to its answer, one after the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::answer::citations;
use crate::answer::compose::{Compose, Composition, Request};
use crate::question;
use crate::report::{Ending, Report, StageRow};
use crate::search::rerank::rerank;
use crate::search::{CANDIDATES, Index};
use crate::session::memory;
use crate::session::profile;
use crate::session::transcript::{self, Exchange, Line, Outcome, VERSION};

/// What the steps share.
pub(crate) struct Shared {
    pub(crate) index: Arc<Index>,
    pub(crate) compose: Box<dyn Compose>,
    pub(crate) transcript: PathBuf,
    pub(crate) session: String,
    pub(crate) profile: Option<PathBuf>,
}

/// A draft that fails the guard is written once more, with the guard's objection.
const DRAFTS: usize = 2;

pub(crate) fn answer(shared: &Shared, text: &str) -> Report {
    let mut stages = Stages::default();
    let ending = run(shared, text, &mut stages).unwrap_or_else(|ending| ending);
    Report {
        question: text.to_owned(),
        ending,
        stages: stages.rows,
    }
}

fn run(shared: &Shared, text: &str, stages: &mut Stages) -> Result<Ending, Ending> {
    let failed = |error: &dyn std::error::Error| Ending::Failed(chain(error));
    let index = &shared.index;
    let question = stages.time("guard_question", || {
        question::guard(text, &index.analyzer).map_err(Ending::Rejected)
    })?;
    let memory = stages.time("load_memory", || {
        memory::recall(&shared.transcript, &shared.session).map_err(|error| failed(&error))
    })?;
    let hits = stages.time("retrieve", || {
        Ok::<_, Ending>(index.retrieve(&question, CANDIDATES))
    })?;
    let profile = stages.time("load_profile", || {
        profile::load(shared.profile.as_deref()).map_err(|error| failed(&error))
    })?;
    let ranking = stages.time("rerank", || {
        Ok::<_, Ending>(rerank(index, &question, &hits, &memory, &profile))
    })?;
    let mut objection: Option<String> = None;
    let mut last = Ending::Failed("no draft was written".to_owned());
    for _ in 0..DRAFTS {
        let request = Request {
            question: &question,
            ranking: &ranking,
            memory: &memory,
            profile: &profile,
            objection: objection.as_deref(),
        };
        let composition = stages.time("compose", || {
            shared
                .compose
                .compose(&request)
                .map_err(|error| Ending::ModelFailed(chain(&error)))
        })?;
        last = match composition {
            Composition::Unanswerable(reason) => Ending::Unanswerable(reason),
            Composition::Draft(draft) => {
                match stages.time("guard_citations", || {
                    citations::verify(&draft, &index.corpus)
                }) {
                    Ok(()) => Ending::Answered(draft.sentences),
                    Err(error) => {
                        objection = Some(error.to_string());
                        last = Ending::Unsupported(error);
                        continue;
                    }
                }
            }
        };
        break;
    }
    if let Some(exchange) = exchange(&question.text, &shared.session, &last) {
        stages.time("append_transcript", || {
            transcript::append(&shared.transcript, &exchange).map_err(|error| failed(&error))
        })?;
    }
    Ok(last)
}

/// What is remembered of a run; what failed is not.
fn exchange(question: &str, session: &str, ending: &Ending) -> Option<Exchange> {
    let (outcome, sentences) = match ending {
        Ending::Answered(sentences) => (Outcome::Answered, sentences.as_slice()),
        Ending::Unanswerable(_) => (Outcome::Unanswerable, [].as_slice()),
        _ => return None,
    };
    let sentences = sentences.iter();
    let sentences = sentences.map(|cited| Line {
        text: cited.text.clone(),
        file: cited.file.clone(),
        line: cited.line,
    });
    Some(Exchange {
        version: VERSION,
        session: session.to_owned(),
        question: question.to_owned(),
        outcome,
        sentences: sentences.collect(),
    })
}

/// An error and everything under it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[derive(Default)]
struct Stages {
    rows: Vec<StageRow>,
}

impl Stages {
    fn time<T, E>(
        &mut self,
        stage: &'static str,
        step: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let start = Instant::now();
        let result = step();
        let took: Duration = start.elapsed();
        self.rows.push(StageRow {
            stage,
            status: if result.is_ok() {
                "succeeded"
            } else {
                "failed"
            },
            took,
        });
        result
    }
}
