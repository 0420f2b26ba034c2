//! All that is known of one tenant.

use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use stageflow_context::{Budget, BudgetLimits, OrgId};

use crate::fair::{Gate, Rule};
use crate::rate::Rate;
use crate::stages::Loans;
use crate::window::Window;
use crate::{EventUsage, QuotaDimension, StageUsage, Tenant, TenantStanding, Tier};

/// So many stages of a tenant may wait.
const STAGES: usize = 1024;

/// All that is known of one tenant, but for its runs: those are in the line with everybody's.
pub(crate) struct Member {
    pub(crate) org: OrgId,
    region: Option<Arc<str>>,
    now: RwLock<Now>,
    /// What it has spent at all.
    root: Budget,
    refused: [AtomicU64; REASONS],
    events: Mutex<EventUsage>,
    stages: Arc<Gate>,
    loans: Loans,
    stages_rejected: AtomicU64,
}

#[derive(Clone)]
struct Now {
    plan: Arc<Plan>,
    standing: TenantStanding,
}

/// What its tier says.
pub(crate) struct Plan {
    pub(crate) tier: Tier,
    pub(crate) rate: Option<Rate>,
    pub(crate) events: Option<Rate>,
    pub(crate) bytes: Option<Rate>,
    pub(crate) window: Window,
}

/// Why a run of a tenant that is known was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Quota(QuotaDimension),
    Suspended,
    ForeignBudget,
}

const REASONS: usize = QuotaDimension::ALL.len() + 2;

impl Reason {
    fn all() -> impl Iterator<Item = Self> {
        let quotas = QuotaDimension::ALL.into_iter().map(Self::Quota);
        quotas.chain([Self::Suspended, Self::ForeignBudget])
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Quota(dimension) => dimension.as_str(),
            Self::Suspended => "suspended",
            Self::ForeignBudget => "foreign_budget",
        }
    }
}

impl Plan {
    fn new(tier: &Tier, org: OrgId, root: &Budget) -> Arc<Self> {
        let quota = tier.limits();
        let level = root
            .child(format!("{org}/{}", tier.name()), quota.spending())
            // A budget that stands below one budget is not too deep.
            .unwrap_or_else(|_| Budget::new(org.to_string(), quota.spending()));
        Arc::new(Self {
            rate: quota.rate.map(Rate::new),
            events: quota.events.map(Rate::new),
            bytes: quota.bytes.map(Rate::new),
            window: Window::new(level, quota),
            tier: tier.clone(),
        })
    }

    /// What the line is told of its runs.
    pub(crate) fn runs(&self) -> Rule {
        let quota = self.tier.limits();
        Rule {
            weight: self.tier.share(),
            own: quota.runs,
            queue: quota.queue,
        }
    }

    fn is_rested(&self) -> bool {
        let mut rates = [&self.rate, &self.events, &self.bytes].into_iter();
        rates.all(|rate| rate.as_ref().is_none_or(Rate::is_rested)) && self.window.is_rested()
    }
}

impl Member {
    pub(crate) fn new(
        org: OrgId,
        tier: &Tier,
        region: Option<Arc<str>>,
        standing: TenantStanding,
    ) -> Self {
        let root = Budget::new(org.to_string(), BudgetLimits::new());
        let plan = Plan::new(tier, org, &root);
        let stages = Arc::new(Gate::new(stages_at_a_time(tier)));
        stages.rule(org, STAGE_RULE);
        Self {
            org,
            region,
            now: RwLock::new(Now { plan, standing }),
            root,
            refused: [const { AtomicU64::new(0) }; REASONS],
            events: Mutex::default(),
            stages,
            loans: Loans::default(),
            stages_rejected: AtomicU64::new(0),
        }
    }

    /// Its plan, if it may start runs.
    pub(crate) fn plan(&self) -> Option<Arc<Plan>> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        (now.standing != TenantStanding::Suspended).then(|| Arc::clone(&now.plan))
    }

    /// Its plan, also if it may start nothing.
    pub(crate) fn any_plan(&self) -> Arc<Plan> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&now.plan)
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.standing() == TenantStanding::Suspended
    }

    pub(crate) fn is_guest(&self) -> bool {
        self.standing() == TenantStanding::Guest
    }

    fn standing(&self) -> TenantStanding {
        self.now
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .standing
    }

    /// What is told of it.
    pub(crate) fn tenant(&self) -> Tenant {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Tenant {
            org: self.org,
            tier: Arc::clone(now.plan.tier.shared_name()),
            region: self.region.clone(),
            standing: now.standing,
        }
    }

    /// Moves it, and tells the line, before anybody else can move it.
    pub(crate) fn move_to(&self, tier: &Tier, line: &Arc<Gate>) {
        let plan = Plan::new(tier, self.org, &self.root);
        let rule = plan.runs();
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        now.plan = plan;
        self.stages.set_most(stages_at_a_time(tier));
        line.rule(self.org, rule);
    }

    pub(crate) fn stand(&self, standing: TenantStanding) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        now.standing = standing;
    }

    /// Places of stages that wait for what they started.
    pub(crate) fn loans(&self) -> &Loans {
        &self.loans
    }

    pub(crate) fn stages(&self) -> &Arc<Gate> {
        &self.stages
    }

    pub(crate) fn count_refused(&self, reason: Reason) {
        let at = Reason::all().position(|other| other == reason);
        if let Some(count) = at.and_then(|at| self.refused.get(at)) {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn count_rejected_stage(&self) {
        self.stages_rejected.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, EventUsage> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is lost if it is forgotten, as far as is known here.
    pub(crate) fn is_idle(&self) -> bool {
        let stages = self.stages.seen(self.org);
        stages.inside == 0 && stages.waiting == 0 && self.any_plan().is_rested()
    }

    pub(crate) fn usage(&self, line: &Gate) -> crate::TenantUsage {
        let (runs, stages) = (line.seen(self.org), self.stages.seen(self.org));
        let counts = self
            .refused
            .iter()
            .map(|count| count.load(Ordering::SeqCst));
        crate::TenantUsage {
            runs: crate::RunUsage {
                started: runs.started,
                finished: runs.finished,
                abandoned: runs.abandoned,
                running: runs.inside,
                waiting: runs.waiting,
                peak_running: runs.peak_inside,
                peak_waiting: runs.peak_waiting,
            },
            refused: Reason::all()
                .map(Reason::as_str)
                .zip(counts)
                .filter(|(_, count)| *count > 0)
                .collect(),
            stages: StageUsage {
                started: stages.started,
                finished: stages.finished,
                running: stages.inside,
                waiting: stages.waiting,
                peak_running: stages.peak_inside,
                rejected: self.stages_rejected.load(Ordering::SeqCst),
            },
            events: *self.events(),
            spent: self.root.spent(),
        }
    }
}

const STAGE_RULE: Rule = Rule {
    weight: NonZeroU16::MIN,
    own: None,
    queue: STAGES,
};

fn stages_at_a_time(tier: &Tier) -> NonZeroUsize {
    tier.limits().stages.unwrap_or(NonZeroUsize::MAX)
}
