//! The layers in their order.

use std::any::Any;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use stageflow_context::{ErrorClass, StageCx, StageErrorKind};

use crate::panics::panic_message;
use crate::{Attempt, Call, Claim, Ending, Flow, Interceptor, Layer, Lent, Phase, WaitsFor};

/// The onion: layers sorted by phase, then by registration. Immutable once built, shared by all runs of an engine.
#[derive(Debug, Default)]
pub struct Stack {
    layers: Vec<Layer>,
    /// How many layers lie outside the first that may wait: those are hooks, and an engine calls them in place.
    hooks: usize,
}

impl Stack {
    /// No layer at all: an empty list is empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These layers, in the order of registration.
    pub(crate) fn of(layers: impl IntoIterator<Item = Layer>) -> Self {
        layers.into_iter().fold(Self::new(), Self::with)
    }

    /// Adds a layer: after those of its phase, outside those of later phases.
    #[must_use]
    pub fn with<Shape>(mut self, interceptor: impl Interceptor<Shape>) -> Self {
        let layer = interceptor.into_layer();
        let at = self
            .layers
            .partition_point(|other| other.phase() <= layer.phase());
        self.layers.insert(at, layer);
        self.hooks = self
            .layers
            .iter()
            .take_while(|layer| matches!(layer, Layer::Hook(_)))
            .count();
        self
    }

    /// How many layers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there is no layer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The layers from the outside in: their phases and names.
    pub fn layers(&self) -> impl Iterator<Item = (Phase, &str)> {
        self.layers
            .iter()
            .map(|layer| (layer.phase(), layer.name()))
    }

    /// Whether a layer decides about permissions.
    #[must_use]
    pub fn decides(&self) -> bool {
        let mut layers = self.layers.iter();
        layers.any(|layer| layer.claim() == Claim::Decides)
    }

    /// The name of the layer at this place, from the outside in.
    pub(crate) fn name_at(&self, place: usize) -> Option<&str> {
        self.layers.get(place).map(Layer::name)
    }

    /// The onion, printed: what a call passes on its way in, and in reverse on its way out.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut out = String::from("call\n");
        for (depth, layer) in self.layers.iter().enumerate() {
            let shape = if matches!(layer, Layer::Hook(_)) {
                "hook"
            } else {
                "around"
            };
            // Writing to a `String` cannot fail.
            let _ = writeln!(
                out,
                "{:indent$}└ {} [{}, {shape}]",
                "",
                layer.name(),
                layer.phase(),
                indent = depth * 2
            );
        }
        let _ = writeln!(out, "{:indent$}└ stage", "", indent = self.layers.len() * 2);
        out
    }

    /// Whether a layer may wait, so that a call needs a future of its own around the stage's.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.hooks < self.layers.len()
    }

    /// What its layers give to others while the work at `cx` waits, from the outside in. Called by engines.
    #[must_use]
    pub fn lend(&self, cx: &StageCx, waits: WaitsFor) -> Vec<Box<dyn Lent>> {
        let layers = self.layers[self.hooks..].iter();
        let lent = layers.filter_map(|layer| match layer {
            Layer::Around(around) => around.lend(cx, waits),
            Layer::Hook(_) => None,
        });
        lent.collect()
    }

    /// Enters the hooks that lie outside everything that waits. A call that goes no further has its ending in `answer`
    /// afterwards; the layers that were entered must still be left with [`Stack::exit`].
    ///
    /// # Panics
    ///
    /// If a hook does. The engine catches that beside the stage's own panics, and asks [`Stack::panicked`] what it means.
    #[inline]
    pub fn enter(&self, call: &mut Call<'_>, answer: &mut Option<Ending>) {
        enter(&self.layers[..self.hooks], call, answer);
    }

    /// The ending of a call in which [`Stack::enter`] panicked.
    #[cold]
    #[must_use]
    pub fn panicked(&self, call: &mut Call<'_>, payload: Box<dyn Any + Send>) -> Ending {
        call.state_mut().turn_back();
        let entered = call.state_mut().entered as usize;
        panicked(call, self.layers[entered.saturating_sub(1)].name(), payload)
    }

    /// Leaves the hooks that [`Stack::enter`] entered, in reverse order. A panic in one of them is caught and becomes the
    /// ending; the others are left all the same.
    #[inline]
    pub fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        exit(&self.layers, call, ending, 0);
    }

    /// Runs the call through all layers, hooks on the outside included, down to the attempt. Dropping the future leaves every
    /// layer that was entered, too.
    pub fn call_whole<'a>(
        &'a self,
        call: &'a mut Call<'_>,
        attempt: &'a dyn Attempt,
    ) -> BoxFuture<'a, Ending> {
        Next {
            stack: self,
            at: 0,
            attempt,
        }
        .into_future(call)
    }

    /// Runs the call through the layers inside those that [`Stack::enter`] entered, down to the attempt.
    pub fn call<'a>(
        &'a self,
        call: &'a mut Call<'_>,
        attempt: &'a dyn Attempt,
    ) -> BoxFuture<'a, Ending> {
        Next {
            stack: self,
            at: self.hooks,
            attempt,
        }
        .into_future(call)
    }
}

/// What is inside an around layer. It can be called any number of times.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    stack: &'a Stack,
    at: usize,
    attempt: &'a dyn Attempt,
}

impl<'a> Next<'a> {
    /// Goes on inside.
    ///
    /// # Cancellation
    ///
    /// Dropping the future interrupts the call: the layers inside are left, the attempt is dropped.
    pub async fn run(&self, call: &mut Call<'_>) -> Ending {
        self.into_future(call).await
    }

