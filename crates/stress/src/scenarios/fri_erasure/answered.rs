//! Answers that a store keeps under idempotency keys, and work that goes on under one.

use std::sync::Arc;
use std::time::Duration;

use stageflow::context::{OrgId, UserId};
use stageflow::interceptors::IdempotencyStore as _;
use stageflow::interceptors::idempotency::{Asker, Begun, Finished, KeepFor, Kept, Scope, Token};
use stageflow_store::{SeenTenants, StoredAnswers};

use super::faulty::Fault;
use super::place::{Place, canary, scope};
use crate::LabError;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(600);

pub(super) struct Answered {
    answers: StoredAnswers,
    org: OrgId,
    fault: Fault,
}

impl Answered {
    pub(super) fn at(place: &Place, fault: Fault) -> Result<Self, LabError> {
        let seen = SeenTenants::new();
        seen.remember(&scope(place.org)?);
        Ok(Self {
            answers: StoredAnswers::new(Arc::clone(&place.store), &seen),
            org: place.org,
            fault,
        })
    }

    fn scope(&self, user: UserId, key: &str) -> Result<Scope, LabError> {
        let key = format!("{key}-{}", canary(user));
        let key = key.parse().map_err(LabError::new)?;
        let stage = "pay".parse().map_err(LabError::new)?;
        Ok(Scope::new("drill", stage, key).for_org(Some(self.org)))
    }

    /// Begins work for them.
    pub(super) async fn begin(&self, user: UserId, key: &str) -> Result<Begun, LabError> {
        let asker = match self.fault {
            Fault::NamesNobody => Asker::new(),
            _ => Asker::new().of_user(user),
        };
        let scope = self.scope(user, key)?;
        let begun = self.answers.begin(&scope, &asker, LONG).await;
        begun.map_err(LabError::new)
    }

    /// Ends it with their words.
    pub(super) async fn finish(
        &self,
        user: UserId,
        key: &str,
        token: Token,
    ) -> Result<Finished, LabError> {
        let kept = Kept::Skipped(canary(user).into());
        let scope = self.scope(user, key)?;
        let finished = self
            .answers
            .finish(&scope, token, kept, KeepFor::Time(LONG));
        finished.await.map_err(LabError::new)
    }

    /// Work that was done for them.
    pub(super) async fn done(&self, user: UserId) -> Result<(), LabError> {
        if let Begun::Mine(token) = self.begin(user, "done").await? {
            self.finish(user, "done", token).await?;
        }
        Ok(())
    }
}
