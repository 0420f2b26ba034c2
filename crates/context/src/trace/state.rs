//! The `tracestate` header: other systems' notes, which are checked and passed on.

use std::collections::HashSet;
use std::sync::Arc;

use super::shown;

/// The longest that is passed on, in bytes.
pub(super) const LONGEST: usize = 512;

const MOST: usize = 32;

/// The header as it is if it is well-formed; nothing if it is empty.
pub(super) fn checked(bytes: &[u8]) -> Result<Option<Arc<str>>, String> {
    if bytes.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let members = bytes.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let mut keys = HashSet::new();
    for member in members.filter(|member| !member.is_empty()) {
        let equals = member.iter().position(|&byte| byte == b'=');
        let (key, value) = member.split_at(equals.unwrap_or(member.len()));
        let is_well_formed = is_key(key) && value.get(1..).is_some_and(is_value);
        if !is_well_formed {
            return Err(format!("`{}` is no entry of it", shown(member)));
        }
        if !keys.insert(key) {
            return Err(format!("`{}` is there twice", shown(key)));
        }
        if keys.len() > MOST {
            return Err(format!("it has more than {MOST} entries"));
        }
    }
    let text = str::from_utf8(bytes).unwrap_or_default();
    Ok((!keys.is_empty()).then(|| text.into()))
}

fn is_key(key: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = |byte: &u8| is_letter(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    key.len() <= 256 && key.first().is_some_and(is_letter) && key.iter().all(fits)
}

/// Printable, without `=`; it was split at the commas and does not end in a space.
fn is_value(value: &[u8]) -> bool {
    (1..=256).contains(&value.len())
        && value
            .iter()
            .all(|byte| matches!(byte, b' '..=b'~') && *byte != b'=')
}
