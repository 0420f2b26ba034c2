//! Tenants, the work they have done, how many of them are at it, and what they have used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use stageflow::context::{OrgId, SeededIds};
use stageflow::prelude::*;

use crate::LabError;

/// Counts who is at work and what they use, by itself.
pub(super) struct Town {
    orgs: Vec<OrgId>,
    counts: Arc<Counts>,
}

struct Counts {
    own: usize,
    at_a_time: usize,
    tokens: u64,
    inside: Vec<AtomicUsize>,
    all: AtomicUsize,
    overruns: AtomicUsize,
    used: Vec<AtomicU64>,
    too_late: AtomicUsize,
}

impl Town {
    /// So many orgs, of which each may have so many runs at a time, all together so many, and each so many tokens.
    pub(super) fn new(orgs: usize, own: usize, at_a_time: usize, tokens: u64) -> Self {
        let ids = SeededIds::new(4711);
        Self {
            orgs: (0..orgs).map(|_| OrgId::generate(&ids)).collect(),
            counts: Arc::new(Counts {
                own,
                at_a_time,
                tokens,
                inside: (0..orgs).map(|_| AtomicUsize::new(0)).collect(),
                all: AtomicUsize::new(0),
                overruns: AtomicUsize::new(0),
                used: (0..orgs).map(|_| AtomicU64::new(0)).collect(),
                too_late: AtomicUsize::new(0),
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

    /// How often somebody started who had no tokens left.
    pub(super) fn too_late(&self) -> usize {
        self.counts.too_late.load(Ordering::SeqCst)
    }

    /// The tokens that each org has used.
    pub(super) fn used(&self) -> impl Iterator<Item = (OrgId, u64)> {
        let used = self.counts.used.iter();
        let used = used.map(|used| used.load(Ordering::SeqCst));
        self.orgs.iter().copied().zip(used)
    }

    /// One stage that takes as many milliseconds as its input says, for a call that uses as many tokens.
    pub(super) fn pipeline(&self) -> Result<Pipeline<(usize, u64), u64>, LabError> {
        let counts = Arc::clone(&self.counts);
        let work = stage_fn(move |cx: StageCx, input: Arc<(usize, u64)>| {
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
                let used = &counts.used[org];
                let late = used.load(Ordering::SeqCst) >= counts.tokens;
                counts
                    .too_late
                    .fetch_add(usize::from(late), Ordering::SeqCst);
                let call = cx.operation(Operation::chat("m"), async |op| {
                    tokio::time::sleep(Duration::from_millis(takes)).await;
                    used.fetch_add(takes, Ordering::SeqCst);
                    op.used(Usage::tokens(takes / 2, takes - takes / 2));
                    Ok::<_, Stop>(())
                });
                call.await?;
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
