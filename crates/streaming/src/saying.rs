//! What a queue says, as events.

use std::time::Duration;

use serde_json::{Value, json};

use crate::ChunkCounts;

pub(crate) enum Saying {
    Blocked {
        count: u64,
        time: Duration,
        queue_size: u64,
    },
    Closed(ChunkCounts),
    Dropped {
        reason: Lost,
        count: u64,
        total: u64,
        queue_size: u64,
        max_size: u64,
    },
    Throttle {
        started: bool,
        fill_percent: u64,
        queue_size: u64,
    },
}

/// Why chunks are lost.
#[derive(Clone, Copy)]
pub(crate) enum Lost {
    Abandoned,
    Newest,
    Oldest,
}

impl Lost {
    fn as_str(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Newest => "queue_full",
            Self::Oldest => "displaced",
        }
    }
}

impl Saying {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Blocked { .. } => "stream.producer_blocked",
            Self::Closed(_) => "stream.queue_closed",
            Self::Dropped { .. } => "stream.chunk_dropped",
            Self::Throttle { started: true, .. } => "stream.throttle_started",
            Self::Throttle { started: false, .. } => "stream.throttle_ended",
        }
    }

    pub(crate) fn payload(&self, queue: &str) -> Value {
        match self {
            Self::Blocked {
                count,
                time,
                queue_size,
            } => json!({
                "queue": queue,
                "blocked_ms": millis(*time),
                "count": count,
                "queue_size": queue_size,
            }),
            Self::Closed(counts) => json!({
                "queue": queue,
                "total_items": counts.accepted,
                "dropped_items": counts.dropped + counts.discarded,
                "queued_items": counts.queued,
                "blocked_sends": counts.waits,
                "max_queue_size": counts.deepest,
                "total_blocked_ms": millis(counts.waited),
            }),
            Self::Dropped {
                reason,
                count,
                total,
                queue_size,
                max_size,
            } => json!({
                "queue": queue,
                "reason": reason.as_str(),
                "count": count,
                "total": total,
                "queue_size": queue_size,
                "max_size": max_size,
            }),
            Self::Throttle {
                fill_percent,
                queue_size,
                ..
            } => json!({
                "queue": queue,
                "fill_percent": fill_percent,
                "queue_size": queue_size,
            }),
        }
    }
}

/// Whole milliseconds and three digits of a part.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1_000.0
}
