//! What a tenant's questions are answered from: its documents, indexed, and the pipeline of `docs_qa` over them.

use std::fmt;
use std::sync::Arc;

use moka::sync::Cache;
use stageflow::context::{OrgId, SystemClock};
use stageflow::prelude::*;
use stageflow::tenancy::TenantScope;
use stageflow_store::Store as _;

use crate::answer::compose::Extractive;
use crate::catalogue::Catalogue;
use crate::corpus::{Corpus, Document, Format, format_of};
use crate::database::Database;
use crate::memory::Remembered;
use crate::pipeline::{DocsQa, Shared};
use crate::search::Index;

/// How many tenants' libraries are kept in memory: of others they are built again.
const KEPT: u64 = 100;

/// A tenant's documents as they were at one time, ready for questions.
pub(crate) struct Library {
    pub(crate) docs_qa: DocsQa,
    revision: Option<u64>,
}

/// The libraries that were used last, each under its org.
pub(crate) struct Libraries {
    database: Database,
    kept: Cache<OrgId, Arc<Library>>,
}

impl Libraries {
    pub(crate) fn new(database: Database) -> Self {
        let kept = Cache::new(KEPT);
        Self { database, kept }
    }

    /// The library of the tenant that this run is for. There is no way to ask for another's.
    pub(crate) async fn open(&self, cx: &StageCx) -> Result<Arc<Library>, Stop> {
        let scope = TenantScope::of(cx)?;
        let shelf = self.database.open(&scope).await?;
        let catalogue = Catalogue::read(&*shelf).await?;
        let revision = catalogue.revision;
        if let Some(known) = self.kept.get(&scope.org()) {
            if known.revision == revision {
                return Ok(known);
            }
        }
        let texts = catalogue.texts(&*shelf).await?;
        let library = Arc::new(self.build(texts, revision)?);
        self.kept.insert(scope.org(), Arc::clone(&library));
        Ok(library)
    }

    fn build(&self, texts: Vec<(String, String)>, revision: Option<u64>) -> Result<Library, Stop> {
        let documents = texts.into_iter().map(|(name, text)| Document {
            path: None,
            format: format_of(name.as_ref()).unwrap_or(Format::Plain),
            text: text.replace("\r\n", "\n"),
            name,
        });
        let corpus = Corpus {
            documents: documents.collect(),
            notes: Vec::new(),
        };
        let shared = Arc::new(Shared {
            index: Arc::new(Index::build(Arc::new(corpus))),
            compose: Box::new(Extractive),
            transcript: Box::new(Remembered::new(self.database.clone())),
            profile: None,
            clock: Box::new(SystemClock::new()),
        });
        let docs_qa = DocsQa::new(&shared)?;
        Ok(Library { docs_qa, revision })
    }
}

impl fmt::Debug for Libraries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Libraries({})", self.kept.entry_count())
    }
}
