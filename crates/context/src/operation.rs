//! Calls that a stage makes to something outside: a model, a tool, a store.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Amounts, Cost, Outcome};

/// A call to something outside, as telemetry names it.
///
/// ```
/// use stageflow_context::{Operation, OperationKind};
///
/// let call = Operation::chat("gpt-4o-mini").provider("openai");
/// assert_eq!(call.kind(), OperationKind::Chat);
/// assert_eq!(call.to_string(), "chat gpt-4o-mini");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    kind: OperationKind,
    name: Arc<str>,
    provider: Option<Arc<str>>,
}

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OperationKind {
    /// A model is asked.
    Chat,
    /// A model makes vectors of texts.
    Embeddings,
    /// A tool is used.
    ExecuteTool,
    /// Anything else: a store, a service.
    Other,
}

impl OperationKind {
    /// As the `GenAI` conventions of OpenTelemetry spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::ExecuteTool => "execute_tool",
            Self::Other => "other",
        }
    }
}

impl Operation {
    /// Asks this model.
    pub fn chat(model: impl Into<Arc<str>>) -> Self {
        Self::of(OperationKind::Chat, model.into())
    }

    /// Has this model make vectors of texts.
    pub fn embeddings(model: impl Into<Arc<str>>) -> Self {
        Self::of(OperationKind::Embeddings, model.into())
    }

    /// Uses this tool.
    pub fn tool(name: impl Into<Arc<str>>) -> Self {
        Self::of(OperationKind::ExecuteTool, name.into())
    }

    /// Anything else.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self::of(OperationKind::Other, name.into())
    }

    fn of(kind: OperationKind, name: Arc<str>) -> Self {
        Self {
            kind,
            name,
            provider: None,
        }
    }

    /// The same, offered by this provider.
    #[must_use]
    pub fn provider(self, provider: impl Into<Arc<str>>) -> Self {
        Self {
            provider: Some(provider.into()),
            ..self
        }
    }

    /// What kind of call it is.
    #[must_use]
    pub fn kind(&self) -> OperationKind {
        self.kind
    }

    /// The model, the tool, or whatever else it is.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Who offers it, if that was said.
    #[must_use]
    pub fn provider_name(&self) -> Option<&Arc<str>> {
        self.provider.as_ref()
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            OperationKind::Other => f.write_str(&self.name),
            kind => write!(f, "{} {}", kind.as_str(), self.name),
        }
    }
}

/// What a call used up, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens that went in.
    #[serde(default)]
    pub input_tokens: u64,
    /// Tokens that came out.
    #[serde(default)]
    pub output_tokens: u64,
    /// What it cost, in millionths.
    #[serde(default)]
    pub cost: Cost,
}

impl Usage {
    /// So many tokens in and out.
    #[must_use]
    pub const fn tokens(input: u64, output: u64) -> Self {
        Self {
            input_tokens: input,
            output_tokens: output,
            cost: Cost::ZERO,
        }
    }

    /// This and the other one together; at most what fits.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cost: Cost::from_micros(self.cost.micros().saturating_add(other.cost.micros())),
        }
    }

    /// The same, at this cost.
    #[must_use]
    pub const fn at_cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }
}

/// What a budget counts of it: tokens in and out together, and the cost; at most what fits.
///
/// ```
/// use stageflow_context::{Amounts, Usage};
///
/// assert_eq!(Amounts::from(Usage::tokens(812, 40)), Amounts::tokens(852));
/// ```
impl From<Usage> for Amounts {
    fn from(usage: Usage) -> Self {
        let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        Self::tokens(tokens) + Self::cost(usage.cost)
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationEnd {
    /// [`Outcome::Succeeded`], [`Outcome::Failed`], or [`Outcome::Cancelled`] if nobody waited for it any more.
    pub outcome: Outcome,
    /// What went wrong, if something did.
    pub error: Option<Arc<str>>,
    /// What it used up.
    pub usage: Usage,
}

impl OperationEnd {
    /// It ended like this, and used up nothing that is known.
    #[must_use]
    pub const fn new(outcome: Outcome, error: Option<Arc<str>>) -> Self {
        Self {
            outcome,
            error,
            usage: Usage::tokens(0, 0),
        }
    }
}
