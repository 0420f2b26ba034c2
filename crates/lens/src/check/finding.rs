//! What was found.

use std::fmt;

use serde::Serialize;

/// Something in the records that should not be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// The run; empty if it is about none.
    pub run_id: String,
    /// The pipeline.
    pub pipeline: String,
    /// The stage, and the place in it, if it is about one: `ask[3]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The number of the first event it is about.
    pub first_seq: u64,
    /// The number of the last one.
    pub last_seq: u64,
    /// What is wrong, in a sentence.
    pub what: String,
    /// What to look at.
    pub look: &'static str,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// It may well follow from another one: from events that are missing.
    Notice,
    /// Nothing is wrong with the records, but somebody should know.
    Warning,
    /// The records do not tell what happened.
    Error,
}

macro_rules! kinds {
    ($($(#[$doc:meta])+ $name:ident, $text:literal, $severity:ident, $look:literal;)+) => {
        /// What kind of thing was found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum FindingKind {
            $($(#[$doc])+ $name,)+
        }

        impl FindingKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// In a few words, as tables show it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// How bad it is by itself.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)+
                }
            }

            /// What to look at.
            #[must_use]
            pub const fn look(self) -> &'static str {
                match self {
                    $(Self::$name => $look,)+
                }
            }
        }
    };
}

kinds! {
    /// Records of a run that come after its end.
    AfterEnd, "after the end", Error, "who emits for a run that has ended";
    /// An end of an attempt, a part or an operation that did not start.
    EndWithoutStart, "end without start", Error, "the events before it, and what the sink dropped";
    /// Numbers that are missing, and no sink said that it dropped them.
    Gap, "gap", Error, "whether all files of the journal were read, and the report's count of dropped events";
    /// The same error again and again, without waiting longer each time.
    HotRetry, "retries without backoff", Warning, "the retry policy of the stage, and what it calls";
    /// Numbers that are missing, and a sink said that it dropped them.
    Lost, "lost", Warning, "the sink's capacity and what it delivers to: it dropped these events, and counted them";
    /// A field that every record of its type has is empty.
    MissingField, "missing field", Error, "what wrote the record: engines fill in all of them";
    /// Records of one run that name different people or causes.
    MixedIdentity, "mixed identity", Error, "what wrote the records: a run is for one request of one org";
    /// A run whose last record is missing.
    NeverEnded, "never ended", Error, "whether the process was stopped, or the run still goes on";
    /// A run whose first record is missing.
    NeverStarted, "never started", Error, "whether the oldest files of the journal were read";
    /// An attempt, a part or an operation that started and did not end.
    OrphanStart, "orphan start", Error, "whether the process was stopped there, or the stage still runs";
    /// Records of a run that do not stand in the order of their numbers.
    OutOfOrder, "out of order", Error, "the sink: events of one run are handed to it in order";
    /// A record that came twice.
    Repeated, "repeated", Error, "whether the same file was read twice, or the sink delivers again what was taken";
    /// A stage that started before one it waits for had ended.
    StartedEarly, "started early", Error, "the engine: a stage starts when all it waits for has ended";
    /// An attempt, a part, an operation or a run that started while it was open.
    StartedTwice, "started twice", Error, "the engine: there is one attempt at a time";
    /// Something in a span that is not open.
    StraySpan, "stray span", Error, "the events before it: what it belongs to has ended, or was never opened";
    /// A record that is older than the one before it.
    TimeBackwards, "time goes back", Error, "what wrote the records: the time of a run never steps";
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Severity {
    /// In lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Notice => "notice",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, self.kind)?;
        if let Some(stage) = &self.stage {
            write!(f, " in `{stage}`")?;
        }
        write!(
            f,
            " of {}: {}; look at {}",
            self.run_id, self.what, self.look
        )
    }
}
