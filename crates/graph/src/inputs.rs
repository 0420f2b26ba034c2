//! What a stage that is wired by name can read.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use stageflow_context::{DynValue, StageName, mismatch};

use crate::named::Local;
use crate::{Inputs, WiringError};

/// The values of the stages a stage waits for, by name, and the run's input. Anything else cannot be read.
#[derive(Clone)]
pub struct NamedInputs {
    local: Arc<Local>,
    stage: usize,
    values: Vec<Option<Arc<Value>>>,
    run_input: Arc<Value>,
}

impl NamedInputs {
    pub(crate) fn gather(
        local: Arc<Local>,
        stage: usize,
        mut inputs: Inputs<'_>,
    ) -> Result<Self, WiringError> {
        let missing = WiringError::of::<Value>();
        let run_input = inputs
            .next_value()
            .and_then(DynValue::downcast)
            .ok_or(missing)?;
        let values = (local.upstream.row(stage).iter())
            .map(|_| inputs.next_value().map(DynValue::downcast).ok_or(missing))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            local,
            stage,
            values,
            run_input,
        })
    }

    /// All that can be read, in the order of the wires.
    pub(crate) fn values_read(&self) -> (&Value, Vec<Option<&Value>>) {
        let values = self.values.iter().map(Option::as_deref);
        (&self.run_input, values.collect())
    }

    /// What the run was started with.
    #[must_use]
    pub fn run_input(&self) -> &Value {
        &self.run_input
    }

    /// The names that can be read, in the order in which they were declared.
    #[must_use]
    pub fn names(&self) -> impl ExactSizeIterator<Item = &StageName> {
        self.local
            .upstream
            .row(self.stage)
            .iter()
            .map(|up| &self.local.names[*up as usize])
    }

    /// The value of `upstream`; `None` if it is optional and gave nothing.
    ///
    /// # Errors
    ///
    /// [`InputErrorKind::Undeclared`] if this stage does not wait for `upstream`.
    pub fn get(&self, upstream: &str) -> Result<Option<&Value>, InputError> {
        match self.names().position(|name| name.as_str() == upstream) {
            Some(index) => Ok(self.values.get(index).and_then(Option::as_deref)),
            None => Err(self.error(upstream, InputErrorKind::Undeclared)),
        }
    }

    /// The value of `upstream`, which must be there.
    ///
    /// # Errors
    ///
    /// [`InputErrorKind::Undeclared`] if this stage does not wait for `upstream`, [`InputErrorKind::Absent`] if that is
    /// optional and gave nothing.
    pub fn require(&self, upstream: &str) -> Result<&Value, InputError> {
        self.get(upstream)?
            .ok_or_else(|| self.error(upstream, InputErrorKind::Absent))
    }

    /// The value of `upstream` as a `T`.
    ///
    /// # Errors
    ///
    /// As [`NamedInputs::require`], and [`InputErrorKind::Mismatch`] if it is not a `T`.
    pub fn decode<T: DeserializeOwned>(&self, upstream: &str) -> Result<T, InputError> {
        let value = self.require(upstream)?;
        T::deserialize(value)
            .map_err(|error| self.error(upstream, InputErrorKind::Mismatch(mismatch(&error))))
    }

    /// What the run was started with, as a `T`.
    ///
    /// # Errors
    ///
    /// [`InputErrorKind::Mismatch`] if it is not a `T`.
    pub fn decode_run_input<T: DeserializeOwned>(&self) -> Result<T, InputError> {
        T::deserialize(&*self.run_input).map_err(|error| {
            self.error(
                "the run's input",
                InputErrorKind::Mismatch(mismatch(&error)),
            )
        })
    }

    fn error(&self, upstream: &str, kind: InputErrorKind) -> InputError {
        InputError {
            stage: self.local.names[self.stage].clone(),
            upstream: upstream.chars().take(StageName::MAX_LEN).collect(),
            declared: self.names().cloned().collect(),
            kind,
        }
    }
}

impl fmt::Debug for NamedInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.names().zip(&self.values))
            .finish()
    }
}

/// A stage asked for a value that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    stage: StageName,
    upstream: String,
    declared: Vec<StageName>,
    kind: InputErrorKind,
}

/// Why a stage cannot have a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputErrorKind {
    /// The upstream stage is optional and gave nothing.
    Absent,
    /// The value is not what the stage takes it for.
    Mismatch(String),
    /// The stage did not say that it waits for it.
    Undeclared,
}

impl InputError {
    /// Why.
    #[must_use]
    pub fn kind(&self) -> &InputErrorKind {
        &self.kind
    }

    /// The stage that asked.
    #[must_use]
    pub fn stage(&self) -> &StageName {
        &self.stage
    }

    /// What it asked for.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// What it could have asked for.
    #[must_use]
    pub fn declared(&self) -> &[StageName] {
        &self.declared
    }

    /// The stable code; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            InputErrorKind::Undeclared => "SF0113",
            InputErrorKind::Absent => "SF0114",
            InputErrorKind::Mismatch(_) => "SF0115",
        }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stage,
            upstream,
            declared,
            kind,
        } = self;
        write!(f, "{}: stage `{stage}` ", self.code())?;
        match kind {
            InputErrorKind::Absent => {
                write!(
                    f,
                    "requires {upstream:?}, which is optional and gave nothing; read it with `get`"
                )
            }
            InputErrorKind::Mismatch(reason) => {
                write!(
                    f,
                    "cannot read {upstream:?} as it wants to: {reason}; read it as what it is, or change what gives it"
                )
            }
            InputErrorKind::Undeclared => {
                write!(
                    f,
                    "reads {upstream:?} without waiting for it; add it to `.after(..)` (now: "
                )?;
                for (i, name) in declared.iter().enumerate() {
                    write!(f, "{}{name}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str(if declared.is_empty() { "nothing)" } else { ")" })
            }
        }
    }
}

impl std::error::Error for InputError {}
