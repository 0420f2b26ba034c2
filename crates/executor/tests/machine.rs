//! The scheduling machine, example by example. Every interleaving of small pipelines is in `props`.

#![cfg(test)]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow_executor::FailurePolicy;
use stageflow_executor::machine::{Effect, Input, Limit, RunMachine, StageEnd, Tick, Verdict};
use stageflow_graph::{Pipeline, Plan, stage_fn};
use stageflow_testkit::dag::{DagSpec, StageSpec, Tempo, Watch};

fn plan(stages: Vec<StageSpec>) -> Arc<Plan> {
    let spec = DagSpec::new(stages);
    let pipeline: Pipeline<u64, u64> = spec.typed(&Watch::new(&spec, Tempo::Clock)).unwrap();
    Arc::clone(pipeline.plan())
}

fn tell(machine: &mut RunMachine<'_>, input: Input) -> Vec<Effect> {
    machine.on(input, Tick::ZERO);
    std::iter::from_fn(|| machine.next_effect()).collect()
}

fn ended(stage: u32, end: StageEnd) -> Input {
    Input::Ended { stage, end }
}

#[test]
fn stages_that_a_skip_makes_ready_together_start_in_the_order_of_declaration() {
    let plan = plan(vec![
        StageSpec::ok(),
        StageSpec::ok().after([0]).optional(),
        StageSpec::ok().after([0]).optional(),
        StageSpec::ok().after([1]),
        StageSpec::ok().after([2]),
    ]);
    let mut machine = RunMachine::new(&plan, NonZeroUsize::MAX, None);
    assert_eq!(tell(&mut machine, Input::Begin), [Effect::Start(0)]);
    let effects = tell(&mut machine, ended(0, StageEnd::Skipped));
    assert_eq!(
        effects[4..],
        [Effect::Start(3), Effect::Start(4)],
        "{effects:?}"
    );
}

#[test]
fn a_slot_goes_to_the_stage_that_has_waited_for_it_longest() {
    let plan = plan(vec![
        StageSpec::ok(),
        StageSpec::ok(),
        StageSpec::ok().after([0]),
        StageSpec::ok(),
        StageSpec::ok().after([2, 3]),
    ]);
    let mut machine = RunMachine::new(&plan, const { NonZeroUsize::new(2).unwrap() }, None);
    assert_eq!(
        tell(&mut machine, Input::Begin),
        [Effect::Start(0), Effect::Start(1)]
    );
    // 3 has been ready from the start, 2 becomes so only now.
    assert_eq!(
        tell(&mut machine, ended(0, StageEnd::Succeeded)),
        [Effect::Start(3)]
    );
    assert_eq!(
        tell(&mut machine, ended(1, StageEnd::Succeeded)),
        [Effect::Start(2)]
    );
}

#[test]
fn a_stage_that_reads_a_value_twice_is_started_once() {
    let plan = plan(vec![StageSpec::ok(), StageSpec::ok().after([0, 0])]);
    let mut machine = RunMachine::new(&plan, NonZeroUsize::MAX, None);
    assert_eq!(tell(&mut machine, Input::Begin), [Effect::Start(0)]);
    assert_eq!(
        tell(&mut machine, ended(0, StageEnd::Succeeded)),
        [Effect::Start(1)]
    );
    assert_eq!(
        tell(&mut machine, ended(1, StageEnd::Succeeded)),
        [Effect::Done(Verdict::Completed)]
    );
}

#[test]
fn the_end_of_a_stage_that_does_not_run_is_no_news() {
    let plan = plan(vec![StageSpec::ok(), StageSpec::ok().after([0])]);
    let mut machine = RunMachine::new(&plan, NonZeroUsize::MAX, None);
    assert_eq!(tell(&mut machine, Input::Begin), [Effect::Start(0)]);
    assert_eq!(tell(&mut machine, ended(1, StageEnd::Failed)), []);
    assert_eq!(
        tell(&mut machine, ended(0, StageEnd::Succeeded)),
        [Effect::Start(1)]
    );
    assert_eq!(tell(&mut machine, ended(0, StageEnd::Failed)), []);
    assert_eq!(machine.verdict(), None);
}

