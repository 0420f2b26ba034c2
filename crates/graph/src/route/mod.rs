//! Routes: a stage whose value says which way the run goes on.

mod chosen;
mod stage;

use std::marker::PhantomData;
use std::sync::Arc;

use crate::erased::ErasedStage;
use crate::fallback::Gather;
use crate::handle::DraftId;
use crate::join::Passed;
use crate::role::Role;
use crate::{Handle, PipelineBuilder, Stage, StageBuilder, StageKind, Upstream};

pub use chosen::{BadRoute, Chosen, Pick, RouteOutput};

/// An enum that says which way a run goes on: each variant is an arm. Derive it.
///
/// ```
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_graph::{Pipeline, Route, stage_fn};
/// use std::sync::Arc;
///
/// #[derive(Route)]
/// #[route(crate = "stageflow_graph")] // not needed with the facade
/// enum Topic {
///     Billing(u64),
///     Faq(String),
///     Other,
/// }
///
/// async fn triage(_cx: StageCx, text: Arc<String>) -> Result<Topic, Stop> {
///     Ok(match text.split_once(' ') {
///         Some(("invoice", number)) => Topic::Billing(number.parse()?),
///         Some(("how", question)) => Topic::Faq(question.to_owned()),
///         _ => Topic::Other,
///     })
/// }
/// # async fn bill(_cx: StageCx, number: Arc<u64>) -> Result<String, Stop> { Ok(number.to_string()) }
/// # async fn look_up(_cx: StageCx, question: Arc<String>) -> Result<String, Stop> { Ok(question.to_string()) }
/// # async fn shrug(_cx: StageCx, _: Arc<()>) -> Result<String, Stop> { Ok("?".to_owned()) }
///
/// let mut p = Pipeline::builder("support");
/// let ask = p.input::<String>();
/// // Taking it apart makes the compiler ask for every arm.
/// let TopicArms { billing, faq, other } = p.route("triage", stage_fn(triage)).after(ask);
/// let bill = p.stage("bill", stage_fn(bill)).after(billing);
/// let look_up = p.stage("look-up", stage_fn(look_up)).after(faq);
/// let shrug = p.stage("shrug", stage_fn(shrug)).after(other);
/// let answer = p.merge("answer", [bill, look_up, shrug]);
/// let pipeline = p.output(answer).build()?;
/// # Ok::<(), stageflow_graph::BuildError>(())
/// ```
///
/// A variant with one field gives that field, one with several a tuple of them, one with none `()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a route",
    label = "this does not say which arms there are",
    note = "write `#[derive(Route)]` on the enum"
)]
pub trait Route: Sized + Send + Sync + 'static {
    /// The handles of the arms.
    type Arms;

    /// Names the arms, and gives their handles.
    fn arms(arms: &mut ArmList) -> Self::Arms;

    /// Which arm it is, and what the arm gives.
    fn split(self) -> Pick;
}

/// Collects the arms of a [`Route`], in order.
#[derive(Debug)]
pub struct ArmList {
    draft: DraftId,
    first: u32,
    arms: Vec<Arm>,
}

struct Arm {
    name: String,
    stage: Arc<dyn ErasedStage>,
}

impl std::fmt::Debug for Arm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl ArmList {
    /// The next arm, called `name`, which gives a `T`. Its place is what [`Pick::new`] calls it by, from 0.
    pub fn arm<T: Send + Sync + 'static>(&mut self, name: &str) -> Handle<T> {
        let node = self.first + self.arms.len() as u32;
        self.arms.push(Arm {
            name: name.to_owned(),
            stage: Arc::new(Passed(PhantomData::<fn() -> T>)),
        });
        Handle::new(self.draft, node)
    }
}

impl<I: Send + Sync + 'static> PipelineBuilder<I> {
    /// Declares a route: a stage whose output, an enum that derives [`Route`] or a `Vec` of it, says which arms are taken. Set
    /// its options, then wire it with [`RouteBuilder::after`], which gives the handles of its arms.
    ///
    /// The arms that are not taken are skipped, and with them whatever needs them. With a `Vec` several arms are taken at
    /// once; an empty one takes none. An arm that nothing is wired to is allowed: the run just does not go on there.
    pub fn route<S: Stage<Output: RouteOutput>>(
        &mut self,
        name: impl AsRef<str>,
        stage: S,
    ) -> RouteBuilder<'_, S> {
        let mut route = self.stage(name, stage).of_presence();
        route.options.kind = StageKind::Route;
        route
    }
}

/// Marks a stage that says which arms are taken: without it there is nowhere to go on, so nothing stands in for it.
#[derive(Debug)]
#[non_exhaustive]
pub enum IsRoute {}

/// A route that is not wired yet: a stage's options first, then `.after(..)`, which gives the handles of its arms.
pub type RouteBuilder<'a, S> = StageBuilder<'a, S, IsRoute>;

/// The handles of the arms of a route whose stage is an `S`.
pub type ArmsOf<S> = <<<S as Stage>::Output as RouteOutput>::Route as Route>::Arms;

impl<S: Stage<Output: RouteOutput>> StageBuilder<'_, S, IsRoute> {
    /// Wires the route to what it takes, and gives the handles of its arms.
    pub fn after<U: Upstream<S::Input>>(self, upstream: U) -> ArmsOf<S> {
        let draft = self.draft;
        let mut list = ArmList {
            draft: draft.id,
            first: draft.next() + 1,
            arms: Vec::new(),
        };
        let handles = <S::Output as RouteOutput>::Route::arms(&mut list);
        let arms = list.arms;
        let wired = Arc::new(stage::Routing {
            stage: self.stage,
            upstream,
            arms: arms.iter().map(|arm| arm.name.clone()).collect(),
        });
        let route = draft.add(&self.name, self.options, Arc::clone(&wired) as _);
        draft.set_role(
            route,
            Role::Route {
                arms: arms.len() as u32,
            },
        );
        draft.wire(|edges| wired.upstream.edges(edges));
        if let Some(of) = self.digest {
            let _ = draft.set_digest(route, &(wired as Arc<dyn Gather<S::Input>>), of);
        }
        draft.add_arms(route, arms.into_iter().map(|arm| (arm.name, arm.stage)));
        handles
    }

    /// Wires a route that takes nothing: it starts when the run starts.
    pub fn root(self) -> ArmsOf<S>
    where
        (): Upstream<S::Input>,
    {
        self.after(())
    }
}
