//! What a route decided, without its type.

use stageflow_context::DynValue;

use super::Route;

/// One arm, and what it gives: a route taken apart.
#[derive(Clone, Debug)]
pub struct Pick {
    arm: u32,
    value: DynValue,
}

impl Pick {
    /// The arm with this place in [`Route::arms`], from 0, with what it gives.
    #[must_use]
    pub fn new<T: Send + Sync + 'static>(arm: u32, value: T) -> Self {
        Self {
            arm,
            value: DynValue::new(value),
        }
    }

    /// The arm's place, from 0.
    #[must_use]
    pub fn arm(&self) -> u32 {
        self.arm
    }

    /// What the arm gives.
    #[must_use]
    pub fn value(&self) -> &DynValue {
        &self.value
    }
}

/// The value of a route's stage: the arms it takes, in the order of declaration.
///
/// A layer that answers in a route's place, such as a cache, answers with this.
#[derive(Clone, Debug, Default)]
pub struct Chosen(Vec<Pick>);

impl Chosen {
    /// What this output of a route means.
    ///
    /// # Errors
    ///
    /// [`BadRoute`] if an arm is named twice.
    pub fn of(output: impl RouteOutput) -> Result<Self, BadRoute> {
        let mut picks = output.split();
        picks.sort_by_key(Pick::arm);
        match picks.windows(2).find(|pair| pair[0].arm == pair[1].arm) {
            Some(pair) => Err(BadRoute(pair[0].arm)),
            None => Ok(Self(picks)),
        }
    }

    /// The arms that are taken.
    #[must_use]
    pub fn picks(&self) -> &[Pick] {
        &self.0
    }
}

/// A route named an arm that it cannot take: one it has named already, or one it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "SF0309: arm number {0} is named twice, or is not there; name each arm of a route at most once"
)]
pub struct BadRoute(u32);

impl BadRoute {
    pub(super) fn new(arm: u32) -> Self {
        Self(arm)
    }

    /// The arm's place, from 0.
    #[must_use]
    pub fn arm(&self) -> u32 {
        self.0
    }

    /// The stable code; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0309"
    }
}

/// What the stage of a route may give: an enum that derives [`Route`], or a `Vec` of it for several arms at once.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which way the run goes on",
    label = "the stage of a route gives an enum that derives `Route`, or a `Vec` of it",
    note = "write `#[derive(Route)]` on the enum, or declare a plain stage with `.stage(..)`"
)]
pub trait RouteOutput: Send + Sync + 'static {
    /// The enum.
    type Route: Route;

    /// The arms it names, in the order in which it names them.
    fn split(self) -> Vec<Pick>;
}

impl<R: Route> RouteOutput for R {
    type Route = R;

    fn split(self) -> Vec<Pick> {
        vec![Route::split(self)]
    }
}

impl<R: Route> RouteOutput for Vec<R> {
    type Route = R;

    fn split(self) -> Vec<Pick> {
        self.into_iter().map(Route::split).collect()
    }
}
