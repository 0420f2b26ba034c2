//! What operations say they have used is spent of the tenant's, once, whatever becomes of those who said it: random programs, and
//! somebody who adds up.

use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::context::OperationCx;
use stageflow::interceptors::Retry;
use stageflow::prelude::*;
use stageflow::tenancy::Quota;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::{Property, paused};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::{for_org, org, three};
use crate::support::Lab;

/// What a stage does, one after the other.
#[derive(Clone, Debug)]
enum Act {
    /// A call that says what it has used, in two parts with time between.
    Call {
        tokens: u64,
        micros: u64,
        millis: u64,
    },
    /// A call inside a call; both use something.
    Nested {
        tokens: u64,
    },
    /// A call for which something was set aside.
    SetAside {
        aside: u64,
        tokens: u64,
    },
    /// A call that is left behind in a task of its own, and says later what it has used.
    LeftBehind {
        tokens: u64,
        millis: u64,
    },
    /// A call when the run is over.
    Cleanup {
        tokens: u64,
    },
    /// A run inside the run.
    Child(Vec<Self>),
    FailAtFirst,
    Fail,
    Panic,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let used = || 0..500_u64;
    let act = prop_oneof![
        6 => (used(), used(), 0..20_u64)
            .prop_map(|(tokens, micros, millis)| Act::Call { tokens, micros, millis }),
        2 => used().prop_map(|tokens| Act::Nested { tokens }),
        2 => (used(), used()).prop_map(|(aside, tokens)| Act::SetAside { aside, tokens }),
        1 => (used(), 0..40_u64).prop_map(|(tokens, millis)| Act::LeftBehind { tokens, millis }),
        1 => used().prop_map(|tokens| Act::Cleanup { tokens }),
        2 => Just(Act::FailAtFirst),
        1 => Just(Act::Fail),
        1 => Just(Act::Panic),
    ];
    let script = |act| proptest::collection::vec(act, 0..5);
    let with_children = act.prop_recursive(3, 12, 4, move |inner| {
        proptest::collection::vec(inner, 0..4).prop_map(Act::Child)
    });
    script(with_children.boxed())
}

/// How a run is ended, if it does not end by itself.
#[derive(Clone, Copy, Debug)]
enum How {
    ByItself,
    Dropped(u64),
    Cancelled(u64),
    TimedOut(u64),
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        3 => Just(How::ByItself),
        1 => (0..40_u64).prop_map(How::Dropped),
        1 => (0..40_u64).prop_map(How::Cancelled),
        1 => (0..40_u64).prop_map(How::TimedOut),
    ]
}

/// The oracle: everything that was ever said to be used, tokens and millionths.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<[u64; 2]>>);

impl Told {
    fn used(&self, op: &OperationCx, usage: Usage) {
        self.note(usage);
        op.used(usage);
    }

    fn note(&self, usage: Usage) {
        let mut sum = self.0.lock().unwrap();
        sum[0] += usage.input_tokens + usage.output_tokens;
        sum[1] += usage.cost.micros();
    }

    fn sum(&self) -> [u64; 2] {
        *self.0.lock().unwrap()
    }
}

fn model() -> Operation {
    Operation::chat("m")
}

type Work<'a> = Pin<Box<dyn Future<Output = Result<u64, Stop>> + Send + 'a>>;

fn perform<'a>(cx: &'a StageCx, acts: &'a [Act], told: &'a Told) -> Work<'a> {
    Box::pin(async move {
        for act in acts {
            perform_one(cx, act, told).await?;
        }
        Ok(0)
    })
}

async fn perform_one(cx: &StageCx, act: &Act, told: &Told) -> Result<(), Stop> {
    match act {
        &Act::Call {
            tokens,
            micros,
            millis,
        } => {
            cx.operation(model(), async |op| {
                told.used(&op, Usage::tokens(tokens, 1));
                sleep(Duration::from_millis(millis)).await;
                told.used(&op, Usage::tokens(0, 0).at_cost(Cost::from_micros(micros)));
                Ok::<_, Stop>(())
            })
            .await
        }
        &Act::Nested { tokens } => {
            cx.operation(model(), async |outer| {
                told.used(&outer, Usage::tokens(0, tokens));
                outer
                    .operation(Operation::tool("t"), async |inner| {
                        told.used(&inner, Usage::tokens(tokens, 0));
                        Ok::<_, Stop>(())
                    })
                    .await
            })
            .await
        }
        &Act::SetAside { aside, tokens } => {
            let aside = cx.reserve(Amounts::tokens(aside)).await?;
            cx.operation(model(), async |op| {
                sleep(Duration::from_millis(1)).await;
                told.note(Usage::tokens(tokens, 0));
                op.settle(aside, Usage::tokens(tokens, 0));
                Ok::<_, Stop>(())
            })
            .await
        }
        &Act::LeftBehind { tokens, millis } => {
            let (cx, told) = (cx.clone(), told.clone());
            Handle::current().spawn(async move {
                let call = cx.operation(model(), async |op| {
                    sleep(Duration::from_millis(millis)).await;
                    told.used(&op, Usage::tokens(tokens, 0));
                    Ok::<_, Stop>(())
                });
                call.await
            });
            Ok(())
        }
        &Act::Cleanup { tokens } => {
            let (late, told) = (cx.clone(), told.clone());
            cx.on_cleanup("late", move || async move {
                let call = late.operation(model(), async |op| {
                    told.used(&op, Usage::tokens(tokens, 0));
                    Ok::<_, Stop>(())
                });
                call.await.ok();
            });
            Ok(())
        }
        Act::Child(acts) => {
            let child = pipeline(vec![acts.clone()], told);
            cx.run(&child, 0_u64).await.map(drop)
        }
        Act::FailAtFirst if cx.attempt().get() > 1 => Ok(()),
        Act::FailAtFirst => Err(Stop::transient("busy")),
        Act::Fail => Err(Stop::fail("no")),
        Act::Panic => panic!("no"),
    }
}

