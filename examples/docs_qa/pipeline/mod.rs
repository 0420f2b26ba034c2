//! The pipeline: what each stage takes, gives and is for, and how they are wired.
//!
//! ```text
//!                       ┌▶ load-memory? ─┐
//!   question ▶ guard ───┼▶ retrieve ─────┼▶ rerank ▶ compose ▶ guard-citations ▶ append-transcript ▶ answer
//!                       └▶ load-profile ─┘
//! ```
//!
//! The stages hold what they need and call the functions of the other modules; nothing else here knows how they work.

pub(crate) mod transcript;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use stageflow::context::{Operation, Usage, WallClock};
use stageflow::graph::BuildError;
use stageflow::prelude::*;

use crate::answer::citations::{self, CitationError};
use crate::answer::compose::{Compose, Composition, Request};
use crate::question::{self, Question};
use crate::search::rerank::{Ranking, rerank};
use crate::search::{CANDIDATES, Hits, Index};
use crate::session::memory::Memory;
use crate::session::profile::{self, Profile};
use crate::session::transcript::{Exchange, Line, Outcome, VERSION};

use self::transcript::Transcript;

/// What the stages share, for all questions.
pub(crate) struct Shared {
    pub(crate) index: Arc<Index>,
    pub(crate) compose: Box<dyn Compose>,
    pub(crate) transcript: Box<dyn Transcript>,
    pub(crate) profile: Option<PathBuf>,
    pub(crate) clock: Box<dyn WallClock>,
}

/// The pipeline from a question to an answer.
#[derive(Debug)]
pub(crate) struct DocsQa {
    pub(crate) pipeline: Pipeline<String, Composition>,
    /// The answer before it was appended to the transcript: it is worth showing even if that failed.
    pub(crate) checked: Handle<Composition>,
}

impl DocsQa {
    /// Wires the stages.
    pub(crate) fn new(shared: &Arc<Shared>) -> Result<Self, BuildError> {
        let with = || Arc::clone(shared);
        let mut p = Pipeline::builder("docs-qa");
        let text = p.input::<String>();
        let question = p
            .stage("guard-question", GuardQuestion(with()))
            .kind(StageKind::Guard)
            .after(text);
        let memory = p
            .stage("load-memory", LoadMemory(with()))
            .kind(StageKind::Enrich)
            .blocking()
            .optional() // an answer without memory is better than none
            .after(question);
        let hits = p
            .stage("retrieve", Retrieve(with()))
            .kind(StageKind::Enrich)
            .spawn()
            .after(question);
        let profile = p
            .stage("load-profile", LoadProfile(with()))
            .kind(StageKind::Enrich)
            .blocking()
            .after(question);
        let ranking = p
            .stage("rerank", Rerank(with()))
            .spawn()
            .after((question, memory, hits, profile));
        let draft = p
            .stage("compose", Write(with()))
            .kind(StageKind::Agent)
            .blocking()
            .after((question, ranking, memory, profile));
        let checked = p
            .stage("guard-citations", GuardCitations(with()))
            .kind(StageKind::Guard)
            .blocking()
            .after(draft);
        let answer = p
            .stage("append-transcript", AppendTranscript(with()))
            .kind(StageKind::Work)
            .blocking()
            .after((question, checked));
        Ok(Self {
            pipeline: p.output(answer).build()?,
            checked,
        })
    }
}

struct GuardQuestion(Arc<Shared>);

impl Stage for GuardQuestion {
    type Input = Arc<String>;
    type Output = Question;

    async fn run(&self, _cx: StageCx, text: Arc<String>) -> Result<Question, Stop> {
        Ok(question::guard(&text, &self.0.index.analyzer)?)
    }
}

struct LoadMemory(Arc<Shared>);

impl Stage for LoadMemory {
    type Input = Arc<Question>;
    type Output = Memory;

    async fn run(&self, cx: StageCx, _question: Arc<Question>) -> Result<Memory, Stop> {
        self.0.transcript.recall(&cx).await
    }
}

struct Retrieve(Arc<Shared>);

impl Stage for Retrieve {
    type Input = Arc<Question>;
    type Output = Hits;

    async fn run(&self, cx: StageCx, question: Arc<Question>) -> Result<Hits, Stop> {
        let search = Operation::tool("search");
        let hits = cx.operation(search, async |_| {
            Ok::<_, Stop>(self.0.index.retrieve(&question, CANDIDATES))
        });
        let hits = hits.await?;
        cx.try_emit(
            "docs.retrieved",
            serde_json::json!({ "passages": hits.passages.len() }),
        )?;
        Ok(hits)
    }
}

