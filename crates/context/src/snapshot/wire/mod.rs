//! The JSON form of a snapshot: an envelope with a schema, a version and a digest around the body.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

mod body;
mod read;

use self::body::Body;
use super::canonical::{Subject, digest};
use super::scan::path_before;
use super::{ContextSnapshot, SnapshotError, SnapshotErrorKind, SnapshotLimits};
use crate::ids::excerpt;
use crate::mismatch::mismatch;

const SCHEMA: &str = "stageflow.snapshot";
const VERSION: u64 = 1;

/// The part of an envelope that every version has.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    schema: Option<Cow<'a, str>>,
    version: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
    version: u64,
    #[serde(borrow)]
    digest: Cow<'a, str>,
    #[serde(borrow)]
    body: &'a RawValue,
}

pub(super) fn write(
    snapshot: &ContextSnapshot,
    limits: &SnapshotLimits,
) -> Result<String, SnapshotError> {
    let body = body_text(snapshot)?;
    let envelope = Envelope {
        schema: SCHEMA.into(),
        version: VERSION,
        digest: digest(body.get(), Subject::Body, limits)?.into(),
        body: &body,
    };
    let text = serde_json::to_string(&envelope).map_err(|error| unwritten(&error))?;
    limits.check_bytes(text.len())?;
    Ok(text)
}

/// The digest that the JSON form would have.
pub(super) fn digest_of(snapshot: &ContextSnapshot) -> Result<String, SnapshotError> {
    digest(
        body_text(snapshot)?.get(),
        Subject::Body,
        &SnapshotLimits::unlimited(),
    )
}

pub(super) fn read(text: &str, limits: &SnapshotLimits) -> Result<ContextSnapshot, SnapshotError> {
    limits.check_bytes(text.len())?;
    // Reads over the whole text without recursion, so that what follows can rely on its being JSON.
    serde_json::from_str::<&RawValue>(text).map_err(|error| not_json(text, &error))?;
    check_head(text)?;
    let envelope: Envelope<'_> =
        serde_json::from_str(text).map_err(|error| bad_field(text, "", &error))?;
    let body = envelope.body.get();
    let found = digest(body, Subject::Body, limits)?;
    if found != envelope.digest {
        let problem = format!(
            "its digest says `{}`, its content gives `{found}`",
            excerpt(&envelope.digest)
        );
        return Err(SnapshotError::new(
            SnapshotErrorKind::Altered,
            "body",
            problem,
        ));
    }
    let parts: Body<'_> =
        serde_json::from_str(body).map_err(|error| bad_field(body, "body", &error))?;
    parts.into_snapshot(limits)
}

fn body_text(snapshot: &ContextSnapshot) -> Result<Box<RawValue>, SnapshotError> {
    serde_json::value::to_raw_value(&Body::from(snapshot)).map_err(|error| unwritten(&error))
}

fn check_head(text: &str) -> Result<(), SnapshotError> {
    let wrong = |problem: String| {
        Err(SnapshotError::new(
            SnapshotErrorKind::WrongSchema,
            "schema",
            problem,
        ))
    };
    if !text.trim_start().starts_with('{') {
        return wrong("it is no object".to_owned());
    }
    let head: Head<'_> = serde_json::from_str(text).map_err(|error| bad_field(text, "", &error))?;
    match head.schema.as_deref() {
        Some(SCHEMA) => {}
        Some(other) => return wrong(format!("expected `{SCHEMA}`, got `{}`", excerpt(other))),
        None => return wrong(format!("expected `{SCHEMA}`, got none")),
    }
    match head.version {
        Some(VERSION) => Ok(()),
        Some(newer) if newer > VERSION => {
            let problem =
                format!("version {newer} is newer than {VERSION}, the newest this program reads");
            Err(SnapshotError::new(
                SnapshotErrorKind::NewerVersion,
                "version",
                problem,
            ))
        }
        Some(unknown) => wrong(format!("there is no version {unknown}")),
        None => wrong("it has no version".to_owned()),
    }
}

fn not_json(text: &str, error: &serde_json::Error) -> SnapshotError {
    let (line, column) = (error.line(), error.column());
    // The reader takes a number that was cut, such as `2.`, for a malformed one.
    let cut_number =
        text.ends_with(['.', 'e', 'E', '+', '-']) && offset_of(text, line, column) >= text.len();
    if error.is_eof() || cut_number {
        let problem = format!("the text ends too early, at line {line} column {column}");
        return SnapshotError::new(SnapshotErrorKind::Truncated, "", problem);
    }
    SnapshotError::new(
        SnapshotErrorKind::NotJson,
        "",
        format!("it is not JSON: {error}"),
    )
}

fn bad_field(text: &str, root: &str, error: &serde_json::Error) -> SnapshotError {
    let said = mismatch(error);
    let position = format!(" at line {} column {}", error.line(), error.column());
    let problem: String = said
        .strip_suffix(&position)
        .unwrap_or(&said)
        .chars()
        .take(256)
        .collect();
    let path = path_before(text, offset_of(text, error.line(), error.column()), root);
    SnapshotError::new(SnapshotErrorKind::BadField, path, problem)
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    before + column
}

fn unwritten(error: &serde_json::Error) -> SnapshotError {
    SnapshotError::new(
        SnapshotErrorKind::BadField,
        "",
        format!("it cannot be written: {error}"),
    )
}
