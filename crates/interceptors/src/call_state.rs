//! What engines keep of a call between its polls.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use stageflow_context::{Part, PartCall};
use stageflow_graph::StageOptions;
use tracing::Span;

use crate::Limits;
use crate::bits::{BITS, below, bit};

/// What belongs to one call and outlives its polls. Kept by engines.
#[derive(Default)]
pub struct CallState {
    pub(crate) limits: Limits,
    /// Made at first use: most calls carry neither a span nor anything of a layer.
    extras: Option<Box<Extras>>,
    /// Where in the stack the call is.
    pub(crate) entered: u32,
    /// How many layers were entered beyond those that have a bit.
    far: u32,
    /// A bit for each layer that is to be left whatever the ending.
    owed: u64,
    /// A bit for each layer that is to be left unless the call succeeds.
    guards: u64,
}

#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) span: Option<Span>,
    pub(crate) scratch: Vec<Box<dyn Any + Send>>,
    part: Option<OfPart>,
}

/// What is called, if it is not the stage as a whole.
pub(crate) struct OfPart {
    pub(crate) part: Arc<Part>,
    pub(crate) value_type: TypeId,
    pub(crate) value_type_name: &'static str,
}

impl CallState {
    /// The state of a call with the limits that the stage sets for itself.
    #[must_use]
    pub fn new(options: &StageOptions) -> Self {
        Self {
            limits: Limits {
                attempt: options.timeout,
                idle: options.idle_timeout,
            },
            extras: None,
            entered: 0,
            far: 0,
            owed: 0,
            guards: 0,
        }
    }

    /// The state of the call of a part of a stage, with the limits that the part sets for itself.
    #[must_use]
    pub fn of_part(call: &PartCall<'_>) -> Self {
        let part = call.cx.part().map(|part| OfPart {
            part: Arc::clone(part),
            value_type: call.value_type,
            value_type_name: call.value_type_name,
        });
        Self {
            limits: Limits {
                attempt: call.limits.timeout,
                idle: call.limits.idle_timeout,
            },
            extras: Some(Box::new(Extras {
                part,
                ..Extras::default()
            })),
            ..Self::default()
        }
    }

    /// How long each attempt may take.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    pub(crate) fn part(&self) -> Option<&OfPart> {
        self.extras.as_ref()?.part.as_ref()
    }

    /// The span to enter whenever the stage is polled.
    #[must_use]
    pub fn span(&self) -> Option<&Span> {
        self.extras.as_ref()?.span.as_ref()
    }

    /// Whether a layer was entered that is still to be left, should the call not succeed.
    #[inline]
    #[must_use]
    pub fn is_entered(&self) -> bool {
        self.owed | self.guards != 0 || self.far > 0
    }

    /// Whether a layer was entered that is to be left even if the call succeeds.
    #[inline]
    #[must_use]
    pub fn awaits_success(&self) -> bool {
        self.owed != 0 || self.far > 0
    }

    /// So many layers are about to be reached, and are to be left from now on: also if one panics half-way in.
    #[inline]
    pub(crate) fn set_out(&mut self, layers: usize) {
        let end = self.entered + layers as u32;
        let reached = below(end) & !below(self.entered);
        self.owed |= reached;
        self.guards &= !reached;
        self.far += end.max(BITS) - self.entered.max(BITS);
    }

    /// The call goes no further than the layer it has reached.
    #[cold]
    pub(crate) fn turn_back(&mut self) {
        self.owed &= below(self.entered);
        self.far = self.entered.saturating_sub(BITS);
    }

    /// The layer that was reached last is left out on the way back.
    #[inline]
    pub(crate) fn pass(&mut self) {
        self.owed &= !bit(self.entered - 1);
    }

    /// The layer that was reached last is left out on the way back if the call succeeds.
    #[inline]
    pub(crate) fn guard(&mut self) {
        let bit = bit(self.entered - 1);
        self.owed &= !bit;
        self.guards |= bit;
    }

    /// Goes back over the layer that was reached last. `true` if it is to be left.
    pub(crate) fn go_back(&mut self, succeeded: bool) -> bool {
        self.entered -= 1;
        if self.entered >= BITS {
            self.far -= 1;
            return true;
        }
        let bit = bit(self.entered);
        let left = self.owed & bit != 0 || (!succeeded && self.guards & bit != 0);
        self.owed &= !bit;
        self.guards &= !bit;
        left
    }
}

impl fmt::Debug for CallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallState")
            .field("limits", &self.limits)
            .field("entered", &self.entered)
            .finish_non_exhaustive()
    }
}
