//! Pipelines that need somebody who decides, on engines that have nobody.

use std::fmt;
use std::sync::Arc;

use stageflow_context::StageName;
use stageflow_graph::Plan;
use stageflow_interceptors::Stack;

/// A stage is only for those who are permitted something, and the engine has no layer that decides who is: see
/// [`Claim::Decides`](stageflow_interceptors::Claim::Decides). The run ends before anything starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionError {
    stage: StageName,
    permission: Arc<str>,
}

impl PermissionError {
    /// The first stage of a pipeline that nobody decides about, if there is one.
    pub(crate) fn of<'s>(plan: &Plan, stack: impl Fn(u32) -> &'s Stack) -> Option<Self> {
        if !plan.has_permissions() {
            return None;
        }
        let mut stages = plan.names().iter().enumerate();
        stages.find_map(|(stage, name)| {
            let permission = plan.options(stage).demands.permissions().first()?;
            let decides = stack(stage as u32).decides();
            (!decides).then(|| Self {
                stage: name.clone(),
                permission: Arc::clone(permission),
            })
        })
    }

    /// The stage.
    #[must_use]
    pub fn stage(&self) -> &StageName {
        &self.stage
    }

    /// What whoever asks would have to be permitted.
    #[must_use]
    pub fn permission(&self) -> &str {
        &self.permission
    }

    /// The stable code; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0415"
    }

    /// What is wrong and what to do, without the code: for errors that have said it.
    pub(crate) fn sentence(&self) -> String {
        let Self { stage, permission } = self;
        format!(
            "stage `{stage}` is only for those who are permitted `{permission}`, and the engine has no layer that decides who is; give it one with `.intercept(..)`"
        )
    }
}

impl fmt::Display for PermissionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.sentence())
    }
}

impl std::error::Error for PermissionError {}
