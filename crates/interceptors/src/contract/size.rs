//! How large a value from data is, found without recursion: the value may be made to overflow the stack.

use serde_json::Value;

/// The bounds on a value that is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) depth: usize,
    pub(super) bytes: usize,
}

/// What is beyond its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    Depth,
    Bytes,
}

/// Looks at no more of the value than its bounds allow. Bytes are those of its strings and keys, and eight for everything else.
pub(super) fn measure(value: &Value, bounds: Bounds) -> Result<(), Beyond> {
    let mut left = bounds.bytes;
    let mut take = |bytes: usize| {
        left.checked_sub(bytes)
            .map(|rest| left = rest)
            .ok_or(Beyond::Bytes)
    };
    let mut open = vec![(value, 1_usize)];
    while let Some((value, depth)) = open.pop() {
        match value {
            Value::String(text) => take(text.len())?,
            Value::Array(items) => {
                // All of them before any is put on the list, which would grow without a bound.
                take(items.len().saturating_mul(UNIT))?;
                inside(depth, bounds)?;
                open.extend(items.iter().map(|item| (item, depth + 1)));
            }
            Value::Object(fields) => {
                take(fields.len().saturating_mul(UNIT))?;
                inside(depth, bounds)?;
                for (key, field) in fields {
                    take(key.len())?;
                    open.push((field, depth + 1));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    Ok(())
}

/// What an item, a number or a separator counts.
const UNIT: usize = 8;

/// Whether a list or an object may be this deep; the outermost is 1 deep.
fn inside(depth: usize, bounds: Bounds) -> Result<(), Beyond> {
    match depth <= bounds.depth {
        true => Ok(()),
        false => Err(Beyond::Depth),
    }
}
