//! The layer: in, inside, out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stageflow_context::ErrorClass;
use tokio::time::{Instant, timeout};

use super::Bulkhead;
use super::room::{Entry, Permit, Place, Resized, Room, Turn, Verdict};
use crate::millis::millis_up;
use crate::{Around, Call, Ending, Key, Next, Phase};

const NAME: &str = "bulkhead";

#[async_trait]
impl Around for Bulkhead {
    fn name(&self) -> &str {
        NAME
    }

    fn phase(&self) -> Phase {
        self.phase
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let key = self.by.key(call);
        let room = self.rooms.get(&key);
        let permit = match room.enter(call.host().weight()) {
            Entry::Come(permit) => permit,
            Entry::Wait(place) => match self.turn(call, &key, place).await {
                Ok(permit) => permit,
                Err(ending) => return ending,
            },
            Entry::Full(after) => return full(call, &key, &room, after),
        };
        drop(room);
        let ending = next.run(call).await;
        let verdict = self.verdict(&ending, permit.took());
        if let Some(resized) = permit.done(verdict) {
            tell_resized(call, &key, resized);
        }
        ending
    }
}

impl Bulkhead {
    async fn turn(
        &self,
        call: &mut Call<'_>,
        key: &Key,
        mut place: Place,
    ) -> Result<Permit, Ending> {
        let since = Instant::now();
        let turn = match self.wait {
            None => place.turn().await,
            Some(wait) => match timeout(wait, place.turn()).await {
                Ok(turn) => turn,
                Err(_) => {
                    let after = place.wait();
                    drop(place);
                    return Err(too_long(call, key, since.elapsed(), after));
                }
            },
        };
        match turn {
            Some(Turn::Come(permit)) => {
                let told = json!({ "key": key.to_string(), "ms": millis_up(since.elapsed()) });
                call.tell(NAME, "waited", told);
                Ok(permit)
            }
            Some(Turn::Shed(after)) => Err(shed(call, key, since.elapsed(), after)),
            // The line does not forget those that wait.
            None => Err(shed(call, key, since.elapsed(), None)),
        }
    }

    fn verdict(&self, ending: &Ending, took: Duration) -> Verdict {
        match (self.rule.aimd, ending) {
            (Some(aimd), Ending::Succeeded(_)) if aimd.is_in_time(took) => Verdict::Well,
            (Some(_), Ending::Succeeded(_)) => Verdict::Badly,
            (Some(_), Ending::Failed(error)) if error.class() == ErrorClass::Transient => {
                Verdict::Badly
            }
            _ => Verdict::Neither,
        }
    }
}

#[cold]
fn full(call: &Call<'_>, key: &Key, room: &Arc<Room>, after: Option<Duration>) -> Ending {
    let told = json!({ "key": key.to_string(), "why": "full", "ms": 0 });
    call.tell(NAME, "rejected", told);
    let seen = room.view();
    let reason = format!(
        "`{key}` is full: {} inside, {} waiting",
        seen.inside, seen.waiting
    );
    Ending::Failed(call.rejected(NAME, reason, after))
}

#[cold]
fn too_long(call: &Call<'_>, key: &Key, waited: Duration, after: Option<Duration>) -> Ending {
    let told = json!({ "key": key.to_string(), "why": "wait", "ms": millis_up(waited) });
    call.tell(NAME, "rejected", told);
    let reason = format!("`{key}` had no room for as long as a call may wait");
    Ending::Failed(call.rejected(NAME, reason, after))
}

#[cold]
fn shed(call: &Call<'_>, key: &Key, waited: Duration, after: Option<Duration>) -> Ending {
    let told = json!({ "key": key.to_string(), "ms": millis_up(waited) });
    call.tell(NAME, "shed", told);
    let reason = format!("`{key}` is full, and a call of more weight has taken the place");
    Ending::Failed(call.rejected(NAME, reason, after))
}

#[cold]
fn tell_resized(call: &Call<'_>, key: &Key, resized: Resized) {
    let told = json!({ "key": key.to_string(), "from": resized.from, "to": resized.to });
    call.tell(NAME, "resized", told);
}
