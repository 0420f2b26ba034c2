//! The lines that a journal writes of its own: how a file begins, and that it was opened again.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Chain, Format};

/// The version of the journal's form that this crate writes.
pub(super) const VERSION: u32 = 1;

/// The type of such a line where lines are `CloudEvents`.
const TYPE: &str = "dev.stageflow.journal";

/// What such a line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Control {
    pub(super) version: u32,
    pub(super) what: What,
    /// The number of the file that it stands in, from 1.
    pub(super) file: u64,
    /// How many records the journal had before, in this file and all others that there ever were.
    pub(super) records: u64,
    /// Which lines are chained from here on.
    pub(super) chain: Chain,
    /// What was deleted so far.
    pub(super) deleted: Deleted,
    /// How many bytes at the end of the file were no whole line when it was opened again. They are kept beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) torn_bytes: Option<u64>,
}

/// Why it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// The file begins.
    Begins,
    /// A new process goes on with the file.
    Resumes,
}

/// Old files that the journal deleted itself, to keep within its bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deleted {
    /// How many: those with the lowest numbers.
    pub(super) files: u64,
    /// How many records were in them.
    pub(super) records: u64,
}

#[derive(Deserialize)]
struct Native {
    journal: Control,
}

#[derive(Deserialize)]
struct Cloud {
    #[serde(rename = "type")]
    kind: String,
    data: Control,
}

impl Control {
    /// As a line, without a link.
    pub(super) fn line(&self, format: Format, n: u64) -> Value {
        match format {
            Format::Native => json!({ "journal": self }),
            Format::CloudEvents => json!({
                "specversion": "1.0",
                "id": format!("journal/{n}"),
                "source": "/stageflow",
                "type": TYPE,
                "datacontenttype": "application/json",
                "data": self,
            }),
        }
    }

    /// What a line says, if it is one of these.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        // Most lines are not, and this one is looked for in each.
        if !contains(line, b"journal") {
            return None;
        }
        if let Ok(native) = serde_json::from_slice::<Native>(line) {
            return Some(native.journal);
        }
        let cloud: Cloud = serde_json::from_slice(line).ok()?;
        (cloud.kind == TYPE).then_some(cloud.data)
    }
}

fn contains(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|bytes| bytes == word)
}
