//! A breaker against a model of it: random calls of several orgs through two engines that share it, in virtual time. The model
//! keeps what happened and works everything out of that; it shares no code with the breaker.

mod model;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use stageflow::context::{OrgId, StageErrorKind, StopKind, SystemIds};
use stageflow::executor::RunHandle;
use stageflow::prelude::*;
use stageflow_testkit::{Property, RecordingSink, TestRuntime};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::advance;

use model::{How, Model, Opens, Rule};

const ORGS: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Op {
    Start { org: usize, engine: usize },
    End { which: usize, how: How },
    Pass { ms: u64 },
}

/// A call that is under way.
struct Live {
    org: usize,
    phase: u32,
    end: oneshot::Sender<How>,
    handle: RunHandle,
    run: JoinHandle<RunReport<u64>>,
}

type Entered = mpsc::UnboundedSender<oneshot::Sender<How>>;

fn body(entered: Entered) -> impl Stage<Input = Arc<u64>, Output = u64> {
    stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let entered = entered.clone();
        async move {
            let (end, ends) = oneshot::channel();
            let _ = entered.send(end);
            let ended = |kind| {
                let error = StageError::bare(cx.stage().clone(), cx.attempt(), kind);
                Err(StopKind::Ended(error).into())
            };
            match ends.await.unwrap() {
                How::Succeeds => Ok(1),
                How::FailsTransiently => Err(Stop::transient("busy")),
                How::TimesOut => ended(StageErrorKind::TimedOut(Duration::from_secs(1))),
                How::Panics => std::panic::resume_unwind(Box::new("on purpose")),
                How::FailsForGood => Err(Stop::fail("bad request")),
                How::IsDenied => ended(StageErrorKind::Denied),
                How::IsRejectedInside => ended(StageErrorKind::Rejected),
                How::Skips => Err(Stop::skip("nothing to do")),
                How::CancelsItsRun => Err(Stop::cancel("enough")),
                How::IsCancelled | How::IsDropped => std::future::pending().await,
            }
        }
    })
}

struct World {
    rule: Rule,
    orgs: [OrgId; ORGS],
    breaker: Breaker,
    engines: [Engine; 2],
    sink: RecordingSink,
    pipeline: Arc<Pipeline<u64, u64>>,
    entered: mpsc::UnboundedReceiver<oneshot::Sender<How>>,
    models: [Option<Model>; ORGS],
    live: Vec<Live>,
    now: u64,
    told: Vec<&'static str>,
}

impl World {
    fn new(rule: Rule) -> Self {
        let nonzero = |n: u32| NonZeroU32::new(n).unwrap();
        let breaker = match rule.opens {
            Opens::Row(failures) => Breaker::consecutive(nonzero(failures)),
            Opens::Rate {
                percent,
                window,
                min_calls,
            } => Breaker::rate(
                Percent::new(percent as u8).unwrap(),
                Duration::from_millis(window),
                nonzero(min_calls as u32),
            ),
        };
        let breaker = breaker
            .cool_down(Duration::from_millis(rule.cool_down))
            .probes(nonzero(rule.probes as u32));
        let sink = RecordingSink::new();
        // Built each by itself: they share the breaker, and nothing else.
        let engines = [(); 2].map(|()| {
            Engine::builder()
                .intercept(breaker.clone())
                .events(sink.clone())
                .build()
        });
        let (tell_entered, entered) = mpsc::unbounded_channel();
        let mut p = Pipeline::builder("alone");
        let n = p.input::<u64>();
        let a = p.stage("a", body(tell_entered)).after(n);
        Self {
            rule,
            orgs: [(); ORGS].map(|()| OrgId::generate(&SystemIds::new())),
            breaker,
            engines,
            sink,
            pipeline: Arc::new(p.output(a).build().unwrap()),
            entered,
            models: [const { None }; ORGS],
            live: Vec::new(),
            now: 0,
            told: Vec::new(),
        }
    }

    async fn start(&mut self, org: usize, engine: usize) -> Result<(), TestCaseError> {
        let (engine, pipeline) = (self.engines[engine].clone(), Arc::clone(&self.pipeline));
        let options = RunOptions::new().org(self.orgs[org]);
        let (give_handle, handle) = oneshot::channel();
        let mut run = Handle::current().spawn(async move {
            let run = engine.run(&pipeline, 1, options);
            let _ = give_handle.send(run.handle());
            run.await
        });
        let handle = handle.await.unwrap();
        let end = tokio::select! {
            end = self.entered.recv() => Ok(end.unwrap()),
            report = &mut run => Err(report.unwrap()),
        };
        let model = self.models[org].get_or_insert_with(|| Model::new(self.rule, self.now));
        match (model.start(self.now, &mut self.told), end) {
            (Ok(phase), Ok(end)) => self.live.push(Live {
                org,
                phase,
                end,
                handle,
                run,
            }),
            (Err(wait), Err(report)) => {
                prop_assert_eq!(report.outcome(), Outcome::Failed);
                let error = report.error().unwrap();
                prop_assert_eq!(error.kind(), &StageErrorKind::Rejected);
                let wait = wait.map(Duration::from_millis);
                prop_assert_eq!(error.retry_after(), wait, "{}", error);
            }
            (Ok(_), Err(report)) => prop_assert!(false, "was not let in: {report:?}"),
            (Err(_), Ok(_)) => prop_assert!(false, "was let in"),
        }
        Ok(())
    }

