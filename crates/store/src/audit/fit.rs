//! What is too large for an entry.

use std::io;

use serde_json::{Value, json};

use super::AuditDraft;
use super::draft::sum;
use crate::Row;

/// The most that the details may be, as JSON: a row, and room for the rest of it.
const DETAILS: usize = Row::MAX_BODY - (1 << 20);
/// The most that who, or why, may be.
const WORDS: usize = 64 << 10;

impl AuditDraft {
    /// The same, where marks stand in the place of what no row could hold, with how long it was and its sum: what happened is told
    /// all the same, and what is told beside it.
    pub(super) fn fitted(mut self) -> Self {
        if length(&self.details) > DETAILS {
            let text = self.details.to_string();
            let (bytes, sum) = (text.len(), sum(text.as_bytes()));
            self.details = json!({ "too_large": { "bytes": bytes, "sum": sum } });
        }
        for words in [&mut self.who, &mut self.reason] {
            if let Some(text) = words
                && text.len() > WORDS
            {
                *text = format!("too large: {} bytes, {}", text.len(), sum(text.as_bytes()));
            }
        }
        self
    }
}

/// How long it is as JSON.
fn length(value: &Value) -> usize {
    let mut count = Count(0);
    // Counting never fails.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
