//! What a user has asked lately: it gives follow-up questions their meaning, and is erased with the user.

use serde_json::json;
use stageflow::prelude::*;
use stageflow::tenancy::TenantScope;
use stageflow_store::Documents;

use crate::database::Database;
use crate::pipeline::transcript::Transcript;
use crate::session::memory::Memory;
use crate::session::transcript::Exchange;

/// Exchanges that are remembered of a user.
const MOST: usize = 8;
const NAME: &str = "memory";

/// Remembers exchanges under the user that a run is for. Runs for no user remember nothing.
#[derive(Debug)]
pub(crate) struct Remembered(Database);

impl Remembered {
    pub(crate) fn new(database: Database) -> Self {
        Self(database)
    }

    async fn of_user(&self, cx: &StageCx) -> Result<Option<Documents>, Stop> {
        let scope = TenantScope::of(cx)?;
        let Some(user) = scope.user() else {
            return Ok(None);
        };
        let documents = Documents::open(&self.0, &scope).await?;
        Ok(Some(documents.of(user)))
    }
}

async fn read(documents: &Documents) -> Result<Vec<Exchange>, Stop> {
    match documents.get(NAME).await? {
        Some(known) => Ok(serde_json::from_value(known.value)?),
        None => Ok(Vec::new()),
    }
}

#[async_trait]
impl Transcript for Remembered {
    async fn recall(&self, cx: &StageCx) -> Result<Memory, Stop> {
        let exchanges = match self.of_user(cx).await? {
            Some(documents) => read(&documents).await?,
            None => Vec::new(),
        };
        let torn = 0;
        Ok(Memory { exchanges, torn })
    }

    async fn append(&self, cx: &StageCx, exchange: Exchange) -> Result<(), Stop> {
        let Some(documents) = self.of_user(cx).await? else {
            return Ok(());
        };
        let mut exchanges = read(&documents).await?;
        exchanges.push(exchange);
        let gone = exchanges.len().saturating_sub(MOST);
        exchanges.drain(..gone);
        // Of two questions at the same time, the memory may keep one.
        Ok(documents.put(NAME, &json!(exchanges)).await?)
    }
}
