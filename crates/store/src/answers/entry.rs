//! What is kept under a key.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stageflow_context::{Fingerprint, RunId, UserId};
use stageflow_interceptors::idempotency::{Asker, Kept, StoreError as AnswerError, Token};

/// What is known under a key, and how great the last token was.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) token: u64,
    /// The digest of the parameters it was begun with.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "digits")]
    pub(super) parameters: Option<Fingerprint>,
    /// The run of whoever began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<RunId>,
    /// For whom they began it: a column of its own, so that it is erased with them.
    #[serde(skip)]
    pub(super) user: Option<UserId>,
    #[serde(flatten)]
    pub(super) state: State,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum State {
    /// It was done.
    Done { answer: Answer, until: u64 },
    /// Nobody is at it.
    Free,
    /// Somebody is at it, and alive until then.
    Held { until: u64 },
}

/// A digest as it is kept: 64 hex digits.
mod digits {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use stageflow_context::Fingerprint;

    #[expect(clippy::ref_option, reason = "this is how serde calls it")]
    pub(super) fn serialize<S: Serializer>(
        digest: &Option<Fingerprint>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        digest.map(|digest| digest.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Fingerprint>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(D::Error::custom)?;
        Ok(Some(Fingerprint::from_bytes(bytes)))
    }
}

/// An answer as text: hex digits, so that any bytes are JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Answer(String);

impl Answer {
    fn new(bytes: &[u8]) -> Self {
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        let digit = |half: u8| DIGITS[usize::from(half & 15)];
        let digits = bytes
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(*byte)]);
        Self(digits.collect())
    }

    pub(super) fn kept(&self) -> Result<Kept, AnswerError> {
        let unreadable = || AnswerError::unreadable("an answer is not made of pairs of hex digits");
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        };
        let (pairs, rest) = self.0.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs.iter().map(|pair| byte(pair)).collect();
        match bytes {
            Some(bytes) if rest.is_empty() => Kept::from_bytes(&bytes),
            _ => Err(unreadable()),
        }
    }
}

impl Entry {
    pub(super) fn begun(token: u64, asker: &Asker, now: u64, lease: Duration) -> Self {
        let until = after(now, lease);
        Self {
            token,
            parameters: asker.parameters,
            run: asker.run,
            user: asker.user,
            state: State::Held { until },
        }
    }

    pub(super) fn renewed(self, now: u64, lease: Duration) -> Self {
        let until = after(now, lease);
        let state = State::Held { until };
        Self { state, ..self }
    }

    pub(super) fn done(self, answer: &[u8], now: u64, ttl: Duration) -> Self {
        let (answer, until) = (Answer::new(answer), after(now, ttl));
        let state = State::Done { answer, until };
        Self { state, ..self }
    }

    pub(super) fn free(self) -> Self {
        // Whoever let go is named by the column still: that they asked is theirs, too.
        Self {
            parameters: None,
            run: None,
            state: State::Free,
            ..self
        }
    }

    pub(super) fn is_held_by(&self, token: Token) -> bool {
        matches!(self.state, State::Held { .. }) && self.token == token.get()
    }

    /// Until when the row is needed. Of what is not done the last token is, for a while.
    pub(super) fn until(&self, now: u64, remember: u64) -> u64 {
        let until = match self.state {
            State::Done { until, .. } => until,
            State::Free => now.saturating_add(remember),
            State::Held { until } => until.saturating_add(remember),
        };
        until.min(i64::MAX.unsigned_abs())
    }
}

/// Greater than the last one. The time in microseconds, so that it is greater, too, than one that is forgotten.
pub(super) fn token_after(last: Option<u64>, now: u64) -> u64 {
    let next = last.map_or(0, |last| last.saturating_add(1));
    next.max(now.saturating_mul(1_000))
}

fn after(now: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    // A lease of less than a millisecond is not over at once.
    now.saturating_add(millis.max(1))
        .min(i64::MAX.unsigned_abs())
}
