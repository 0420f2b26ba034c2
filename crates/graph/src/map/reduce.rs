//! Many values into one.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use stageflow_context::{StageCx, Stop};

use crate::Stage;

/// Makes a stage that folds the results of a [`map`](crate::map) into one value, from the first to the last.
///
/// For work that waits, or that can fail, write a stage that takes an `Arc<Vec<Arc<T>>>`.
///
/// ```
/// # use stageflow_graph::{Pipeline, reduce};
/// # use std::sync::Arc;
/// let mut p = Pipeline::builder("total");
/// let sizes = p.input::<Vec<Arc<u64>>>();
/// let total = p.stage("total", reduce(0_u64, |total, size: &u64| total + size)).after(sizes);
/// let pipeline = p.output(total).build()?;
/// # let _: Pipeline<Vec<Arc<u64>>, u64> = pipeline;
/// # Ok::<(), stageflow_graph::BuildError>(())
/// ```
#[must_use]
pub fn reduce<T, A, F>(init: A, fold: F) -> Reduce<T, A, F>
where
    T: Send + Sync + 'static,
    A: Clone + Send + Sync + 'static,
    F: Fn(A, &T) -> A + Send + Sync + 'static,
{
    Reduce {
        init,
        fold,
        item: PhantomData,
    }
}

/// Many values into one: see [`reduce`].
pub struct Reduce<T, A, F> {
    init: A,
    fold: F,
    item: PhantomData<fn(T)>,
}

impl<T, A, F> Stage for Reduce<T, A, F>
where
    T: Send + Sync + 'static,
    A: Clone + Send + Sync + 'static,
    F: Fn(A, &T) -> A + Send + Sync + 'static,
{
    type Input = Arc<Vec<Arc<T>>>;
    type Output = A;

    async fn run(&self, _cx: StageCx, values: Arc<Vec<Arc<T>>>) -> Result<A, Stop> {
        let init = self.init.clone();
        Ok(values
            .iter()
            .fold(init, |whole, value| (self.fold)(whole, value)))
    }
}

impl<T, A, F> fmt::Debug for Reduce<T, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<Self>())
    }
}
