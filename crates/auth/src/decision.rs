//! What a policy decides.

use std::borrow::Cow;
use std::fmt;

/// What a policy decides: yes, no, or that it cannot tell, with its reason. The reason is for those who run the engine; whoever
/// asked is told [`AccessError::public`](crate::AccessError::public).
///
/// ```
/// use stageflow_auth::Decision;
///
/// let decision = Decision::deny("it is after six").by("office-hours");
/// assert!(!decision.is_allowed());
/// assert_eq!(decision.to_string(), "denied by `office-hours`: it is after six");
///
/// assert!(!Decision::default().is_allowed()); // nothing is allowed by default
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    verdict: Verdict,
    reason: Cow<'static, str>,
    policy: Cow<'static, str>,
}

/// Yes, no, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Yes.
    Allowed,
    /// No.
    Denied,
    /// It could not be found out. It counts as no, unless somebody has said otherwise: see
    /// [`Authorize::when_undecided`](crate::Authorize::when_undecided).
    Undecided,
}

impl Verdict {
    /// In lower case, as events have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Undecided => "undecided",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Decision {
    /// Yes, because of this.
    pub fn allow(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Verdict::Allowed, reason.into())
    }

    /// No, because of this.
    pub fn deny(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Verdict::Denied, reason.into())
    }

    /// It cannot be told, because of this.
    pub fn undecided(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Verdict::Undecided, reason.into())
    }

    fn new(verdict: Verdict, reason: Cow<'static, str>) -> Self {
        Self {
            verdict,
            reason,
            policy: Cow::Borrowed(""),
        }
    }

    /// The same, by the policy of this name.
    #[must_use]
    pub fn by(self, policy: impl Into<Cow<'static, str>>) -> Self {
        let policy = policy.into();
        Self { policy, ..self }
    }

    /// The same, by this policy unless it is said already whose it is.
    #[must_use]
    pub(crate) fn by_default(self, policy: &str) -> Self {
        if self.policy.is_empty() {
            self.by(policy.to_owned())
        } else {
            self
        }
    }

    /// Whether it is a yes.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allowed
    }

    /// Yes, no, or neither.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The policy that decided: of several, the one whose word counted. Empty if that is not said.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }
}

/// No.
impl Default for Decision {
    fn default() -> Self {
        Self::deny("nothing allows it")
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verdict.fmt(f)?;
        if !self.policy.is_empty() {
            write!(f, " by `{}`", self.policy)?;
        }
        write!(f, ": {}", self.reason)
    }
}
