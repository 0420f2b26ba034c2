//! A run that no engine has started, to get at what is kept of an org.

use std::pin::Pin;

use stageflow::context::{
    Cancel, Cleanups, EmitError, Note, OutputBag, RunHost, StageIndex, StageName,
};
use stageflow::prelude::*;
use stageflow::tenancy::{TenantError, TenantScope};
use tokio::time::Instant;

/// Somebody else's run, but for the org.
struct Masked {
    snapshot: ContextSnapshot,
    inner: StageCx,
}

impl RunHost for Masked {
    fn identity(&self) -> &RunIdentity {
        self.snapshot.identity()
    }

    fn snapshot(&self) -> &ContextSnapshot {
        &self.snapshot
    }

    fn stage_name(&self, stage: StageIndex) -> &StageName {
        self.inner.host().stage_name(stage)
    }

    fn cancel(&self) -> &Cancel {
        self.inner.host().cancel()
    }

    fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    fn cleanups(&self) -> &Cleanups {
        self.inner.host().cleanups()
    }

    fn outputs(&self) -> &OutputBag {
        self.inner.host().outputs()
    }

    fn heartbeat(&self, _: StageIndex) {}

    fn try_emit(&self, _: StageIndex, _: u32, _: Note) -> Result<(), EmitError> {
        Ok(())
    }

    fn count_refused(&self) {}

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

fn scope_of(snapshot: ContextSnapshot, inner: StageCx) -> Result<TenantScope, TenantError> {
    TenantScope::of_host(&Masked { snapshot, inner })
}

fn main() {}
