//! The same error again and again.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use stageflow_context::Outcome;
use stageflow_events::EventRecord;

use super::FindingKind;
use super::run::Complaints;
use crate::field::{at, outcome, text};

/// What is no backoff.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// So many times the same error.
    pub(super) repeats: NonZeroU32,
    /// Waits as long as this are in order, also if they do not grow.
    pub(super) pause: Duration,
}

/// More places than these are not looked at.
const MOST: usize = 4096;

/// The places of a run at which something fails over and over.
#[derive(Debug, Default)]
pub(super) struct Retries(HashMap<(String, String), Streak>);

#[derive(Debug)]
struct Streak {
    code: String,
    error: String,
    count: u32,
    first_seq: u64,
    ended: Duration,
    first_wait: Option<Duration>,
    last_wait: Duration,
    longest: Duration,
    /// Whether another attempt has started since.
    again: bool,
    told: bool,
}

impl Retries {
    pub(super) fn check(
        &mut self,
        record: &EventRecord,
        patience: Patience,
        complaints: &mut Complaints<'_>,
    ) {
        let stage = record.stage.clone().unwrap_or_default();
        let part = record.part.clone().unwrap_or_default();
        match record.kind.as_str() {
            "stage.started" | "part.started" => {
                if let Some(streak) = self.0.get_mut(&(stage, part)) {
                    streak.again(at(record));
                }
            }
            "stage.ended" | "part.ended" if outcome(record) == Some(Outcome::Succeeded) => {
                self.0.remove(&(stage, part));
            }
            "stage.ended" | "part.ended" => {
                self.failed((stage, part), record, patience, complaints);
            }
            _ => {}
        }
    }

    fn failed(
        &mut self,
        place: (String, String),
        record: &EventRecord,
        patience: Patience,
        complaints: &mut Complaints<'_>,
    ) {
        let Some(error) = text(record, "error") else {
            self.0.remove(&place);
            return;
        };
        // The text names the attempt.
        let attempt = format!(" in attempt {}", record.attempt.unwrap_or(0));
        let error = error.replacen(&attempt, "", 1);
        let code = text(record, "code").unwrap_or_default();
        let known = self.0.get_mut(&place);
        let Some(streak) = known.filter(|streak| streak.code == code && streak.error == error)
        else {
            if self.0.len() < MOST || self.0.contains_key(&place) {
                self.0
                    .insert(place, Streak::new(code.to_owned(), error, record));
            }
            return;
        };
        streak.count += u32::from(std::mem::take(&mut streak.again));
        streak.ended = at(record);
        if streak.count >= patience.repeats.get()
            && !streak.backs_off(patience.pause)
            && !streak.told
        {
            streak.told = true;
            let Streak {
                count,
                longest,
                first_seq,
                ..
            } = streak;
            let what = format!(
                "it failed {count} times in a row with the same error {code}, and waited {longest:?} at most in between"
            );
            complaints.say_from(FindingKind::HotRetry, *first_seq, record, what);
        }
    }
}

impl Streak {
    fn new(code: String, error: String, record: &EventRecord) -> Self {
        Self {
            code,
            error,
            count: 1,
            first_seq: record.seq,
            ended: at(record),
            first_wait: None,
            last_wait: Duration::ZERO,
            longest: Duration::ZERO,
            again: false,
            told: false,
        }
    }

    fn again(&mut self, at: Duration) {
        let wait = at.saturating_sub(self.ended);
        self.first_wait.get_or_insert(wait);
        self.last_wait = wait;
        self.again = true;
        self.longest = self.longest.max(wait);
    }

    /// Whether waits grow, or are long anyway.
    fn backs_off(&self, pause: Duration) -> bool {
        self.longest >= pause || self.first_wait.is_some_and(|first| self.last_wait > first)
    }
}