    async fn end(&mut self, which: usize, how: How) {
        if self.live.is_empty() {
            return;
        }
        let live = self.live.swap_remove(which % self.live.len());
        match how {
            How::IsCancelled => assert!(live.handle.cancel("no longer wanted")),
            How::IsDropped => live.run.abort(),
            how => live.end.send(how).unwrap(),
        }
        let _ = live.run.await;
        // A run whose caller is gone ends by itself, a little later.
        for engine in &self.engines {
            if how == How::IsDropped && self.live.is_empty() {
                engine.settled().await;
            }
        }
        if how == How::IsDropped {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        let model = self.models[live.org].as_mut().unwrap();
        model.end(live.phase, how, self.now, &mut self.told);
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        let view = self.breaker.view();
        for (org, model) in self.models.iter().enumerate() {
            let seen = view
                .iter()
                .find(|(key, _)| key.org() == Some(self.orgs[org]));
            let expected = model.as_ref().map(|model| model.looks_like(self.now));
            prop_assert_eq!(seen.map(|(_, state)| *state), expected, "org {}", org);
        }
        let told: Vec<_> = self.told.iter().map(|name| (*name).to_owned()).collect();
        prop_assert_eq!(self.told(), told);
        Ok(())
    }

    fn told(&self) -> Vec<String> {
        let names = self.sink.names().into_iter();
        names.filter(|name| name.starts_with("layer.")).collect()
    }
}

async fn check(rule: Rule, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let mut world = World::new(rule);
    for op in ops {
        match op {
            Op::Start { org, engine } => world.start(org, engine).await?,
            Op::End { which, how } => world.end(which, how).await,
            Op::Pass { ms } => {
                advance(Duration::from_millis(ms)).await;
                world.now += ms;
            }
        }
        world.compare()?;
    }
    while !world.live.is_empty() {
        world.end(0, How::IsCancelled).await;
    }
    world.compare()
}

fn hows() -> impl Strategy<Value = How> {
    prop_oneof![
        4 => Just(How::Succeeds),
        6 => Just(How::FailsTransiently),
        1 => Just(How::TimesOut),
        1 => Just(How::Panics),
        1 => Just(How::FailsForGood),
        1 => Just(How::IsDenied),
        1 => Just(How::IsRejectedInside),
        1 => Just(How::Skips),
        1 => Just(How::CancelsItsRun),
        1 => Just(How::IsCancelled),
        1 => Just(How::IsDropped),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        5 => (0..ORGS * 3, 0..2_usize).prop_map(|(org, engine)| Op::Start {
            // Most calls are one org's, so that its breaker sees every state.
            org: org.saturating_sub(2 * ORGS).min(ORGS - 1),
            engine,
        }),
        5 => (any::<usize>(), hows()).prop_map(|(which, how)| Op::End { which, how }),
        1 => prop_oneof![Just(1_u64), Just(499), Just(500), Just(1000), 1..1500_u64]
            .prop_map(|ms| Op::Pass { ms }),
    ];
    prop::collection::vec(op, 1..120)
}

fn rules() -> impl Strategy<Value = Rule> {
    let row = (1..4_u32).prop_map(Opens::Row);
    let rate = (
        prop_oneof![Just(1_u64), Just(50), Just(100), 1..101_u64],
        prop_oneof![Just(10_u64), Just(100), Just(1000), Just(2500)],
        1..6_usize,
    )
        .prop_map(|(percent, window, min_calls)| Opens::Rate {
            percent,
            window,
            min_calls,
        });
    let opens = prop_oneof![row, rate];
    (
        opens,
        prop_oneof![Just(0_u64), Just(500), Just(1000)],
        1..4_usize,
    )
        .prop_map(|(opens, cool_down, probes)| Rule {
            opens,
            cool_down,
            probes,
        })
}

#[test]
fn a_breaker_does_what_its_table_says() {
    let runtime = TestRuntime::paused();
    Property::new("a breaker does what its table says")
        .cases(200)
        .holds_for(&(rules(), ops()), |(rule, ops)| {
            runtime.block_on(check(rule, ops))
        });
}
