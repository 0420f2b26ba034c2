//! The layer: a hook if it only rejects, an around layer if it lets calls wait.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stageflow_context::StageError;

use super::RateLimit;
use super::lane::{Admission, Lane, Patience, Why};
use crate::millis::millis_up;
use crate::{Around, Call, Ending, Flow, Hook, Interceptor, Key, Layer, LayerShape, Next, Phase};

const NAME: &str = "rate";

impl Interceptor<LayerShape> for RateLimit {
    fn into_layer(self) -> Layer {
        match self.rule.wait {
            None => Layer::Hook(Arc::new(Rejects(self))),
            Some(_) => Layer::Around(Arc::new(Waits(self))),
        }
    }
}

struct Rejects(RateLimit);

struct Waits(RateLimit);

impl Hook for Rejects {
    fn name(&self) -> &str {
        NAME
    }

    fn phase(&self) -> Phase {
        self.0.rule.phase
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let (key, lane) = self.0.lane(call);
        match lane.enter(self.0.patience(call)) {
            Admission::Reject(why, wait) => Flow::Reject(rejected(call, &key, why, wait)),
            Admission::Go | Admission::Wait(_) => Flow::Pass,
        }
    }
}

#[async_trait]
impl Around for Waits {
    fn name(&self) -> &str {
        NAME
    }

    fn phase(&self) -> Phase {
        self.0.rule.phase
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let (key, lane) = self.0.lane(call);
        match lane.enter(self.0.patience(call)) {
            Admission::Go => {}
            Admission::Reject(why, wait) => {
                return Ending::Failed(rejected(call, &key, why, wait));
            }
            Admission::Wait(waiting) => match waiting.turn().await {
                Ok(waited) => {
                    let told = json!({ "key": key.to_string(), "ms": millis_up(waited) });
                    call.tell(NAME, "waited", told);
                }
                Err(more) => return Ending::Failed(rejected(call, &key, Why::Wait, more)),
            },
        }
        drop(lane);
        next.run(call).await
    }
}

impl RateLimit {
    fn lane(&self, call: &Call<'_>) -> (Key, Arc<Lane>) {
        let key = self.by.key(call);
        let lane = self.lanes.get(&key);
        (key, lane)
    }

    fn patience(&self, call: &Call<'_>) -> Patience {
        Patience {
            wait: self.rule.wait,
            queue: self.rule.queue,
            deadline: call.host().deadline(),
        }
    }
}

#[cold]
fn rejected(call: &Call<'_>, key: &Key, why: Why, wait: Duration) -> StageError {
    let (word, reason) = match why {
        Why::Deadline => (
            "deadline",
            format!("the turn of `{key}` would come after the run's deadline"),
        ),
        Why::Queue => ("queue", format!("too many calls of `{key}` wait already")),
        Why::Rate => ("rate", format!("`{key}` has had its calls for now")),
        Why::Wait => (
            "wait",
            format!("the turn of `{key}` would come later than it may wait"),
        ),
    };
    let told = json!({ "key": key.to_string(), "ms": millis_up(wait), "why": word });
    call.tell(NAME, "rejected", told);
    call.rejected(NAME, reason, Some(wait))
}