#[test]
fn a_grace_is_told_when_it_is_over_and_only_of_a_stage_that_still_runs() {
    let plan = plan(vec![StageSpec::ok(), StageSpec::ok(), StageSpec::ok()]);
    let mut machine = RunMachine::new(&plan, NonZeroUsize::MAX, None);
    tell(&mut machine, Input::Begin);
    // A limit of its own counts no longer once the run ends.
    let limit = Duration::from_nanos(5);
    let suspended = Input::Suspended {
        stage: 0,
        since: Tick::ZERO,
        attempt: Some(limit),
        idle: None,
    };
    assert_eq!(tell(&mut machine, suspended), []);
    assert_eq!(tell(&mut machine, Input::Cancel), [Effect::Stop]);
    for (stage, nanos) in [(0, 10), (1, 20)] {
        let grace = Input::Grace {
            stage,
            since: Tick::ZERO,
            limit: Duration::from_nanos(nanos),
        };
        assert_eq!(tell(&mut machine, grace), []);
    }
    assert_eq!(tell(&mut machine, ended(2, StageEnd::Interrupted)), []);
    machine.on(Input::Tick, Tick::from_nanos(9));
    assert_eq!(machine.next_effect(), None);
    assert_eq!(machine.next_timer(), Some(Tick::from_nanos(10)));
    machine.on(Input::Tick, Tick::from_nanos(10));
    let over = Effect::Expire {
        stage: 0,
        limit: Limit::Grace(Duration::from_nanos(10)),
    };
    assert_eq!(machine.next_effect(), Some(over));
    // The other one ends by itself, in time.
    assert_eq!(tell(&mut machine, ended(1, StageEnd::Succeeded)), []);
    assert_eq!(machine.next_timer(), None);
    assert_eq!(
        tell(&mut machine, ended(0, StageEnd::Interrupted)),
        [Effect::Done(Verdict::Cancelled)]
    );
}

/// A route with two arms, a stage behind each, and a merge of both.
fn routed() -> Arc<Plan> {
    #[derive(stageflow_graph::Route)]
    #[route(crate = "stageflow_graph")]
    enum Way {
        Left(u64),
        Right(u64),
    }
    let mut p = Pipeline::builder("routed");
    let n = p.input::<u64>();
    let decide = stage_fn(async |_cx, n: Arc<u64>| {
        Ok(if *n > 0 {
            Way::Left(*n)
        } else {
            Way::Right(*n)
        })
    });
    let same = || stage_fn(async |_cx, n: Arc<u64>| Ok(*n));
    let WayArms { left, right } = p.route("decide", decide).after(n);
    let a = p.stage("a", same()).after(left);
    let b = p.stage("b", same()).after(right);
    let first = p.merge("first", [a, b]);
    Arc::clone(p.output(first).build().unwrap().plan())
}

#[test]
fn a_route_is_asked_for_its_decision_and_the_other_arm_is_skipped() {
    let plan = routed();
    let mut machine = RunMachine::new(&plan, NonZeroUsize::MAX, None);
    assert_eq!(tell(&mut machine, Input::Begin), [Effect::Start(0)]);
    machine.on(ended(0, StageEnd::Succeeded), Tick::ZERO);
    assert_eq!(machine.next_effect(), Some(Effect::Choose(0)));
    machine.on(Input::Took { arm: 2 }, Tick::ZERO);
    let skip = |stage, because| Effect::Skip { stage, because };
    assert_eq!(
        tell(&mut machine, Input::Chosen { route: 0 }),
        [
            skip(1, 0),
            Effect::Resolve { stage: 2, from: 0 },
            skip(3, 1),
            Effect::Start(4)
        ]
    );
    assert_eq!(
        tell(&mut machine, ended(4, StageEnd::Succeeded)),
        [
            Effect::Resolve { stage: 5, from: 4 },
            Effect::Done(Verdict::Completed)
        ]
    );
}

#[test]
fn a_failure_of_a_run_that_goes_on_decides_it_at_the_end() {
    let plan = routed();
    let mut machine = RunMachine::new(&plan, NonZeroUsize::MAX, None)
        .on_failure(FailurePolicy::ContinueIndependent);
    assert_eq!(tell(&mut machine, Input::Begin), [Effect::Start(0)]);
    let effects = tell(&mut machine, ended(0, StageEnd::Failed));
    assert_eq!(effects.len(), 6, "five skips: {effects:?}");
    assert_eq!(machine.verdict(), None, "nothing has stopped it");
    assert_eq!(effects[5], Effect::Done(Verdict::Failed(0)));
}
