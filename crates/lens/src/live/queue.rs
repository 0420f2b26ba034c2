//! What queues between stages have said last.

use std::collections::BTreeMap;

use serde_json::Value;

/// A queue or a buffer of a stage, as far as its events tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueRow {
    /// How much was in it when it last said so.
    pub depth: u64,
    /// The most that was ever in it, as far as is known.
    pub deepest: u64,
    /// Whether it was nearly full when it last said so.
    pub throttled: bool,
    /// Whether it is closed.
    pub closed: bool,
    /// How many chunks it lost, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl QueueRow {
    pub(super) fn observe(&mut self, kind: &str, data: &Value) {
        let number = |field: &str| data.get(field).and_then(Value::as_u64);
        if let Some(size) = number("queue_size").or_else(|| number("queued_items")) {
            self.depth = size;
            self.deepest = self.deepest.max(size);
        }
        match kind {
            "stream.chunk_dropped" => {
                let reason = data.get("reason").and_then(Value::as_str);
                let reason = super::text::plain(reason.unwrap_or("unknown"));
                // The reasons are few; what is none of them is not kept apart without end.
                let reason = match self.dropped.len() {
                    0..8 => reason,
                    _ if self.dropped.contains_key(&reason) => reason,
                    _ => "other".to_owned(),
                };
                let dropped = self.dropped.entry(reason).or_default();
                *dropped = dropped.saturating_add(number("count").unwrap_or(1));
            }
            "stream.queue_closed" => {
                self.closed = true;
                self.deepest = self.deepest.max(number("max_queue_size").unwrap_or(0));
            }
            "stream.throttle_ended" => self.throttled = false,
            "stream.throttle_started" => self.throttled = true,
            _ => {}
        }
    }
}
