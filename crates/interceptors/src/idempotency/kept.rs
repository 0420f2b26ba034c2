//! Answers, as stores keep them.

use std::error::Error as _;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde_json::{Value, json};
use stageflow_context::{DynValue, ErrorClass, StageError, StageErrorKind, StageName};

use super::StoreError;

/// An answer, as stores keep it. A clone shares what it holds, and nothing in it can be changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Kept {
    /// A value, as a codec wrote it: for stores outside the process.
    Bytes(Arc<[u8]>),
    /// A permanent failure.
    Failed(StageError),
    /// There was nothing to do, for this reason.
    Skipped(Arc<str>),
    /// The value itself: for stores inside the process.
    Value(DynValue),
}

const BYTES: u8 = 1;
const FAILED: u8 = 2;
const SKIPPED: u8 = 3;

impl Kept {
    /// As bytes, for stores that keep bytes. The same answer gives the same bytes. Of an error, code, stage, attempt and cause
    /// are kept; a cause is text afterwards.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Unwritable`](super::StoreErrorKind::Unwritable) for [`Kept::Value`], which such stores are not given.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        Ok(match self {
            Self::Bytes(bytes) => tagged(BYTES, bytes),
            Self::Skipped(reason) => tagged(SKIPPED, reason.as_bytes()),
            Self::Failed(error) => tagged(FAILED, written(error).to_string().as_bytes()),
            Self::Value(_) => {
                let name = std::any::type_name::<DynValue>();
                let reason = "a store of bytes is given bytes, not values";
                return Err(StoreError::unwritable(name, reason));
            }
        })
    }

    /// What [`Kept::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Unreadable`](super::StoreErrorKind::Unreadable) for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        match bytes.split_first() {
            Some((&BYTES, rest)) => Ok(Self::Bytes(rest.into())),
            Some((&FAILED, rest)) => {
                let value = serde_json::from_slice(rest).map_err(StoreError::unreadable)?;
                let error = read(&value);
                let error =
                    error.ok_or_else(|| StoreError::unreadable("this is no kept failure"))?;
                Ok(Self::Failed(error))
            }
            Some((&SKIPPED, rest)) => {
                let reason = std::str::from_utf8(rest).map_err(StoreError::unreadable)?;
                Ok(Self::Skipped(reason.into()))
            }
            Some((tag, _)) => Err(StoreError::unreadable(format!(
                "it begins with {tag}, which stands for nothing"
            ))),
            None => Err(StoreError::unreadable("it is empty")),
        }
    }
}

fn tagged(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes.len() + 1);
    all.push(tag);
    all.extend_from_slice(bytes);
    all
}

fn written(error: &StageError) -> Value {
    let code = error.code();
    // A kind that its code says nothing more about is told by the whole text.
    let (code, cause) = match kind_of(code) {
        Some(_) => (code, error.source().map(ToString::to_string)),
        None => (FAILURE, Some(error.to_string())),
    };
    json!({
        "attempt": error.attempt(),
        "cause": cause,
        "code": code,
        "stage": error.stage().as_str(),
    })
}

fn read(value: &Value) -> Option<StageError> {
    let attempt = u32::try_from(value["attempt"].as_u64()?).ok()?;
    let attempt = NonZeroU32::new(attempt)?;
    let stage: StageName = value["stage"].as_str()?.parse().ok()?;
    let kind = kind_of(value["code"].as_str()?)?;
    Some(match value["cause"].as_str() {
        Some(cause) => StageError::new(stage, attempt, kind, cause),
        None => StageError::bare(stage, attempt, kind),
    })
}

/// The code of a plain permanent failure.
const FAILURE: &str = "SF0301";

/// The permanent kinds that are all told by their code.
fn kind_of(code: &str) -> Option<StageErrorKind> {
    let kinds = [
        StageErrorKind::Failed(ErrorClass::Permanent),
        StageErrorKind::Panicked(ErrorClass::Permanent),
        StageErrorKind::BadRoute,
        StageErrorKind::Internal,
        StageErrorKind::Invalid,
        StageErrorKind::WrongAnswer,
    ];
    let code_of = |kind: &StageErrorKind| {
        StageError::bare(StageName::nth(0), NonZeroU32::MIN, kind.clone()).code()
    };
    kinds.into_iter().find(|kind| code_of(kind) == code)
}