struct LoadProfile(Arc<Shared>);

impl Stage for LoadProfile {
    type Input = Arc<Question>;
    type Output = Profile;

    async fn run(&self, _cx: StageCx, _question: Arc<Question>) -> Result<Profile, Stop> {
        Ok(profile::load(self.0.profile.as_deref())?)
    }
}

struct Rerank(Arc<Shared>);

impl Stage for Rerank {
    type Input = (Arc<Question>, Arc<Option<Memory>>, Arc<Hits>, Arc<Profile>);
    type Output = Ranking;

    async fn run(&self, _cx: StageCx, input: Self::Input) -> Result<Ranking, Stop> {
        let (question, memory, hits, profile) = input;
        let nothing = Memory::default();
        let memory = memory.as_ref().as_ref().unwrap_or(&nothing);
        Ok(rerank(&self.0.index, &question, &hits, memory, &profile))
    }
}

struct Write(Arc<Shared>);

/// A draft that would not pass the guard is written once more, with the guard's objection.
const DRAFTS: u32 = 2;

impl Stage for Write {
    type Input = (
        Arc<Question>,
        Arc<Ranking>,
        Arc<Option<Memory>>,
        Arc<Profile>,
    );
    type Output = Composition;

    async fn run(&self, cx: StageCx, input: Self::Input) -> Result<Composition, Stop> {
        let (question, ranking, memory, profile) = input;
        let nothing = Memory::default();
        let memory = memory.as_ref().as_ref().unwrap_or(&nothing);
        let mut objection: Option<String> = None;
        let mut drafted = 1;
        loop {
            cx.check()?;
            let objection_text = objection.as_deref();
            let request = Request {
                question: &question,
                ranking: &ranking,
                memory,
                profile: &profile,
                objection: objection_text,
            };
            let call = cx.operation(self.0.compose.operation(), async |op| {
                let mut used = Usage::default();
                let composition = self.0.compose.compose(&request, &mut used);
                op.used(used);
                composition
            });
            let composition = match call.await {
                Err(error) if error.is_transient() => return Err(Stop::transient(error)),
                other => other?,
            };
            match check(&composition, &self.0.index) {
                Err(error) if drafted < DRAFTS => objection = Some(error.to_string()),
                // The guard after this stage has the last word.
                _ => return Ok(composition),
            }
            drafted += 1;
        }
    }
}

struct GuardCitations(Arc<Shared>);

impl Stage for GuardCitations {
    type Input = Arc<Composition>;
    type Output = Composition;

    async fn run(&self, _cx: StageCx, composition: Arc<Composition>) -> Result<Composition, Stop> {
        check(&composition, &self.0.index)?;
        Ok(Composition::clone(&composition))
    }
}

fn check(composition: &Composition, index: &Index) -> Result<(), CitationError> {
    match composition {
        Composition::Draft(draft) => citations::verify(draft, &index.corpus),
        Composition::Unanswerable(_) => Ok(()),
    }
}

struct AppendTranscript(Arc<Shared>);

impl Stage for AppendTranscript {
    type Input = (Arc<Question>, Arc<Composition>);
    type Output = Composition;

    async fn run(&self, cx: StageCx, input: Self::Input) -> Result<Composition, Stop> {
        let (question, composition) = input;
        let exchange = self.0.exchange(&question, &composition);
        self.0.transcript.append(&cx, exchange).await?;
        Ok(Composition::clone(&composition))
    }
}

impl Shared {
    fn exchange(&self, question: &Question, composition: &Composition) -> Exchange {
        let (outcome, sentences) = match composition {
            Composition::Draft(draft) => (Outcome::Answered, draft.sentences.as_slice()),
            Composition::Unanswerable(_) => (Outcome::Unanswerable, [].as_slice()),
        };
        let line = |cited: &citations::Cited| Line {
            text: cited.text.clone(),
            file: cited.file.clone(),
            line: cited.line,
        };
        let since = self
            .clock
            .now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Exchange {
            version: VERSION,
            time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            session: String::new(), // whoever keeps it knows whose it is
            question: question.text.clone(),
            outcome,
            sentences: sentences.iter().map(line).collect(),
        }
    }
}
