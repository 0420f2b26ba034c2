//! Who asks for work under a key.

use stageflow_context::{Fingerprint, RunId, UserId};

use crate::Call;

/// Who asks for work under a key, and with which parameters. Whoever becomes the holder is remembered as the one whose answer
/// it is: a user who is to be forgotten has left it.
///
/// Who asks is not part of the [`Scope`](super::Scope): one user of an org is given the answer that another one's request had.
/// The parameters are: with others it is [`Begun::Mismatch`](super::Begun::Mismatch).
///
/// ```
/// use stageflow_context::{SystemIds, UserId};
/// use stageflow_interceptors::idempotency::Asker;
///
/// let ada = UserId::generate(&SystemIds::new());
/// assert_eq!(Asker::new().of_user(ada).user, Some(ada));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Asker {
    /// The digest of the parameters, if they are known.
    pub parameters: Option<Fingerprint>,
    /// The run that asks.
    pub run: Option<RunId>,
    /// The user its run is for.
    pub user: Option<UserId>,
}

impl Asker {
    /// Nobody in particular, with parameters that are not known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn of(call: &Call<'_>, parameters: Option<&Fingerprint>) -> Self {
        let identity = call.host().identity();
        Self {
            parameters: parameters.copied(),
            run: Some(identity.run_id()),
            user: identity.user_id(),
        }
    }

    /// The same, with these parameters.
    #[must_use]
    pub fn with_parameters(self, parameters: impl Into<Option<Fingerprint>>) -> Self {
        let parameters = parameters.into();
        Self { parameters, ..self }
    }

    /// The same, in this run.
    #[must_use]
    pub fn in_run(self, run: impl Into<Option<RunId>>) -> Self {
        let run = run.into();
        Self { run, ..self }
    }

    /// The same, for this user.
    #[must_use]
    pub fn of_user(self, user: impl Into<Option<UserId>>) -> Self {
        let user = user.into();
        Self { user, ..self }
    }
}
