//! The two shapes of a layer.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use stageflow_context::{DynValue, StageCx, StageError};

use crate::{Call, Claim, Ending, Lent, Next, Phase, WaitsFor};

/// A layer that looks and decides, but does not wait: it costs nanoseconds.
///
/// A hook that was entered is left exactly once, in reverse order, whatever the ending: also when the run is cancelled or
/// its future is dropped. A panic in a hook fails the call.
///
/// ```
/// use stageflow_interceptors::{Call, Ending, Flow, Hook, Phase};
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// /// Counts calls that did not succeed.
/// #[derive(Default)]
/// struct CountFailures(AtomicU64);
///
/// impl Hook for CountFailures {
///     fn name(&self) -> &str {
///         "count-failures"
///     }
///
///     fn phase(&self) -> Phase {
///         Phase::Telemetry
///     }
///
///     fn exit(&self, _call: &mut Call<'_>, ending: &mut Ending) {
///         if ending.error().is_some() {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Hook: Send + Sync + 'static {
    /// What the layer is called in descriptions and errors.
    fn name(&self) -> &str;

    /// Where it sits.
    fn phase(&self) -> Phase {
        Phase::Inner
    }

    /// What it asks of the other layers around the same stage.
    fn claim(&self) -> Claim {
        Claim::Nothing
    }

    /// Before the stage: go on, refuse, or answer in its place.
    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let _ = call;
        Flow::Continue
    }

    /// After the stage, or after whatever ended the call instead. May change the ending.
    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        let _ = (call, ending);
    }
}

/// What a hook decides when it is entered.
#[derive(Debug)]
#[non_exhaustive]
pub enum Flow {
    /// Answer with this value; nothing further inside is called. It must be of the stage's output type, wrapped in
    /// `Option` if the stage is optional.
    Answer(DynValue),
    /// Go on. The layer's `exit` is called at the end, whatever that is.
    Continue,
    /// Refuse; nothing further inside is called, and the run ends as denied. See [`Call::denied`].
    Deny(StageError),
    /// Go on. The layer's `exit` is called unless the call succeeds: one that only looks at what goes wrong costs nothing where
    /// all goes well. From the 65th layer of an onion on it is called in any case.
    Guard,
    /// Fail the call here; nothing further inside is called. Unlike a denial it is a failure like any other: a fallback may
    /// stand in, an optional stage is absent. See [`Call::rejected`].
    Reject(StageError),
    /// Go on without this layer: it has done what it had to do, and its `exit` is not called. From the 65th layer of an onion
    /// on it is.
    Pass,
}

/// A layer that may wait, call again, or not at all.
///
/// Its future is dropped when the run ends before it does; what must happen then belongs into a guard's `Drop`.
///
/// ```
/// use stageflow_interceptors::{Around, Call, Ending, Next, Phase, async_trait};
///
/// /// Calls a second time if the first time failed.
/// struct Twice;
///
/// #[async_trait]
/// impl Around for Twice {
///     fn name(&self) -> &str {
///         "twice"
///     }
///
///     fn phase(&self) -> Phase {
///         Phase::Retry
///     }
///
///     async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
///         match next.run(call).await {
///             Ending::Failed(_) => next.run(call).await,
///             ending => ending,
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait Around: Send + Sync + 'static {
    /// What the layer is called in descriptions and errors.
    fn name(&self) -> &str;

    /// Where it sits.
    fn phase(&self) -> Phase {
        Phase::Inner
    }

    /// What it asks of the other layers around the same stage.
    fn claim(&self) -> Claim {
        Claim::Nothing
    }

    /// Wraps the call: `next.run(call)` goes on inside.
    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending;

    /// The work at `cx`, which is inside this layer, begins to wait: what it holds of the layer, others may have until it is over.
    /// Engines ask each layer around a stage that waits for a person, for a run that it has started, or inside a `lend` of its own.
    /// `None` if there is nothing to give.
    fn lend(&self, cx: &StageCx, waits: WaitsFor) -> Option<Box<dyn Lent>> {
        let _ = (cx, waits);
        None
    }
}

/// What an around layer's `next` ends in: the attempt itself. Implemented by engines.
pub trait Attempt: Send + Sync {
    /// Runs one attempt of the stage.
    fn run<'a>(&'a self, call: &'a mut Call<'_>) -> BoxFuture<'a, Ending>;
}

/// A hook or an around layer, as stacks hold it. A clone is the same layer.
#[derive(Clone)]
#[non_exhaustive]
pub enum Layer {
    /// One that may wait.
    Around(Arc<dyn Around>),
    /// One that does not.
    Hook(Arc<dyn Hook>),
}

impl Layer {
    /// The layer's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Around(around) => around.name(),
            Self::Hook(hook) => hook.name(),
        }
    }

    /// What the layer asks of the others.
    #[must_use]
    pub fn claim(&self) -> Claim {
        match self {
            Self::Around(around) => around.claim(),
            Self::Hook(hook) => hook.claim(),
        }
    }

    /// The layer's phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Self::Around(around) => around.phase(),
            Self::Hook(hook) => hook.phase(),
        }
    }
}

/// What can be put into a stack: everything that is a [`Hook`] or an [`Around`].
///
/// `Shape` keeps the two apart for the compiler; it is never written out.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an interceptor",
    label = "this cannot wrap a stage",
    note = "implement `Hook` for a layer that only looks and decides, `Around` for one that waits or calls again"
)]
pub trait Interceptor<Shape> {
    /// As a layer.
    fn into_layer(self) -> Layer;
}

/// The shape of a [`Hook`].
#[derive(Debug)]
#[non_exhaustive]
pub enum HookShape {}

/// The shape of an [`Around`].
#[derive(Debug)]
#[non_exhaustive]
pub enum AroundShape {}

/// The shape of a [`Layer`].
#[derive(Debug)]
#[non_exhaustive]
pub enum LayerShape {}

impl<H: Hook> Interceptor<HookShape> for H {
    fn into_layer(self) -> Layer {
        Layer::Hook(Arc::new(self))
    }
}

impl<A: Around> Interceptor<AroundShape> for A {
    fn into_layer(self) -> Layer {
        Layer::Around(Arc::new(self))
    }
}

impl Interceptor<LayerShape> for Layer {
    fn into_layer(self) -> Layer {
        self
    }
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.name(), self.phase())
    }
}
