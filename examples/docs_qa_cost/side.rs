//! The sides that are compared, and the collector.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use stageflow::context::SystemClock;
use stageflow::events::{BoundedSink, FanOut, Flushed, Journal, JournalOptions, Stopping};
use stageflow::prelude::*;
use stageflow_otel::Otlp;
use stageflow_otel::testing::Receiver;
use tempfile::TempDir;

use crate::answer::compose::Extractive;
use crate::corpus::{Bounds, load};
use crate::pipeline::transcript::FileTranscript;
use crate::pipeline::{DocsQa, Shared};
use crate::search::Index;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long the last events may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long events gather before they are written.
const GATHER: Duration = Duration::from_millis(50);

/// What goes along with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Nothing.
    Plain,
    /// Spans of stages; traces, metrics and logs.
    Full,
    /// The same, and a journal.
    Journal,
}

impl Side {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Full, Self::Journal];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "without",
            Self::Full => "full",
            Self::Journal => "journal",
        }
    }
}

/// A collector on a thread of its own, until the program ends.
pub(crate) struct Collector(String);

impl Collector {
    pub(crate) fn start() -> Result<Self, BoxError> {
        let (say, hear) = mpsc::channel();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async move {
                let receiver = Receiver::start().await?;
                // Whoever asked has gone: nobody needs it.
                let _ = say.send(receiver.endpoint());
                std::future::pending::<std::io::Result<()>>().await
            })
        };
        thread::Builder::new()
            .name("collector".to_owned())
            .spawn(serve)?;
        Ok(Self(hear.recv()?))
    }
}

/// An engine with its telemetry, and the pipeline it runs.
pub(crate) struct Setup {
    pub(crate) side: Side,
    pub(crate) engine: Engine,
    pub(crate) docs_qa: DocsQa,
    transcript: FileTranscript,
    otlp: Option<Otlp>,
    journal: Option<BoundedSink>,
}

/// All sides, and what they are asked.
pub(crate) struct Sides {
    pub(crate) all: Vec<Setup>,
    pub(crate) questions: Vec<String>,
    _folder: TempDir,
}

impl Sides {
    pub(crate) fn new(collector: &Collector) -> Result<Self, BoxError> {
        #[derive(Deserialize)]
        struct Case {
            ask: String,
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs_qa/fixtures");
        let index = Arc::new(Index::build(Arc::new(load(&root, Bounds::default())?)));
        let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(root.join("golden.json"))?)?;
        let folder = tempfile::tempdir()?;
        let set_up = |side| Setup::new(side, &index, folder.path(), collector);
        Ok(Self {
            all: Side::ALL
                .into_iter()
                .map(set_up)
                .collect::<Result<_, _>>()?,
            questions: cases.into_iter().map(|case| case.ask).collect(),
            _folder: folder,
        })
    }

    /// Ends telemetry; says how many events were delivered. It is an error if one was not.
    pub(crate) async fn finish(&self) -> Result<u64, BoxError> {
        let mut delivered = 0;
        for sink in self.all.iter().flat_map(Setup::sinks) {
            let counts = sink.stop(Stopping::Drain, PATIENCE).await;
            if counts.delivered != counts.offered {
                return Err(format!("telemetry lost events: {counts:?}").into());
            }
            delivered += counts.delivered;
        }
        Ok(delivered)
    }
}

impl Setup {
    fn new(
        side: Side,
        index: &Arc<Index>,
        folder: &Path,
        collector: &Collector,
    ) -> Result<Self, BoxError> {
        let transcript = FileTranscript {
            path: folder.join(format!("{}.transcript.jsonl", side.name())),
            session: "cost".to_owned(),
        };
        let shared = Arc::new(Shared {
            index: Arc::clone(index),
            compose: Box::new(Extractive),
            transcript: Box::new(transcript.clone()),
            profile: None,
            clock: Box::new(SystemClock::new()),
        });
        let (mut otlp, mut journal) = (None, None);
        let mut builder = Engine::builder();
        if side != Side::Plain {
            let started = Otlp::builder(&*collector.0).service("docs_qa").start()?;
            let mut sinks = FanOut::new().to("collector", started.sink());
            if side == Side::Journal {
                let files = Journal::create(JournalOptions::new(folder.join("journal")))?;
                let files = BoundedSink::builder(files).linger(GATHER).start();
                sinks = sinks.to("journal", files.clone());
                journal = Some(files);
            }
            builder = builder.events(sinks).intercept(Trace::new());
            otlp = Some(started);
        }
        Ok(Self {
            side,
            engine: builder.build(),
            docs_qa: DocsQa::new(&shared)?,
            transcript,
            otlp,
            journal,
        })
    }

    fn sinks(&self) -> impl Iterator<Item = BoundedSink> {
        let otlp = self.otlp.as_ref().map(Otlp::sink);
        otlp.into_iter().chain(self.journal.clone())
    }

    /// Forgets what was asked, so that all rounds are alike.
    pub(crate) fn begin(&self) -> Result<(), BoxError> {
        let path = &self.transcript.path;
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Waits until telemetry has gone out.
    pub(crate) async fn settle(&self) -> Result<(), BoxError> {
        for sink in self.sinks() {
            if sink.flush(PATIENCE).await != Flushed::Done {
                return Err(format!("telemetry does not go out: {:?}", sink.health()).into());
            }
        }
        Ok(())
    }
}
