//! The keywords of JSON Schema, by what they are to a comparison.

/// Bounds from below.
pub(super) const LEAST: &[&str] = &[
    "exclusiveMinimum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
];

/// Bounds from above.
pub(super) const MOST: &[&str] = &[
    "exclusiveMaximum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
];

/// What is compared by rules of its own.
pub(super) const JUDGED: &[&str] = &[
    "additionalProperties",
    "const",
    "enum",
    "items",
    "properties",
    "required",
    "type",
];

/// What decides about no value.
pub(super) const ANNOTATIONS: &[&str] = &[
    "$comment",
    "$id",
    "default",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];
