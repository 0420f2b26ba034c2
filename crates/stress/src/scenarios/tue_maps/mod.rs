//! One stage for each of many items.

mod case;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow::executor::PartCounts;
use stageflow::graph::BuildError;
use stageflow::prelude::*;
use stageflow_testkit::{Probe, RecordingSink};

use self::case::{Case, End, Policy, Wanted};
use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    let (own, engine) = (Control::own, Control::engine);
    Scenario::new("TUE-MAPS", "one stage for each of many items")
        .proves(
            "a map has no more items under way than its width, gives results in the order of its items, and makes of items \
             that give none what its policy says, to the millisecond and in all counts",
        )
        .theme(Theme::Tue)
        .tier(Tier::Daily)
        .targets(["DAG-007"])
        .expected(Duration::from_secs(3))
        .control(own("wider", "has one item more under way than it may"))
        .control(own("unordered", "gives the last result first"))
        .control(engine(
            "forget-part-end",
            "does not tell of one end of an item in a thousand",
            "ForgetPartEnd",
            1000,
        ))
        .control(engine(
            "ignore-limit",
            "does not keep one limit of an item in ten",
            "IgnoreLimit",
            10,
        ))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let sink = RecordingSink::new();
    let engine = lab.engine().events(sink.clone()).build();
    let (mut items, mut ties) = (0, 0_u32);
    lab.trials(lab.scaled(2000), |lab, trial| {
        let case = Case::draw(&mut trial.seed.rng());
        match case.predict() {
            None => ties += 1,
            Some(wanted) => {
                items += wanted.counts[0];
                goes_as_it_should(lab, &engine, &sink, (&case, &wanted))?;
            }
        }
        Ok(())
    })?;
    lab.metric("items", "count", items as f64);
    lab.metric("left_out_for_a_tie", "count", ties.into());
    Ok(())
}

fn goes_as_it_should(
    lab: &mut Lab,
    engine: &Engine,
    sink: &RecordingSink,
    (case, wanted): (&Case, &Wanted),
) -> Result<(), LabError> {
    let probe = Probe::new();
    let pipeline = built(lab, case, &probe).map_err(LabError::new)?;
    let numbers = (0..case.items.len()).map(Arc::new).collect();
    let options = RunOptions::new();
    // The run begins on the clock it goes on with.
    let report = lab.paused(async { engine.run(&pipeline, numbers, options).await });
    let counts = report.stage("a").map(|stage| stage.parts());
    let mut found = Wanted {
        text: told(&report),
        counts: in_order(counts.unwrap_or_default()),
        took: report.duration().as_millis() as u64,
    };
    if lab.is_broken("unordered") {
        let words: Vec<_> = found.text.split(' ').rev().collect();
        found.text = words.join(" ");
    }
    lab.check(
        found == *wanted,
        "a map goes over its items as its rules say",
        Breach::WrongStatus,
        || format!("{found:?}, not {wanted:?}, of {case:?}"),
    );
    lab.check(
        probe.peak() <= case.width && probe.live() == 0,
        "no more items are under way than the width, and none at the end",
        Breach::ResourceLeak,
        || format!("{probe:?} with a width of {}", case.width),
    );
    let grammar = sink.check_against(pipeline.plan());
    lab.check(
        grammar.is_ok(),
        "every item that starts ends, inside its stage",
        Breach::Lost,
        || format!("{grammar:?}"),
    );
    sink.clear();
    Ok(())
}

fn in_order(counts: PartCounts) -> [u64; 6] {
    [
        counts.started,
        counts.succeeded,
        counts.failed,
        counts.timed_out,
        counts.skipped,
        counts.cancelled,
    ]
}

fn told(report: &RunReport<Vec<String>>) -> String {
    match (report.output(), report.error()) {
        (Ok(results), _) => format!("gave {}", results.join(" ")),
        (Err(_), Some(error)) => format!("failed: {}", error.path()),
        (Err(_), None) => report.outcome().to_string(),
    }
}

type Told = Pipeline<Vec<Arc<usize>>, Vec<String>>;

fn built(lab: &Lab, case: &Case, probe: &Probe) -> Result<Told, BuildError> {
    let wider = usize::from(lab.is_broken("wider"));
    let width = NonZeroUsize::MIN.saturating_add(case.width - 1 + wider);
    let mut p = Pipeline::builder("map");
    let numbers = p.input::<Vec<Arc<usize>>>();
    let mut items = map(stage_fn(item(case, probe))).width(width);
    if let Some(limit) = case.limit {
        items = items.item_timeout(Duration::from_millis(limit.into()));
    }
    macro_rules! wired {
        ($items:expr) => {{
            let stage = p.stage("a", $items);
            let stage = if case.spawned { stage.spawn() } else { stage };
            stage.after(numbers)
        }};
    }
    let values = stage_fn(async |_cx: StageCx, values: Arc<Vec<Arc<usize>>>| {
        Ok(values.iter().map(ToString::to_string).collect())
    });
    let told = match case.policy {
        Policy::FailFast => {
            let a = wired!(items);
            p.stage("told", values).after(a)
        }
        Policy::SkipFailed => {
            let a = wired!(items.skip_failed());
            p.stage("told", values).after(a)
        }
        Policy::Collect => {
            let a = wired!(items.collect());
            p.stage("told", stage_fn(all)).after(a)
        }
    };
    p.output(told).build()
}

async fn all(_cx: StageCx, ended: Arc<Vec<ItemOutcome<usize>>>) -> Result<Vec<String>, Stop> {
    let told = |item: &ItemOutcome<usize>| match item {
        ItemOutcome::Done(value) => value.to_string(),
        ItemOutcome::Skipped(_) => "skipped".to_owned(),
        _ => "failed".to_owned(),
    };
    Ok(ended.iter().map(told).collect())
}

/// Does what the case says of the item.
fn item(
    case: &Case,
    probe: &Probe,
) -> impl Fn(StageCx, Arc<usize>) -> futures_util::future::BoxFuture<'static, Result<usize, Stop>>
+ Send
+ Sync
+ 'static {
    let (items, probe) = (case.items.clone(), probe.clone());
    move |_cx, index| {
        let (item, live) = (items[*index], probe.enter());
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(item.takes.into())).await;
            live.done();
            match item.end {
                End::Value => Ok(*index),
                End::Cancel => Err(Stop::cancel("told to")),
                End::Fail => Err(Stop::fail("told to")),
                End::Panic => std::panic::resume_unwind(Box::new("told to")),
                End::Skip => Err(Stop::skip("told to")),
            }
        })
    }
}
