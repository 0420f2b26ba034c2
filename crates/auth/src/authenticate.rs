//! The admission that lets nobody in who is not proved.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use stageflow_context::{
    AuditArea, AuditNotice, Credentials, OrgId, Subject, SystemClock, WallClock,
};
use stageflow_interceptors::{Admission, Arrival, Pass, Phase, Refusal, RefusalKind};

use crate::{AuthError, AuthErrorKind, Authenticator, Lenience, Principal};

/// Lets in nobody who is not proved, and everybody only into their own org. An engine asks it first, once for each run that
/// nobody's stage has started.
///
/// It proves who shows the run's credentials; or it takes the [`Principal`] that a front end has proved and attached to the run.
/// Credentials count more than what is attached. Afterwards the run belongs to the principal's org and user, whatever it said
/// of itself, and each of its stages has the principal as `cx.attached::<Principal>()`, and its name as [`Subject`].
///
/// There is no default: without an authenticator there is no `Authenticate`.
///
/// ```compile_fail,E0599
/// let open_door = stageflow_auth::Authenticate::default();
/// ```
///
/// ```compile_fail,E0061
/// let open_door = stageflow_auth::Authenticate::with();
/// ```
///
/// # Events
///
/// `auth.login` with `method`, `subject`, `org`, `issuer`; or `auth.failure` with `reason`, `code`, `method`, `asked_org`, and
/// with `subject` and `org` if these were proved, and with `claimed_issuer` and `claimed_kid` if a token says these and was not
/// proved; `auth.undecided_let_in` beside the login if it was not proved this time, see
/// [`Lenience`]. None of them holds the credentials.
pub struct Authenticate {
    authenticator: Box<dyn Authenticator>,
    undecided: Lenience,
    on_failure: Option<Box<Tell>>,
    clock: Arc<dyn WallClock>,
}

/// Takes what must be known afterwards of front ends.
type Tell = dyn Fn(AuditNotice) + Send + Sync;

/// Somebody who was let in, and how.
struct Known {
    principal: Principal,
    /// Why they were not proved this time, if they were not.
    unproved: Option<AuthError>,
}

