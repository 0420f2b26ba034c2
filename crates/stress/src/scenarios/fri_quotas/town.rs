//! Tenants, the work they have done, and how many of them are at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stageflow::context::{OrgId, SeededIds};
use stageflow::prelude::*;

use crate::LabError;

/// Counts who is at work, by itself.
pub(super) struct Town {
    orgs: Vec<OrgId>,
    counts: Arc<Counts>,
}

struct Counts {
    own: usize,
    at_a_time: usize,
    inside: Vec<AtomicUsize>,
    all: AtomicUsize,
    overruns: AtomicUsize,
}

impl Town {
    pub(super) fn new(orgs: usize, own: usize, at_a_time: usize) -> Self {
        let ids = SeededIds::new(4711);
        Self {
            orgs: (0..orgs).map(|_| OrgId::generate(&ids)).collect(),
            counts: Arc::new(Counts {
                own,
                at_a_time,
                inside: (0..orgs).map(|_| AtomicUsize::new(0)).collect(),
                all: AtomicUsize::new(0),
                overruns: AtomicUsize::new(0),
            }),
        }
    }

    pub(super) fn orgs(&self) -> &[OrgId] {
        &self.orgs
    }

    /// How often more were at work than may be.
    pub(super) fn overruns(&self) -> usize {
        self.counts.overruns.load(Ordering::SeqCst)
    }

    /// One stage that takes as many milliseconds as its input says.
    pub(super) fn pipeline(&self) -> Result<Pipeline<(usize, u64), u64>, LabError> {
        let counts = Arc::clone(&self.counts);
        let work = stage_fn(move |_cx: StageCx, input: Arc<(usize, u64)>| {
            let counts = Arc::clone(&counts);
            async move {
                let (org, takes) = *input;
                let inside = &counts.inside[org];
                let own = inside.fetch_add(1, Ordering::SeqCst) + 1;
                let all = counts.all.fetch_add(1, Ordering::SeqCst) + 1;
                let over = own > counts.own || all > counts.at_a_time;
                counts
                    .overruns
                    .fetch_add(usize::from(over), Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(takes)).await;
                counts.all.fetch_sub(1, Ordering::SeqCst);
                inside.fetch_sub(1, Ordering::SeqCst);
                Ok(takes)
            }
        });
        let mut p = Pipeline::builder("work");
        let input = p.input::<(usize, u64)>();
        let done = p.stage("work", work).after(input);
        p.output(done).build().map_err(LabError::new)
    }
}
