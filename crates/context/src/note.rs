//! Events of a stage's own.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::Part;

/// Something a stage wants to be known: a name and a payload. The engine writes the envelope around it.
///
/// Names are lower-case words joined by dots, `docs.loaded`. Those that start with `run.`, `stage.`, `part.`, `cleanup.`,
/// `telemetry.`, `approval.`, `budget.`, `operation.`, `layer.` or `undo.` belong to the engine and are refused, so that a stage cannot forge
/// what the engine says. Those that start with `audit.` are kept as long as what the engine says where there is too little room.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    name: Arc<str>,
    payload: Arc<Value>,
    part: Option<Arc<Part>>,
}

impl Note {
    /// The longest a name may be, in bytes.
    pub const MAX_NAME: usize = 128;

    const RESERVED: [&'static str; 12] = [
        "run",
        "stage",
        "part",
        "cleanup",
        "telemetry",
        "approval",
        "budget",
        "operation",
        "layer",
        "undo",
        "auth",
        "tenant",
    ];

    /// Whether an event of this type is none of a stage's own: its first word belongs to the engine, or to sinks.
    #[must_use]
    pub fn is_reserved(name: &str) -> bool {
        let first = name.split('.').next().unwrap_or_default();
        Self::RESERVED.contains(&first)
    }

    /// A note called `name`.
    ///
    /// # Errors
    ///
    /// [`EmitErrorKind::BadName`] if the name is malformed, [`EmitErrorKind::ReservedName`] if it is the engine's.
    pub fn new(
        name: impl Into<Arc<str>>,
        payload: impl Into<Arc<Value>>,
    ) -> Result<Self, EmitError> {
        let name = name.into();
        let well_formed = name.len() <= Self::MAX_NAME
            && name.split('.').all(|word| {
                word.starts_with(|c: char| c.is_ascii_lowercase())
                    && word
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            });
        if !well_formed {
            return Err(EmitError {
                name: name.chars().take(64).collect(),
                kind: EmitErrorKind::BadName,
            });
        }
        if Self::is_reserved(&name) {
            return Err(EmitError {
                name: name.to_string(),
                kind: EmitErrorKind::ReservedName,
            });
        }
        Ok(Self {
            name,
            payload: payload.into(),
            part: None,
        })
    }

    /// The same note, said by a part of the stage.
    #[must_use]
    pub fn of_part(self, part: Arc<Part>) -> Self {
        Self {
            part: Some(part),
            ..self
        }
    }

    /// The part of the stage that said it, if it was a part.
    #[must_use]
    pub fn part(&self) -> Option<&Arc<Part>> {
        self.part.as_ref()
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it says.
    #[must_use]
    pub fn payload(&self) -> &Arc<Value> {
        &self.payload
    }

    /// The error of a run that cannot take this note now.
    #[must_use]
    pub fn refused(&self, kind: EmitErrorKind) -> EmitError {
        EmitError {
            name: self.name.to_string(),
            kind,
        }
    }
}

/// A note that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmitError {
    name: String,
    kind: EmitErrorKind,
}

/// Why a note was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmitErrorKind {
    /// The name is not made of lower-case words joined by dots.
    BadName,
    /// The run has ended: nobody would hear it.
    Closed,
    /// The run's buffer is full. The note was dropped and counted.
    Full,
    /// The name belongs to the engine.
    ReservedName,
}

impl EmitError {
    /// Why.
    #[must_use]
    pub fn kind(&self) -> EmitErrorKind {
        self.kind
    }

    /// The stable code of this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            EmitErrorKind::BadName => "SF0212",
            EmitErrorKind::ReservedName => "SF0213",
            EmitErrorKind::Full => "SF0214",
            EmitErrorKind::Closed => "SF0215",
        }
    }
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: event {:?} was not accepted: ",
            self.code(),
            self.name
        )?;
        f.write_str(match self.kind {
            EmitErrorKind::BadName => "its name is malformed; use lower-case words joined by dots, such as `docs.loaded`",
            EmitErrorKind::Closed => "the run has ended; emit before the stage returns",
            EmitErrorKind::Full => "the run's buffer is full; emit less, or wait with `emit`",
            EmitErrorKind::ReservedName => {
                "names under `run`, `stage`, `part`, `cleanup`, `telemetry`, `approval`, `budget`, `operation`, `layer`, `undo`, `auth` and `tenant` belong to the engine; choose another first word"
            }
        })
    }
}

impl std::error::Error for EmitError {}
