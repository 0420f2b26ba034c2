//! Functions as stages.

use std::fmt;
use std::marker::PhantomData;

use stageflow_context::{StageCx, Stop};

use crate::Stage;

/// Makes a stage of an `async fn` or a closure that takes a [`StageCx`] and its input.
///
/// ```
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_graph::{Pipeline, stage_fn};
/// use std::sync::Arc;
///
/// async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
///     Ok(text.to_uppercase())
/// }
///
/// let mut p = Pipeline::builder("greet");
/// let name = p.input::<String>();
/// let loud = p.stage("shout", stage_fn(shout)).after(name);
/// let long = p.stage("count", stage_fn(async |_cx, text: Arc<String>| Ok(text.len()))).after(loud);
/// let pipeline = p.output(long).build()?;
/// # let _: stageflow_graph::Pipeline<String, usize> = pipeline;
/// # Ok::<(), stageflow_graph::BuildError>(())
/// ```
#[rustfmt::skip] // the compiler shows the comment to whoever passes a wrong function
pub fn stage_fn<F, Fut, I>(function: F) -> StageFn<F, I>
where
    F: Fn(StageCx, I) -> Fut + Send + Sync + 'static, // async fn(cx: StageCx, input: Input or (A, B, ..)) -> Result<Output, Stop>
    Fut: Future<Output: StageReturn> + Send,
    I: Send + 'static,
{
    StageFn { function, input: PhantomData }
}

/// A function as a stage: what [`stage_fn`] gives.
pub struct StageFn<F, I> {
    function: F,
    input: PhantomData<fn(I)>,
}

impl<F, Fut, I, O> Stage for StageFn<F, I>
where
    F: Fn(StageCx, I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, Stop>> + Send,
    I: Send + 'static,
    O: Send + Sync + 'static,
{
    type Input = I;
    type Output = O;

    fn run(&self, cx: StageCx, input: I) -> impl Future<Output = Result<O, Stop>> + Send {
        (self.function)(cx, input)
    }
}

impl<F, I> fmt::Debug for StageFn<F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<F>())
    }
}

/// What a stage function returns: `Result<Output, Stop>`, and nothing else.
#[diagnostic::on_unimplemented(
    message = "a stage function must return `Result<Output, Stop>`, this one returns `{Self}`",
    label = "this function does not return `Result<_, Stop>`",
    note = "write `-> Result<Output, Stop>` and end with `Ok(output)`; `?` turns any error into a `Stop`"
)]
pub trait StageReturn {}

impl<O: Send + Sync + 'static> StageReturn for Result<O, Stop> {}
