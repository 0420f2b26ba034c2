//! Letting runs in as whom the test says.

use async_trait::async_trait;
use stageflow_interceptors::{Admission, Arrival, Pass, Phase, Refusal};

/// An admission that finds out who somebody is by doing what the test says, whatever they show. It is called `door`.
///
/// ```
/// use stageflow_context::{OrgId, SeededIds};
/// use stageflow_executor::{Engine, RunOptions};
/// use stageflow_graph::Pipeline;
/// use stageflow_interceptors::Pass;
/// use stageflow_testkit::{door, paused, script};
///
/// let acme = OrgId::generate(&SeededIds::new(1));
/// let engine = Engine::builder()
///     .admit(door(move |arrival| {
///         arrival.belongs_to(acme, None);
///         Ok(Pass::free())
///     }))
///     .build();
///
/// let mut p = Pipeline::builder("answer");
/// let ask = p.input::<String>();
/// let answer = p.stage("write", script::ok("done")).after(ask);
/// let pipeline = p.output(answer).build().unwrap();
/// let report = paused(async { engine.run(&pipeline, "why?".to_owned(), RunOptions::new()).await });
/// assert_eq!(report.identity().org_id(), Some(acme));
/// ```
pub fn door(
    act: impl Fn(&mut Arrival<'_>) -> Result<Pass, Refusal> + Send + Sync + 'static,
) -> impl Admission {
    Door(act)
}

struct Door<F>(F);

#[async_trait]
impl<F> Admission for Door<F>
where
    F: Fn(&mut Arrival<'_>) -> Result<Pass, Refusal> + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        "door"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
        (self.0)(arrival)
    }
}
