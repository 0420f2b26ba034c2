//! What a stage may be wired to, and how the values reach it.

use std::any::type_name;
use std::sync::Arc;

use stageflow_context::DynValue;

use crate::Handle;
use crate::handle::DraftId;

/// Handles that together give a stage its input `I`.
///
/// | wired to | arrives as |
/// |---|---|
/// | `Handle<T>` | `Arc<T>` |
/// | a tuple of up to twelve of these | a tuple of what each gives |
/// | `Vec<Handle<T>>` | `Vec<Arc<T>>`, in the same order |
/// | `()` | `()` |
#[diagnostic::on_unimplemented(
    message = "these upstream stages do not provide `{I}`",
    label = "the stage takes `{I}`, but it is wired to `{Self}`",
    note = "`Handle<T>` arrives as `Arc<T>` (of an optional stage as `Arc<Option<T>>`), a tuple of handles as a tuple, `Vec<Handle<T>>` as `Vec<Arc<T>>`, `()` as `()`",
    note = "wire the stage to handles that give its input, or change the stage's input type"
)]
pub trait Upstream<I>: Send + Sync + 'static {
    /// Names the handles, in the order in which [`Upstream::gather`] reads them.
    fn edges(&self, edges: &mut Edges);

    /// Reads one value for each handle.
    ///
    /// # Errors
    ///
    /// [`WiringError`] if a value is missing or of another type: a defect of the engine, not of the pipeline.
    fn gather(&self, inputs: &mut Inputs<'_>) -> Result<I, WiringError>;
}

impl<T: Send + Sync + 'static> Upstream<Arc<T>> for Handle<T> {
    fn edges(&self, edges: &mut Edges) {
        edges.0.push(Edge {
            draft: self.draft,
            node: self.node,
        });
    }

    fn gather(&self, inputs: &mut Inputs<'_>) -> Result<Arc<T>, WiringError> {
        inputs.next_as::<T>()
    }
}

impl<T: Send + Sync + 'static> Upstream<Vec<Arc<T>>> for Vec<Handle<T>> {
    fn edges(&self, edges: &mut Edges) {
        for handle in self {
            handle.edges(edges);
        }
    }

    fn gather(&self, inputs: &mut Inputs<'_>) -> Result<Vec<Arc<T>>, WiringError> {
        let mut values = Vec::with_capacity(self.len());
        for _ in self {
            values.push(inputs.next_as::<T>()?);
        }
        Ok(values)
    }
}

impl Upstream<()> for () {
    fn edges(&self, _: &mut Edges) {}

    fn gather(&self, _: &mut Inputs<'_>) -> Result<(), WiringError> {
        Ok(())
    }
}

macro_rules! tuple_upstream {
    ($(($upstream:ident $input:ident $value:ident))+) => {
        impl<$($upstream, $input),+> Upstream<($($input,)+)> for ($($upstream,)+)
        where
            $($upstream: Upstream<$input>,)+
        {
            fn edges(&self, edges: &mut Edges) {
                let ($($value,)+) = self;
                $($value.edges(edges);)+
            }

            fn gather(&self, inputs: &mut Inputs<'_>) -> Result<($($input,)+), WiringError> {
                let ($($value,)+) = self;
                Ok(($($value.gather(inputs)?,)+))
            }
        }
    };
}

tuple_upstream!((A IA a));
tuple_upstream!((A IA a)(B IB b));
tuple_upstream!((A IA a)(B IB b)(C IC c));
tuple_upstream!((A IA a)(B IB b)(C IC c)(D ID d));
tuple_upstream!((A IA a)(B IB b)(C IC c)(D ID d)(E IE e));
tuple_upstream!((A IA a)(B IB b)(C IC c)(D ID d)(E IE e)(F IF f));
tuple_upstream!((A IA a)(B IB b)(C IC c)(D ID d)(E IE e)(F IF f)(G IG g));
tuple_upstream!((A IA a)(B IB b)(C IC c)(D ID d)(E IE e)(F IF f)(G IG g)(H IH h));
tuple_upstream!((A IA a)(B IB b)(C IC c)(D ID d)(E IE e)(F IF f)(G IG g)(H IH h)(J IJ j));
tuple_upstream!((A IA a)(B IB b)(C IC c)(D ID d)(E IE e)(F IF f)(G IG g)(H IH h)(J IJ j)(K IK k));
tuple_upstream!((A IA a)(B IB b)(C IC c)(D ID d)(E IE e)(F IF f)(G IG g)(H IH h)(J IJ j)(K IK k)(L IL l));
tuple_upstream!((A IA a)(B IB b)(C IC c)(D ID d)(E IE e)(F IF f)(G IG g)(H IH h)(J IJ j)(K IK k)(L IL l)(M IM m));

/// Collects the handles of an [`Upstream`].
#[derive(Debug, Default)]
pub struct Edges(pub(crate) Vec<Edge>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) draft: DraftId,
    pub(crate) node: u32,
}

/// The finished values a stage was wired to, read once from first to last.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    source: Source<'a>,
    next: usize,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    Slots {
        places: &'a [u32],
        slots: &'a [Option<DynValue>],
    },
    Values(&'a [DynValue]),
}

impl<'a> Inputs<'a> {
    /// The values that lie at `places` in `slots`.
    #[inline]
    #[must_use]
    pub fn from_slots(places: &'a [u32], slots: &'a [Option<DynValue>]) -> Self {
        Self {
            source: Source::Slots { places, slots },
            next: 0,
        }
    }

    /// These values, in this order.
    #[must_use]
    pub fn from_values(values: &'a [DynValue]) -> Self {
        Self {
            source: Source::Values(values),
            next: 0,
        }
    }

    /// A copy of the values that outlives the run's slots. Costs one allocation.
    ///
    /// # Errors
    ///
    /// [`WiringError`] if one is missing.
    pub fn to_values(&self) -> Result<Vec<DynValue>, WiringError> {
        match self.source {
            Source::Slots { places, slots } => places
                .iter()
                .map(|place| {
                    slots
                        .get(*place as usize)
                        .cloned()
                        .flatten()
                        .ok_or_else(WiringError::of::<DynValue>)
                })
                .collect(),
            Source::Values(values) => Ok(values.to_vec()),
        }
    }

    /// The next value, whatever its type.
    #[inline]
    pub(crate) fn next_value(&mut self) -> Option<&'a DynValue> {
        let index = self.next;
        self.next += 1;
        match self.source {
            Source::Slots { places, slots } => slots.get(*places.get(index)? as usize)?.as_ref(),
            Source::Values(values) => values.get(index),
        }
    }

    #[inline]
    fn next_as<T: Send + Sync + 'static>(&mut self) -> Result<Arc<T>, WiringError> {
        self.next_value()
            .and_then(DynValue::downcast)
            .ok_or_else(WiringError::of::<T>)
    }
}

/// A stage was started without a value it is wired to, or with one of another type. The builder makes this impossible, so
/// it is a defect of the engine that ran the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "SF0308: an upstream value is missing where `{wanted}` was promised: it was not there when its reader started; report this, it is a defect of Stageflow"
)]
pub struct WiringError {
    wanted: &'static str,
}

impl WiringError {
    pub(crate) fn of<T>() -> Self {
        Self {
            wanted: type_name::<T>(),
        }
    }
}