/// A stage for each script, all at the same time.
fn pipeline(scripts: Vec<Vec<Act>>, told: &Told) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("spend");
    let input = p.input::<u64>();
    let mut ends = Vec::new();
    for (at, acts) in scripts.into_iter().enumerate() {
        let (acts, told) = (Arc::new(acts), told.clone());
        let work = move |cx: StageCx, _n: Arc<u64>| {
            let (acts, told) = (Arc::clone(&acts), told.clone());
            async move { perform(&cx, &acts, &told).await }
        };
        ends.push(p.stage(format!("s{at}"), stage_fn(work)).after(input));
    }
    let all = stage_fn(async |_cx: StageCx, ends: Vec<Arc<u64>>| Ok(ends.len() as u64));
    let all = p.stage("all", all).after(ends);
    p.output(all).build().unwrap()
}

async fn end(lab: &Lab, pipeline: &Pipeline<u64, u64>, n: u64, how: How) {
    let millis = Duration::from_millis;
    let options = match how {
        How::TimedOut(after) => for_org(n).deadline(millis(after)),
        _ => for_org(n),
    };
    let run = lab.engine.run(pipeline, 1_u64, options);
    match how {
        How::Dropped(after) => drop(timeout(millis(after), run).await),
        How::Cancelled(after) => {
            let stop = run.handle();
            let cancel = async {
                sleep(millis(after)).await;
                stop.cancel("enough");
            };
            let _ = tokio::join!(run, cancel);
        }
        How::ByItself | How::TimedOut(_) => drop(run.await),
    }
}

type Case = (Vec<(Vec<Vec<Act>>, u64, How)>, Option<u64>);

fn cases() -> impl Strategy<Value = Case> {
    let scripts = proptest::collection::vec(acts(), 1..4);
    let runs = proptest::collection::vec((scripts, 0..2_u64, how()), 1..5);
    (runs, proptest::option::of(1..2_000_u64))
}

#[test]
fn what_a_tenant_has_spent_is_the_sum_of_what_its_operations_said() {
    Property::new("what a tenant has spent is the sum of what its operations said")
        .cases(120)
        .holds_for(&cases(), |(runs, quota)| paused(count(runs, quota)));
}

async fn count(
    runs: Vec<(Vec<Vec<Act>>, u64, How)>,
    quota: Option<u64>,
) -> Result<(), TestCaseError> {
    let tokens = quota.and_then(NonZeroU64::new);
    let tenants = three(tokens.map_or_else(Quota::new, |most| Quota::new().tokens(most)));
    let lab = Lab::with(|builder| {
        let retry = Retry::constant(3).first(Duration::from_millis(1));
        builder.admit(tenants.admission()).intercept(retry)
    });
    let told: [Told; 2] = Default::default();
    let all = runs.into_iter().map(|(scripts, n, how)| {
        let pipeline = pipeline(scripts, &told[n as usize]);
        let lab = &lab;
        async move { end(lab, &pipeline, n, how).await }
    });
    join_all(all).await;
    lab.engine.settled().await;
    // What was left behind has its say.
    sleep(Duration::from_millis(100)).await;
    for n in 0..2 {
        let spent = tenants.usage(org(n)).unwrap().spent;
        let told = told[n as usize].sum();
        prop_assert_eq!([spent.tokens, spent.cost.micros()], told, "org {}", n);
        let reserved = tenants.budget(org(n)).unwrap().reserved();
        prop_assert_eq!(reserved, Amounts::ZERO, "org {}", n);
        let used = tenants.budget(org(n)).unwrap().spent();
        prop_assert_eq!(used.tokens, told[0]);
    }
    prop_assert_eq!(tenants.usage(org(2)).unwrap().spent, Amounts::ZERO);
    Ok(())
}
