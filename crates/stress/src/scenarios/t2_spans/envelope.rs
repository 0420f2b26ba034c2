//! What every record of one cause has in common, and how its spans hang together.

use serde_json::Value;
use stageflow::context::RunIdentity;

use super::forest::{Forest, text};
use super::rebuild::Tally;
use crate::{Breach, Lab};

/// What every record says of whom it is about.
pub(in crate::scenarios) struct Envelope([(&'static str, String); 6]);

impl Envelope {
    /// That of these people, in this trace.
    pub(in crate::scenarios) fn of(who: &RunIdentity, trace: String) -> Self {
        let some = |id: Option<String>| id.unwrap_or_default();
        Self([
            ("correlation_id", who.correlation_id().to_string()),
            (
                "request_id",
                some(who.request_id().map(|id| id.to_string())),
            ),
            (
                "session_id",
                some(who.session_id().map(|id| id.to_string())),
            ),
            ("user_id", some(who.user_id().map(|id| id.to_string()))),
            ("org_id", some(who.org_id().map(|id| id.to_string()))),
            ("trace_id", trace),
        ])
    }

    /// Every field is there, and says what it should.
    pub(in crate::scenarios) fn check(&self, lab: &Lab, record: &Value, tally: &mut Tally) {
        tally.records += 1;
        for (field, expected) in &self.0 {
            let found = text(record, field);
            if found.is_empty() {
                *tally.missing.entry(field).or_default() += 1;
            }
            lab.check(
                found == expected,
                "every record carries who it is about",
                Breach::Leaked,
                || format!("`{field}` should be {expected}: {record}"),
            );
        }
    }
}

/// What a run says is told of that run: `foreign` is what was said elsewhere.
pub(in crate::scenarios) fn check_foreign(
    lab: &Lab,
    record: &Value,
    foreign: bool,
    tally: &mut Tally,
) {
    tally.crossovers += u64::from(foreign);
    lab.check(
        !foreign,
        "what a run says is told of that run",
        Breach::Leaked,
        || record.to_string(),
    );
}

/// The spans are whole, below the one that the request came with.
pub(in crate::scenarios) fn check_forest(
    lab: &Lab,
    mut forest: Forest<'_>,
    came: Option<&str>,
    tally: &mut Tally,
) {
    forest.check(came);
    tally.orphans += forest.orphans;
    tally.unclosed += forest.unclosed;
    for (law, what) in forest.wrong {
        lab.check(false, law, Breach::Lost, || what);
    }
}
