//! Large pipelines on a small stack: building needs no recursion.

use stageflow_context::StageCx;
use stageflow_graph::{Handle, Pipeline, Plan, ProblemKind, stage_fn};
use stageflow_testkit::wiring::Wiring;

use std::sync::Arc;

/// Far less than a frame a stage.
const SMALL_STACK: usize = 256 * 1024;

const MANY: usize = 100_000;

fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new()
        .stack_size(SMALL_STACK)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap()
}

/// `s0` waits for `s1`, that for `s2`, and so on.
fn chain(last: Option<usize>) -> Wiring {
    let mut wiring = Wiring::new([]);
    let upstream = |stage: usize| {
        if stage + 1 < MANY {
            Some(stage + 1)
        } else {
            last
        }
    };
    wiring.stages = (0..MANY)
        .map(|stage| {
            (
                format!("s{stage}"),
                upstream(stage)
                    .map(|up| format!("s{up}"))
                    .into_iter()
                    .collect(),
            )
        })
        .collect();
    wiring.output = "s0".to_owned();
    wiring
}

#[test]
fn a_hundred_thousand_stages_in_a_chain_declared_backwards_fit_a_small_stack() {
    let plan: Arc<Plan> = on_a_small_stack(|| Arc::clone(chain(None).build().unwrap().plan()));
    assert_eq!((plan.len(), plan.output()), (MANY, 0));
    assert_eq!(plan.in_degrees().iter().sum::<u32>() as usize, MANY - 1);
    assert_eq!(plan.downstream(MANY - 1), [MANY as u32 - 2]);
}

#[test]
fn a_circle_of_a_hundred_thousand_stages_is_found_on_a_small_stack() {
    let error = on_a_small_stack(|| chain(Some(0)).build().unwrap_err());
    let [problem] = error.problems() else {
        panic!("{} problems", error.problems().len())
    };
    let ProblemKind::Cycle { path } = problem.kind() else {
        panic!("{:?}", problem.code())
    };
    assert_eq!(path.len(), MANY + 1);
}

async fn pass(_cx: StageCx, n: Arc<u64>) -> Result<u64, stageflow_context::Stop> {
    Ok(*n)
}

#[test]
fn a_hundred_thousand_typed_stages_in_a_chain_fit_a_small_stack() {
    let plan = on_a_small_stack(|| {
        let mut p = Pipeline::builder("chain");
        let mut last: Handle<u64> = p.input::<u64>();
        for stage in 0..MANY {
            last = p.stage(format!("s{stage}"), stage_fn(pass)).after(last);
        }
        Arc::clone(p.output(last).build().unwrap().plan())
    });
    assert_eq!((plan.len(), plan.output()), (MANY, MANY - 1));
}

async fn gather(_cx: StageCx, all: Vec<Arc<u64>>) -> Result<u64, stageflow_context::Stop> {
    Ok(all.len() as u64)
}

#[test]
fn a_thousand_stages_that_each_wait_for_a_thousand_fit_a_small_stack() {
    let plan = on_a_small_stack(|| {
        let mut p = Pipeline::builder("lattice");
        let input = p.input::<u64>();
        let first: Vec<Handle<u64>> = (0..1_000)
            .map(|i| p.stage(format!("a{i}"), stage_fn(pass)).after(input))
            .collect();
        let second: Vec<Handle<u64>> = (0..1_000)
            .map(|i| {
                p.stage(format!("b{i}"), stage_fn(gather))
                    .after(first.clone())
            })
            .collect();
        Arc::clone(p.output(second[0]).build().unwrap().plan())
    });
    assert_eq!(plan.in_degrees().iter().sum::<u32>(), 1_000_000);
    assert!((0..1_000).all(|stage| plan.downstream(stage).len() == 1_000));
}
