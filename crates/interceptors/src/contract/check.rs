//! A check in plain Rust.

use std::fmt;
use std::marker::PhantomData;

use stageflow_context::StageErrorKind;

use crate::{Call, Ending, Flow, Hook, Phase};

/// Checks each value of type `T` that a stage gives, also in an `Option<T>` of an optional stage; a value that does not pass
/// fails the call as `SF0314`, with what `rule` says. Values of other types pass: put it around every stage to hold a type to
/// its rule wherever it is made, or around one with `intercept_on`.
///
/// It is closest to the stage, so a cache never keeps what does not pass, and a layer that tries again sees the failure. A
/// panic in `rule` fails the call.
///
/// ```
/// use stageflow_interceptors::{Stack, check};
///
/// struct Answer { text: String }
///
/// let stack = Stack::new().with(check(|answer: &Answer| match answer.text.is_empty() {
///     true => Err("the answer is empty".to_owned()),
///     false => Ok(()),
/// }));
/// ```
pub fn check<T, R>(rule: R) -> Check<T, R>
where
    T: Send + Sync + 'static,
    R: Fn(&T) -> Result<(), String> + Send + Sync + 'static,
{
    Check {
        rule,
        of: PhantomData,
    }
}

/// A rule for values of one type: what [`check`] gives.
pub struct Check<T, R> {
    rule: R,
    of: PhantomData<fn(&T)>,
}

impl<T, R> Hook for Check<T, R>
where
    T: Send + Sync + 'static,
    R: Fn(&T) -> Result<(), String> + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        "check"
    }

    fn phase(&self) -> Phase {
        Phase::Inner
    }

    fn enter(&self, _call: &mut Call<'_>) -> Flow {
        Flow::Continue
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        let Ending::Succeeded(value) = ending else {
            return;
        };
        let value = match value.downcast_ref::<T>() {
            Some(value) => Some(value),
            None => value.downcast_ref::<Option<T>>().and_then(Option::as_ref),
        };
        if let Some(Err(why)) = value.map(&self.rule) {
            *ending = Ending::Failed(call.error(StageErrorKind::Invalid, why));
        }
    }
}

impl<T, R> fmt::Debug for Check<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Check({})", std::any::type_name::<T>())
    }
}