    fn into_future<'b>(self, call: &'b mut Call<'_>) -> BoxFuture<'b, Ending>
    where
        'a: 'b,
    {
        Box::pin(async move {
            let inside = &self.stack.layers[self.at..];
            let hooks = inside
                .iter()
                .take_while(|layer| matches!(layer, Layer::Hook(_)))
                .count();
            let outer = std::mem::replace(&mut call.state_mut().entered, self.at as u32);
            let mut left = Left {
                stack: self.stack,
                call,
                from: self.at,
                outer,
                done: false,
            };
            let mut answer = None;
            let entering = catch_unwind(AssertUnwindSafe(|| {
                enter(&inside[..hooks], left.call, &mut answer);
            }));
            if let Err(payload) = entering {
                answer = Some(self.stack.panicked(left.call, payload));
            }
            let mut ending = match answer {
                Some(ending) => ending,
                None => match inside.get(hooks) {
                    Some(Layer::Around(around)) => {
                        let next = Next {
                            at: self.at + hooks + 1,
                            ..self
                        };
                        if let Some(whereabouts) = left.call.whereabouts() {
                            whereabouts.in_layer(self.at + hooks);
                        }
                        let waiting =
                            AssertUnwindSafe(around.around(left.call, next)).catch_unwind();
                        match waiting.await {
                            Ok(ending) => ending,
                            Err(payload) => panicked(left.call, around.name(), payload),
                        }
                    }
                    _ => {
                        if let Some(whereabouts) = left.call.whereabouts() {
                            whereabouts.in_stage();
                        }
                        self.attempt.run(left.call).await
                    }
                },
            };
            left.leave(&mut ending);
            left.return_to_caller();
            ending
        })
    }
}

impl std::fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next")
            .field("inside", &&self.stack.layers[self.at..])
            .finish_non_exhaustive()
    }
}

/// Leaves the hooks of one part of the onion, also when the future that entered them is dropped.
struct Left<'a, 'c, 'd> {
    stack: &'a Stack,
    call: &'c mut Call<'d>,
    from: usize,
    outer: u32,
    done: bool,
}

impl Left<'_, '_, '_> {
    fn leave(&mut self, ending: &mut Ending) {
        self.done = true;
        exit(&self.stack.layers, self.call, ending, self.from);
        self.call.state_mut().entered = self.outer;
    }

    /// The call is in the layer again that has called.
    fn return_to_caller(&self) {
        if let (Some(whereabouts), Some(caller)) =
            (self.call.whereabouts(), self.from.checked_sub(1))
        {
            whereabouts.in_layer(caller);
        }
    }
}

impl Drop for Left<'_, '_, '_> {
    fn drop(&mut self) {
        if !self.done {
            let reason = self.call.host().cancel().reason().cloned();
            // The whole call is dropped when the run is stopped: then it stays known where it was.
            if reason.is_none() {
                self.return_to_caller();
            }
            let reason = reason.unwrap_or_else(|| {
                stageflow_context::CancelReason::requested("the attempt was dropped")
            });
            self.leave(&mut Ending::Interrupted(reason));
        }
    }
}

/// Enters hooks from the outside in. `entered` counts them by their place in the whole stack. The answer goes where it is
/// wanted, so that nothing is moved about for the many calls that have none.
#[inline]
fn enter(hooks: &[Layer], call: &mut Call<'_>, answer: &mut Option<Ending>) {
    call.state_mut().set_out(hooks.len());
    for layer in hooks {
        let Layer::Hook(hook) = layer else { break };
        call.state_mut().entered += 1;
        match hook.enter(call) {
            Flow::Continue => continue,
            Flow::Guard => {
                call.state_mut().guard();
                continue;
            }
            Flow::Pass => {
                call.state_mut().pass();
                continue;
            }
            Flow::Answer(value) => *answer = Some(answered(call, hook.name(), value)),
            Flow::Deny(error) => *answer = Some(Ending::Denied(error)),
            Flow::Reject(error) => *answer = Some(Ending::Failed(error)),
        }
        call.state_mut().turn_back();
        break;
    }
}

/// Leaves the hooks that were entered, from the inside out, down to the one at `to`.
fn exit(layers: &[Layer], call: &mut Call<'_>, ending: &mut Ending, to: usize) {
    let to = to as u32;
    while call.state_mut().entered > to {
        let leaving = catch_unwind(AssertUnwindSafe(|| {
            while call.state_mut().entered > to {
                let succeeded = matches!(ending, Ending::Succeeded(_));
                if call.state_mut().go_back(succeeded)
                    && let Layer::Hook(hook) = &layers[call.state_mut().entered as usize]
                {
                    hook.exit(call, ending);
                }
            }
        }));
        if let Err(payload) = leaving {
            let name = layers[call.state_mut().entered as usize].name();
            *ending = panicked(call, name, payload);
        }
    }
}

#[cold]
pub(crate) fn answered(call: &Call<'_>, layer: &str, value: stageflow_context::DynValue) -> Ending {
    if value.type_id_of_value() == call.value_type() {
        return Ending::Succeeded(value);
    }
    let wanted = call.value_type_name();
    let reason = format!("layer `{layer}` answered with a value that is not a `{wanted}`");
    Ending::Failed(call.error(StageErrorKind::WrongAnswer, reason))
}

#[cold]
fn panicked(call: &Call<'_>, layer: &str, payload: Box<dyn Any + Send>) -> Ending {
    let reason = format!("layer `{layer}`: {}", panic_message(payload));
    Ending::Failed(call.error(StageErrorKind::Panicked(ErrorClass::Permanent), reason))
}
