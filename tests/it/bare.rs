//! A host of a stage that is no engine.

use std::future::{Future, ready};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;

use stageflow::context::testing::HostByHand;
use stageflow::context::{
    Cancel, Cleanups, EmitError, Note, OutputBag, RunHost, RunId, StageIndex, StageName, SystemIds,
};
use stageflow::prelude::*;
use tokio::time::Instant;

struct Bare {
    snapshot: ContextSnapshot,
    name: StageName,
    cancel: Cancel,
    cleanups: Cleanups,
    outputs: OutputBag,
}

/// The context of a stage of this name that nobody runs.
pub(crate) fn cx(name: &str) -> StageCx {
    let identity = RunIdentity::new(RunId::generate(&SystemIds::new()));
    let bare = Bare {
        snapshot: ContextSnapshot::new(identity),
        name: name.parse().unwrap(),
        cancel: Cancel::new(),
        cleanups: Cleanups::new(),
        outputs: OutputBag::new(),
    };
    StageCx::new(Arc::new(bare), StageIndex::new(0), NonZeroU32::MIN)
}

impl HostByHand for Bare {}

impl RunHost for Bare {
    fn identity(&self) -> &RunIdentity {
        self.snapshot.identity()
    }

    fn snapshot(&self) -> &ContextSnapshot {
        &self.snapshot
    }

    fn stage_name(&self, _: StageIndex) -> &StageName {
        &self.name
    }

    fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn cleanups(&self) -> &Cleanups {
        &self.cleanups
    }

    fn outputs(&self) -> &OutputBag {
        &self.outputs
    }

    fn heartbeat(&self, _: StageIndex) {}

    fn try_emit(&self, _: StageIndex, _: u32, _: Note) -> Result<(), EmitError> {
        Ok(())
    }

    fn count_refused(&self) {}

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(ready(()))
    }
}
