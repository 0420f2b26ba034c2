//! A run at the door.

use std::fmt;
use std::num::NonZeroU16;

use stageflow_context::{
    Attached, AuditNotice, Budget, Credentials, OrgId, RunIdentity, Subject, UserId,
};
use tokio::time::Instant;

/// A run that is not let in yet: what it asks for, and what admissions have found out so far.
pub struct Arrival<'a> {
    pipeline: &'a str,
    identity: RunIdentity,
    credentials: Option<&'a Credentials>,
    attached: Attached,
    budget: Option<Budget>,
    deadline: Option<Instant>,
    weight: NonZeroU16,
    said: Vec<AuditNotice>,
}

impl<'a> Arrival<'a> {
    /// A run of `pipeline` as it was asked for. Made by engines, and by tests of admissions.
    #[must_use]
    pub fn new(pipeline: &'a str, identity: RunIdentity) -> Self {
        Self {
            pipeline,
            identity,
            credentials: None,
            attached: Attached::new(),
            budget: None,
            deadline: None,
            weight: const { NonZeroU16::new(4).unwrap() },
            said: Vec::new(),
        }
    }

    /// The same, with these credentials.
    #[must_use]
    pub fn with_credentials(self, credentials: Option<&'a Credentials>) -> Self {
        Self {
            credentials,
            ..self
        }
    }

    /// The same, with these values beside the context.
    #[must_use]
    pub fn with_attached(self, attached: Attached) -> Self {
        Self { attached, ..self }
    }

    /// The same, spending from this budget.
    #[must_use]
    pub fn with_budget(self, budget: Option<Budget>) -> Self {
        Self { budget, ..self }
    }

    /// The same, due at this moment.
    #[must_use]
    pub fn with_deadline(self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self }
    }

    /// The same, counting this much against others.
    #[must_use]
    pub fn with_weight(self, weight: NonZeroU16) -> Self {
        Self { weight, ..self }
    }

    /// The name of the pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &'a str {
        self.pipeline
    }

    /// Who and which run: as it was asked for, with what admissions before this one have proved in its place.
    #[must_use]
    pub fn identity(&self) -> &RunIdentity {
        &self.identity
    }

    /// What was shown, if anything was.
    #[must_use]
    pub fn credentials(&self) -> Option<&'a Credentials> {
        self.credentials
    }

    /// What travels with the run beside its context.
    #[must_use]
    pub fn attached(&self) -> &Attached {
        &self.attached
    }

    /// What the run is to spend from, if that is said.
    #[must_use]
    pub fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    /// When the run must be done, if it must.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How much the run counts against others of the same org: the weight of its priority.
    #[must_use]
    pub fn weight(&self) -> NonZeroU16 {
        self.weight
    }

    /// From now on the run is for this org, and for this user of it if there is one: it was proved.
    pub fn belongs_to(&mut self, org: OrgId, user: Option<UserId>) {
        let identity = self.identity.clone();
        self.identity = identity.with_org_id(org).with_user_id(user);
    }

    /// From now on the run is for nobody: what it said of itself was not proved, and must not be believed.
    pub fn disown(&mut self) {
        let identity = self.identity.clone();
        self.identity = identity.with_org_id(None).with_user_id(None);
    }

    /// Adds a value that travels with the run: see [`Attached`].
    pub fn attach<T: Send + Sync + 'static>(&mut self, value: T) {
        self.attached.insert(value);
    }

    /// Lets the run spend from this budget, in the place of the one it came with.
    pub fn spend_from(&mut self, budget: Budget) {
        self.budget = Some(budget);
    }

    /// Says something that must be known afterwards: an event of the run, right after its start, also if it is not let in.
    /// It names who asks, if that was [proved](Subject) by then.
    pub fn audit(&mut self, notice: AuditNotice) {
        self.said.push(match self.attached.get::<Subject>() {
            Some(subject) => notice.asked_by(&subject),
            None => notice,
        });
    }

    /// What is known at the end. Called by engines.
    #[must_use]
    pub fn into_parts(self) -> (RunIdentity, Attached, Option<Budget>, Vec<AuditNotice>) {
        (self.identity, self.attached, self.budget, self.said)
    }
}

impl fmt::Debug for Arrival<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("pipeline", &self.pipeline)
            .field("identity", &self.identity)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
