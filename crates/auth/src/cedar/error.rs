//! What is wrong with policies and schemas.

use std::error::Error;
use std::fmt;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{CedarSchemaError, ParseErrors, ValidationError};

/// Policies or a schema that cannot be used, with all places that are wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CedarError {
    kind: CedarErrorKind,
    problems: Vec<String>,
}

/// Which text cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CedarErrorKind {
    /// The policies can be read, and do not fit the schema.
    Misfit,
    /// The policies cannot be read.
    Policies,
    /// The schema cannot be read.
    Schema,
}

impl CedarError {
    /// Which text cannot be used.
    #[must_use]
    pub fn kind(&self) -> CedarErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            CedarErrorKind::Policies => "SF0631",
            CedarErrorKind::Schema => "SF0632",
            CedarErrorKind::Misfit => "SF0633",
        }
    }

    /// What is wrong, each with its line and column if it is known, both from 1.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    fn new(kind: CedarErrorKind, problems: Vec<String>) -> Self {
        Self { kind, problems }
    }
}

pub(super) fn unreadable(text: &str, errors: &ParseErrors) -> CedarError {
    let problems = errors
        .iter()
        .map(|error| told(text, &DetailedError::from(error)));
    CedarError::new(CedarErrorKind::Policies, problems.collect())
}

pub(super) fn bad_schema(text: &str, error: &CedarSchemaError) -> CedarError {
    let error = DetailedError::from(error);
    CedarError::new(CedarErrorKind::Schema, vec![told(text, &error)])
}

pub(super) fn misfit<'e>(
    text: &str,
    errors: impl Iterator<Item = &'e ValidationError>,
) -> CedarError {
    let problems = errors.map(|error| told(text, &DetailedError::from(error)));
    CedarError::new(CedarErrorKind::Misfit, problems.collect())
}

fn told(text: &str, error: &DetailedError) -> String {
    let place = error.source_locations.first();
    match place.and_then(|place| text.get(..place.loc.start)) {
        None => error.message.clone(),
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            let start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let column = before[start..].chars().count() + 1;
            format!("line {line}, column {column}: {}", error.message)
        }
    }
}

impl fmt::Display for CedarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code())?;
        let (what, help) = match self.kind {
            CedarErrorKind::Misfit => (
                "these Cedar policies do not fit their schema",
                "correct them, or the schema",
            ),
            CedarErrorKind::Policies => ("these are no Cedar policies", "correct them"),
            CedarErrorKind::Schema => ("this is no Cedar schema", "correct it"),
        };
        write!(f, "{what}: {}; {help}", self.problems.join("; "))
    }
}

impl Error for CedarError {}
