//! Where exchanges are kept: in a file, or wherever a program likes.

use std::path::PathBuf;

use stageflow::prelude::*;

use crate::session::memory::{self, Memory};
use crate::session::transcript::{self, Exchange};

/// Keeps what was asked and answered.
#[async_trait]
pub(crate) trait Transcript: Send + Sync {
    /// The last exchanges of whoever asks.
    async fn recall(&self, cx: &StageCx) -> Result<Memory, Stop>;

    /// Keeps one more.
    async fn append(&self, cx: &StageCx, exchange: Exchange) -> Result<(), Stop>;
}

/// A file with one JSON object a line.
#[derive(Clone, Debug)]
pub(crate) struct FileTranscript {
    pub(crate) path: PathBuf,
    pub(crate) session: String,
}

#[async_trait]
impl Transcript for FileTranscript {
    async fn recall(&self, _cx: &StageCx) -> Result<Memory, Stop> {
        Ok(memory::recall(&self.path, &self.session)?)
    }

    async fn append(&self, _cx: &StageCx, mut exchange: Exchange) -> Result<(), Stop> {
        exchange.session.clone_from(&self.session);
        Ok(transcript::append(&self.path, &exchange)?)
    }
}
