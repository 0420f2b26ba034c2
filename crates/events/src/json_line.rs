//! One line of JSON that nobody can split.

use serde::Serialize;

use crate::redact::is_unsafe;

/// The value as one line of JSON, without the line break at its end. Beside what JSON escapes, everything is escaped that some
/// reader takes for the end of a line, or some terminal for a command: `U+2028`, `U+0085`, `U+009B`, changes of the direction
/// of writing. It is the same JSON.
///
/// ```
/// use stageflow_events::json_line;
///
/// assert_eq!(json_line(&"one\u{2028}line\n")?, r#""one\u2028line\n""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
///
/// What the value's `Serialize` says.
pub fn json_line(value: &(impl Serialize + ?Sized)) -> Result<String, serde_json::Error> {
    let line = serde_json::to_string(value)?;
    if !line.contains(is_unsafe) {
        return Ok(line);
    }
    // All that is left of these is inside strings: JSON has none of them outside.
    let mut safe = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        if is_unsafe(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str("\\u");
                safe.extend([12, 8, 4, 0].map(|shift| hex_digit((*unit >> shift) & 0xf)));
            }
        } else {
            safe.push(c);
        }
    }
    Ok(safe)
}

fn hex_digit(value: u16) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}