impl Authenticate {
    /// Lets in whom `authenticator` knows.
    pub fn with(authenticator: impl Authenticator) -> Self {
        Self {
            authenticator: Box::new(authenticator),
            undecided: Lenience::refuse(),
            on_failure: None,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// The same; this happens when it cannot be found out who somebody is.
    #[must_use]
    pub fn lenience(self, undecided: Lenience) -> Self {
        Self { undecided, ..self }
    }

    /// The same, with this time of day: it says whether a principal that was proved before is over.
    #[must_use]
    pub fn with_clock(self, clock: impl WallClock + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// The same, and this takes what must be known of those who are refused at front ends: `auth.failure`, as of a run, for
    /// [`Authenticate::authenticate`]. There is no run then, and so no sink that could be told; nor is it called
    /// for runs. Without it, it is a warning in the log, with the target `stageflow`.
    #[must_use]
    pub fn on_failure(self, tell: impl Fn(AuditNotice) + Send + Sync + 'static) -> Self {
        Self {
            on_failure: Some(Box::new(tell)),
            ..self
        }
    }

    /// Who shows these credentials, for front ends that must know before a run starts: attach the principal to the run. What
    /// [`Authenticate::lenience`] says does not count here.
    ///
    /// # Errors
    ///
    /// [`AuthError`] if it is not proved.
    ///
    /// # Cancellation
    ///
    /// The future may be dropped at any point.
    pub async fn authenticate(&self, credentials: &Credentials) -> Result<Principal, AuthError> {
        let proved = self.prove(credentials).await;
        proved.inspect_err(|error| self.tell_failure(error, method_of(credentials)))
    }

    /// Of a front end there is no run that could tell it.
    #[cold]
    fn tell_failure(&self, error: &AuthError, method: &str) {
        match &self.on_failure {
            Some(tell) => {
                let told = failure(error, method, None);
                tell(AuditNotice::new(AuditArea::Auth, "failure", told));
            }
            None => tracing::warn!(
                target: "stageflow",
                reason = error.kind().as_str(),
                code = error.code(),
                method,
                "somebody was refused at a front end"
            ),
        }
    }

    async fn prove(&self, credentials: &Credentials) -> Result<Principal, AuthError> {
        let principal = self.authenticator.authenticate(credentials).await?;
        self.undecided.proved(credentials, &principal);
        Ok(principal)
    }

    async fn find_out(&self, arrival: &Arrival<'_>) -> Result<Known, AuthError> {
        let Some(credentials) = arrival.credentials() else {
            let principal = arrival.attached().get::<Principal>().ok_or_else(missing)?;
            return self.known((*principal).clone(), None);
        };
        match self.prove(credentials).await {
            Ok(principal) => self.known(principal, None),
            Err(error) if error.kind() == AuthErrorKind::Undecided => {
                match self.undecided.stand_in(credentials, &error) {
                    Some(principal) => self.known(principal, Some(error)),
                    None => Err(error),
                }
            }
            Err(error) => {
                // What was proved before does not count any more.
                self.undecided.forget(credentials);
                Err(error)
            }
        }
    }

    /// Somebody who was proved at some time, and may be over by now.
    fn known(&self, principal: Principal, unproved: Option<AuthError>) -> Result<Known, AuthError> {
        match principal.valid_until() {
            Some(end) if end <= self.clock.now() => Err(AuthError::new(
                AuthErrorKind::Expired,
                "the `Principal` was proved before, and is over by now; ask again who it is before the run starts",
            )),
            _ => Ok(Known {
                principal,
                unproved,
            }),
        }
    }

    fn let_in(arrival: &mut Arrival<'_>, known: Known, asked: Option<OrgId>) -> Option<AuthError> {
        let Known {
            principal,
            unproved,
        } = known;
        let method = method(arrival);
        arrival.belongs_to(principal.org(), principal.user());
        if let Some(asked) = asked.filter(|asked| *asked != principal.org()) {
            let error = AuthError::wrong_org(principal.org(), asked);
            let mut told = failure(&error, method, Some(asked));
            told["org"] = json!(principal.org());
            told["subject"] = json!(principal.subject());
            say(arrival, "failure", told);
            return Some(error);
        }
        if let Some(error) = unproved {
            let told = json!({
                "subject": principal.subject(), "org": principal.org(), "code": error.code(), "method": method,
            });
            say(arrival, "undecided_let_in", told);
        }
        let told = json!({
            "method": method,
            "subject": principal.subject(),
            "org": principal.org(),
            "issuer": principal.issuer(),
        });
        say(arrival, "login", told);
        arrival.attach(Subject::new(principal.subject()));
        arrival.attach(principal);
        None
    }
}

#[async_trait]
impl Admission for Authenticate {
    fn name(&self) -> &str {
        "authenticate"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        let asked = arrival.identity().org_id();
        let refused = match self.find_out(arrival).await {
            Ok(known) => Self::let_in(arrival, known, asked),
            Err(error) => {
                let told = failure(&error, method(arrival), asked);
                arrival.disown();
                say(arrival, "failure", told);
                Some(error)
            }
        };
        match refused {
            None => Ok(Pass::free()),
            Some(error) => Err(error.into()),
        }
    }
}

impl fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticate")
            .field("lenience", &self.undecided)
            .finish_non_exhaustive()
    }
}

/// How long a front end waits before it asks again, when it was not found out.
const ASK_AGAIN: Duration = Duration::from_secs(5);

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        let code = error.code();
        match error.kind() {
            AuthErrorKind::WrongOrg => Self::new(RefusalKind::Forbidden, error),
            AuthErrorKind::Undecided => {
                Self::new(RefusalKind::Undecided, error).retry_in(ASK_AGAIN)
            }
            _ => Self::new(RefusalKind::Unauthenticated, error),
        }
        .with_code(code)
    }
}

fn missing() -> AuthError {
    AuthError::new(
        AuthErrorKind::Missing,
        "the run has no `credentials`, which this engine asks of each; give them with `RunOptions::credentials`, or attach a \
         `Principal`",
    )
}

/// What somebody showed, in a word.
fn method(arrival: &Arrival<'_>) -> &'static str {
    match arrival.credentials() {
        Some(credentials) => method_of(credentials),
        None if arrival.attached().get::<Principal>().is_some() => "attached",
        None => "none",
    }
}

fn method_of(credentials: &Credentials) -> &'static str {
    match credentials {
        Credentials::ApiKey(_) => "api_key",
        Credentials::Bearer(_) => "bearer",
        _ => "other",
    }
}

fn failure(error: &AuthError, method: &str, asked: Option<OrgId>) -> Value {
    let mut told = json!({
        "reason": error.kind().as_str(),
        "code": error.code(),
        "method": method,
        "asked_org": asked,
    });
    error.add_claimed(&mut told);
    told
}

fn say(arrival: &mut Arrival<'_>, what: &str, payload: Value) {
    arrival.audit(AuditNotice::new(AuditArea::Auth, what, payload));
}
