//! Runs that ask to be let in, one step at a time.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use stageflow_context::{AuditNotice, Budget, OrgId, RunId, RunIdentity, SeededIds};
use stageflow_interceptors::{Admission, Arrival, Pass, Refusal};
use stageflow_tenancy::{QuotaError, TenantError, Tenants};

/// The `n`th org of all tests.
pub(crate) fn org(n: usize) -> OrgId {
    OrgId::generate(&SeededIds::new(1000 + n as u64))
}

pub(crate) fn size(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

pub(crate) fn weight(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap()
}

pub(crate) fn per_second(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

pub(crate) fn tokens(n: u64) -> NonZeroU64 {
    NonZeroU64::new(n).unwrap()
}

pub(crate) fn identity(org: impl Into<Option<OrgId>>) -> RunIdentity {
    RunIdentity::new(RunId::generate(&SeededIds::new(7))).with_org_id(org)
}

/// What the door has said.
pub(crate) struct Said {
    pub(crate) answer: Result<Pass, Refusal>,
    pub(crate) budget: Option<Budget>,
    pub(crate) notices: Vec<AuditNotice>,
}

impl Said {
    #[track_caller]
    pub(crate) fn pass(self) -> Pass {
        self.answer.unwrap()
    }

    #[track_caller]
    pub(crate) fn refusal(&self) -> &Refusal {
        self.answer.as_ref().unwrap_err()
    }

    /// The quota that is used up.
    #[track_caller]
    pub(crate) fn quota(&self) -> QuotaError {
        let cause = std::error::Error::source(self.refusal()).unwrap();
        cause.downcast_ref::<QuotaError>().unwrap().clone()
    }

    /// What is wrong with the tenant.
    #[track_caller]
    pub(crate) fn tenant(&self) -> TenantError {
        let cause = std::error::Error::source(self.refusal()).unwrap();
        cause.downcast_ref::<TenantError>().unwrap().clone()
    }
}

/// A run at the door.
pub(crate) struct Asking {
    future: Pin<Box<dyn Future<Output = Said> + Send>>,
    woken: Arc<Woken>,
}

#[derive(Default)]
pub(crate) struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Asking {
    /// A run of this org asks. Nothing happens before it is polled.
    pub(crate) fn of(tenants: &Tenants, org: impl Into<Option<OrgId>>) -> Self {
        Self::spending(tenants, org, None)
    }

    pub(crate) fn spending(
        tenants: &Tenants,
        org: impl Into<Option<OrgId>>,
        budget: Option<Budget>,
    ) -> Self {
        let (admission, identity) = (tenants.admission(), identity(org));
        let future = Box::pin(async move {
            let mut arrival = Arrival::new("answer", identity).with_budget(budget);
            let answer = admission.admit(&mut arrival).await;
            let (_, _, budget, notices) = arrival.into_parts();
            Said {
                answer,
                budget,
                notices,
            }
        });
        Self {
            future,
            woken: Arc::default(),
        }
    }

    /// What the door says, if it has said something.
    pub(crate) fn poll(&mut self) -> Option<Said> {
        let waker = Waker::from(Arc::clone(&self.woken));
        match self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(said) => Some(said),
            Poll::Pending => None,
        }
    }

    /// How often it was woken.
    pub(crate) fn woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }
}

/// What the door says at once.
#[track_caller]
pub(crate) fn ask(tenants: &Tenants, org: impl Into<Option<OrgId>>) -> Said {
    Asking::of(tenants, org).poll().expect("it does not wait")
}

/// A run that waits.
#[track_caller]
pub(crate) fn waits(tenants: &Tenants, org: OrgId) -> Asking {
    let mut asking = Asking::of(tenants, org);
    assert!(asking.poll().is_none(), "it does not wait");
    asking
}
