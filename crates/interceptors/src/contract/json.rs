//! Values from data against a JSON Schema.

use std::fmt;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::Value;
use stageflow_context::{DynValue, StageErrorKind};

use super::size::{Beyond, Bounds, measure};
use super::violation::{Broken, Cause, More, Violations};
use crate::{Call, Ending, Hook, Phase};

/// Checks what a stage gives against a JSON Schema: for stages whose output is a [`serde_json::Value`], or an `Option` of one.
///
/// A value that does not fit fails the call as `SF0314`; [`Violations::of`] the error names up to eight places. An output
/// of another type fails, too: it cannot be checked, and to let it pass would be to claim that it was. A value that is deeper or
/// larger than its bounds fails before it is looked at any closer.
///
/// The schema is compiled once. It is read as the draft that its `$schema` names, else as 2020-12. References to other documents
/// are refused: nothing is fetched. Patterns are matched in linear time, without look-around and back-references. `format` is
/// checked only where the draft says so.
///
/// It is closest to the stage, so a cache never keeps what does not fit, and a layer that tries again sees the failure. A clone
/// shares the compiled schema.
///
/// ```
/// use serde_json::json;
/// use stageflow_interceptors::{JsonContract, Stack};
///
/// let answer = JsonContract::new("answer", &json!({
///     "type": "object",
///     "required": ["text"],
///     "properties": { "text": { "type": "string", "minLength": 1 } },
/// }))?;
/// assert!(answer.check(&json!({ "text": "yes" })).is_ok());
///
/// let broken = answer.check(&json!({ "text": 1 })).unwrap_err();
/// assert_eq!(broken.found()[0].at(), "/text");
/// let stack = Stack::new().with(answer);
/// # Ok::<(), stageflow_interceptors::SchemaError>(())
/// ```
#[derive(Clone)]
pub struct JsonContract {
    name: Arc<str>,
    validator: Arc<Validator>,
    bounds: Bounds,
}

impl JsonContract {
    /// How deep a value may be nested unless told otherwise.
    pub const MAX_DEPTH: usize = 64;
    /// How large a value may be unless told otherwise, in bytes: those of its texts and keys, and eight for each item.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// A contract with this name, for errors.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if the schema is not one, is nested too deep, too large, or refers to another document.
    pub fn new(name: impl Into<Arc<str>>, schema: &Value) -> Result<Self, SchemaError> {
        let name = name.into();
        let refused = |at: String, why: String| SchemaError {
            name: Arc::clone(&name),
            at,
            why,
        };
        measure(schema, BOUNDS).map_err(|beyond| refused(String::new(), BOUNDS.told(beyond)))?;
        // Patterns come with the schema and meet what anybody sends: they must not take longer than the text is long.
        let patterns = jsonschema::PatternOptions::regex().size_limit(MAX_PATTERN);
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(patterns)
            .build(schema)
            .map_err(|error| refused(error.instance_path().to_string(), error.to_string()))?;
        Ok(Self {
            name,
            validator: Arc::new(validator),
            bounds: BOUNDS,
        })
    }

    /// Takes values that are nested so deep at most.
    #[must_use]
    pub fn max_depth(mut self, depth: std::num::NonZeroUsize) -> Self {
        self.bounds.depth = depth.get().min(DEEPEST);
        self
    }

    /// Takes values that are so large at most, in bytes: those of texts and keys, and eight for each item.
    #[must_use]
    pub fn max_bytes(mut self, bytes: std::num::NonZeroUsize) -> Self {
        self.bounds.bytes = bytes.get();
        self
    }

    /// Its name.
    #[must_use]
    pub fn contract_name(&self) -> &str {
        &self.name
    }

    /// Checks a value by itself.
    ///
    /// # Errors
    ///
    /// [`Violations`] if the value does not fit.
    pub fn check(&self, value: &Value) -> Result<(), Violations> {
        if let Err(beyond) = measure(value, self.bounds) {
            return Err(self.whole(self.bounds.told(beyond)));
        }
        let mut errors = self.validator.iter_errors(value);
        let found: Vec<_> = errors
            .by_ref()
            .take(Violations::MOST)
            .map(|error| Broken {
                at: error.instance_path().to_string(),
                what: error.masked().to_string(),
            })
            .collect();
        if found.is_empty() {
            return Ok(());
        }
        let more = match errors.next() {
            None => More::No,
            Some(_) => More::Yes,
        };
        Err(Violations {
            contract: Arc::clone(&self.name),
            found,
            more,
        })
    }

    fn check_any(&self, value: &DynValue, type_name: &str) -> Result<(), Violations> {
        if let Some(value) = value.downcast_ref::<Value>() {
            return self.check(value);
        }
        match value.downcast_ref::<Option<Value>>() {
            Some(Some(value)) => self.check(value),
            Some(None) => Ok(()),
            None => Err(self.whole(format!("it is a `{type_name}`, and no JSON"))),
        }
    }

    fn whole(&self, what: String) -> Violations {
        Violations {
            contract: Arc::clone(&self.name),
            found: vec![Broken {
                at: String::new(),
                what,
            }],
            more: More::No,
        }
    }
}

const BOUNDS: Bounds = Bounds {
    depth: JsonContract::MAX_DEPTH,
    bytes: JsonContract::MAX_BYTES,
};

/// No bound may be deeper: whoever looks at the value does so with recursion.
const DEEPEST: usize = 256;

/// What a compiled pattern may take, in bytes.
const MAX_PATTERN: usize = 1024 * 1024;

impl Bounds {
    fn told(self, beyond: Beyond) -> String {
        match beyond {
            Beyond::Depth => format!("it is nested deeper than {}", self.depth),
            Beyond::Bytes => format!("it is larger than {} bytes", self.bytes),
        }
    }
}

impl Hook for JsonContract {
    fn name(&self) -> &str {
        "contract"
    }

    fn phase(&self) -> Phase {
        Phase::Inner
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        let Ending::Succeeded(value) = ending else {
            return;
        };
        if let Err(violations) = self.check_any(value, call.value_type_name()) {
            *ending = Ending::Failed(call.error(StageErrorKind::Invalid, Cause(violations)));
        }
    }
}

impl fmt::Debug for JsonContract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonContract")
            .field("name", &self.name)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}

/// A schema that no value can be held against.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "SF0316: the schema of contract `{name}` cannot be used: {}{why}; correct it, or leave the contract out",
    place(at)
)]
pub struct SchemaError {
    name: Arc<str>,
    at: String,
    why: String,
}

impl SchemaError {
    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0316"
    }

    /// Where in the schema, as a JSON pointer; empty for the whole.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }
}

fn place(at: &str) -> String {
    match at {
        "" => String::new(),
        at => format!("at {at}: "),
    }
}
