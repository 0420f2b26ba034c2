//! What tests of layers share.

use serde_json::Value;
use stageflow::events::EventKind;
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;

/// Refuses or rejects inside all other layers, right before the stage.
pub(crate) struct Inside(pub(crate) fn(&Call<'_>) -> Flow);

impl Hook for Inside {
    fn name(&self) -> &str {
        "inside"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        (self.0)(call)
    }
}

/// What layers have said, in order: the names of their notices, and the details.
pub(crate) fn notices(sink: &RecordingSink) -> Vec<(String, Value)> {
    let told = sink.all().into_iter();
    told.filter_map(|recorded| match recorded.event.kind() {
        EventKind::Layer { notice, .. } => {
            Some((notice.name().to_string(), notice.payload().clone()))
        }
        _ => None,
    })
    .collect()
}
