//! Who is let in: asked once for each run, before anything of it starts.

mod arrival;
mod pass;
mod refusal;

pub use arrival::Arrival;
pub use pass::Pass;
pub use refusal::{Refusal, RefusalKind};

use async_trait::async_trait;

use crate::Phase;

/// Decides whether a run may start, and for whom. An engine asks each of its admissions once for each run that nobody's stage
/// has started: those of [`Phase::Security`] first, then the others, in the order in which they were registered. Runs that
/// stages start belong to the same people, and are not asked again.
///
/// It may wait: for an identity provider, for its turn. Meanwhile the run holds nothing; its deadline counts, and it can be
/// cancelled.
///
/// ```
/// use stageflow_context::OrgId;
/// use stageflow_interceptors::{Admission, Arrival, Pass, Refusal, RefusalKind, async_trait};
///
/// /// Lets in nobody but one org.
/// struct Only(OrgId);
///
/// #[async_trait]
/// impl Admission for Only {
///     fn name(&self) -> &str {
///         "only"
///     }
///
///     async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
///         match arrival.identity().org_id() {
///             Some(org) if org == self.0 => Ok(Pass::free()),
///             _ => Err(Refusal::new(RefusalKind::Forbidden, "this engine works for one org")),
///         }
///     }
/// }
/// ```
///
/// # Cancellation
///
/// The future is dropped when the run is stopped or its deadline passes: nothing may be held after that.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an admission",
    label = "this cannot let runs in",
    note = "use `Authenticate` or `Tenants::admission`, or implement `Admission`: `admit` lets a run in or refuses it"
)]
#[async_trait]
pub trait Admission: Send + Sync + 'static {
    /// What it is called in errors and events.
    fn name(&self) -> &str;

    /// When it is asked: [`Phase::Security`] before all others.
    fn phase(&self) -> Phase {
        Phase::Admission
    }

    /// Lets the run in or not. What the pass holds is given back when the run is over, cleanups and all.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the run may not start. Nothing of it starts then.
    async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal>;
}
