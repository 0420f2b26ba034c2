//! What a key is good for.

use std::sync::Arc;

use serde_json::{Value, json};
use stageflow_context::{Fingerprint, IdempotencyKey, OrgId, Part, StageName, Step};

use crate::Call;

/// What a key is good for: one piece of work of one stage of one pipeline, for one org. Equal keys of other orgs, pipelines,
/// stages or parts have nothing to do with each other; runs without an org are by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    org: Option<OrgId>,
    pipeline: Arc<str>,
    stage: StageName,
    part: Option<Arc<Part>>,
    key: IdempotencyKey,
}

impl Scope {
    /// The work of a stage under a key, for nobody in particular.
    pub fn new(pipeline: impl Into<Arc<str>>, stage: StageName, key: IdempotencyKey) -> Self {
        Self {
            org: None,
            pipeline: pipeline.into(),
            stage,
            part: None,
            key,
        }
    }

    pub(super) fn of(call: &Call<'_>, key: &IdempotencyKey) -> Self {
        Self::new(
            Arc::clone(call.plan().name()),
            call.stage().clone(),
            key.clone(),
        )
        .for_org(call.org())
        .of_part(call.part().cloned())
    }

    /// The same for this org.
    #[must_use]
    pub fn for_org(mut self, org: Option<OrgId>) -> Self {
        self.org = org;
        self
    }

    /// The same for a part of the stage.
    #[must_use]
    pub fn of_part(mut self, part: Option<Arc<Part>>) -> Self {
        self.part = part;
        self
    }

    /// The org, if the run is for one.
    #[must_use]
    pub fn org(&self) -> Option<OrgId> {
        self.org
    }

    /// The name of the pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// The stage.
    #[must_use]
    pub fn stage(&self) -> &StageName {
        &self.stage
    }

    /// The part of the stage, if it is the work of one.
    #[must_use]
    pub fn part(&self) -> Option<&Arc<Part>> {
        self.part.as_ref()
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    /// A digest of all of it, for stores that want one column. Scopes that are not equal have different ones.
    ///
    /// # Errors
    ///
    /// None that can happen: all of it can be written as JSON.
    pub fn digest(&self) -> Result<Fingerprint, serde_json::Error> {
        Fingerprint::of(&json!([
            self.org.map(|org| org.to_string()),
            &*self.pipeline,
            self.stage.as_str(),
            steps(self.part.as_ref()),
            self.key.as_str(),
        ]))
    }
}

/// The way to a part: as a list, since a name may look like two steps.
fn steps(part: Option<&Arc<Part>>) -> Vec<Value> {
    let Some(part) = part else {
        return Vec::new();
    };
    let mut steps = steps(part.within());
    steps.push(match part.step() {
        Step::Named(name) => json!({ "named": &**name }),
        step => json!(step.to_string()),
    });
    steps
}
