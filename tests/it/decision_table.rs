//! Every cell of the tables in the manual's page on layers that meet.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow::graph::Placement;
use stageflow::interceptors::{Breaker, BreakerState};
use stageflow::prelude::*;
use stageflow_testkit::{Probe, Scripted, TestRuntime, script};
use tokio::time::{advance, sleep};

use crate::layers::Inside;
use crate::support::{alone, undisturbed};

const PAGE: &str = include_str!("../../docs/manual/27-when-layers-meet.md");

const COOL_DOWN: Duration = Duration::from_secs(100);

type Script = Scripted<Arc<u64>, u64>;

/// A cell of a table, with what stands above and before it.
#[derive(Debug)]
struct Cell<'p> {
    stop: &'p str,
    stage: &'p str,
    retried: bool,
    breaker: &'p str,
    says: &'p str,
}

/// The cells between the bars of a line.
fn bars(line: &str) -> Option<Vec<&str>> {
    let line = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(line.split('|').map(str::trim).collect())
}

/// All cells below the headings of second order.
fn cells() -> Vec<Cell<'static>> {
    let mut cells = Vec::new();
    for section in PAGE.split("\n## ").skip(1) {
        let (stop, rest) = section.split_once('\n').unwrap();
        let mut lines = rest.lines().filter_map(bars);
        let head = lines.next().unwrap();
        for row in lines.skip(1) {
            assert_eq!(row.len(), head.len(), "{row:?}");
            for (above, says) in head.iter().zip(&row).skip(1) {
                let (tries, breaker) = above.split_once(", ").unwrap();
                cells.push(Cell {
                    stop,
                    stage: row[0],
                    retried: tries == "retried",
                    breaker,
                    says,
                });
            }
        }
    }
    cells
}

/// What the stage does.
fn stage(name: &str) -> Script {
    let second = Duration::from_secs(1);
    let value = || script::ok(1).taking(second);
    let transient = || script::transient("busy").taking(second);
    let asks = || script::retry_after(3.secs(), "later").taking(second);
    let panics = || script::panic("odd").taking(second);
    match name {
        "gives a value" | "is rejected by a layer inside" | "is denied by a layer inside" => {
            value()
        }
        "fails transiently" => transient(),
        "fails transiently once" => transient().then(value()),
        "fails for good" => script::fail("wrong").taking(second),
        "fails transiently, then for good" => {
            transient().then(script::fail("wrong").taking(second))
        }
        "asks for another attempt in 3 s" => asks(),
        "asks for another attempt in 3 s once" => asks().then(value()),
        "panics" | "panics, which is transient" => panics(),
        "panics once, which is transient" => panics().then(value()),
        "takes too long" | "never ends, without a limit" => script::hang(),
        "takes too long once" => script::hang().then(value()),
        "skips" => script::skip("nothing to do").taking(second),
        "cancels the run" => script::cancel("enough").taking(second),
        other => panic!("no stage of the test {other}"),
    }
}

impl Cell<'_> {
    fn engine(&self, breaker: &Breaker) -> Engine {
        let mut engine = undisturbed().intercept(breaker.clone());
        if self.retried {
            let retry = Retry::constant(3).first(1.secs()).jitter(Jitter::None);
            engine = engine.intercept(retry);
        }
        if !self.stage.ends_with("without a limit") {
            engine = engine.intercept(Timeout::attempt(2.secs()));
        }
        if self.stage.ends_with("which is transient") {
            engine = engine.intercept(CatchPanic::transient());
        }
        let engine = match self.stage {
            "is rejected by a layer inside" => engine.intercept(Inside(|call| {
                Flow::Reject(call.rejected("inside", "full", None))
            })),
            "is denied by a layer inside" => {
                engine.intercept(Inside(|call| Flow::Deny(call.denied("inside", "no"))))
            }
            _ => engine,
        };
        engine.build()
    }

    /// A breaker in the state that the column is about.
    async fn breaker(&self) -> Breaker {
        let two = NonZeroU32::new(2).unwrap();
        let breaker = Breaker::consecutive(two).cool_down(COOL_DOWN);
        let engine = undisturbed().intercept(breaker.clone()).build();
        let failures = if self.breaker == "closed" { 1 } else { 2 };
        for _ in 0..failures {
            let pipeline = alone(
                script::transient::<Arc<u64>, u64>("busy"),
                Placement::Inline,
            );
            let _report = engine.run(&pipeline, 1, RunOptions::new()).await;
        }
        if self.breaker == "cooled down" {
            advance(COOL_DOWN).await;
        }
        breaker
    }

    /// How the run ended.
    async fn run(&self, engine: &Engine, pipeline: &Pipeline<u64, u64>) -> Outcome {
        let (cancel, deadline) = match self.stop {
            "The run is left alone" => (None, Some(60_000)),
            "The run is cancelled before it starts" => (Some(0), None),
            "The run is cancelled after 0.5 s" => (Some(500), None),
            "The run is cancelled after 1.5 s" => (Some(1500), None),
            "The deadline of the run is after 1.5 s" => (None, Some(1500)),
            other => panic!("no stop of the test: {other}"),
        };
        let mut options = RunOptions::new();
        if let Some(deadline) = deadline {
            options = options.deadline(Duration::from_millis(deadline));
        }
        let run = engine.run(pipeline, 1, options);
        let handle = run.handle();
        match cancel {
            None => run.await.outcome(),
            Some(0) => {
                handle.cancel("enough");
                run.await.outcome()
            }
            Some(after) => {
                let after = Duration::from_millis(after);
                let stop = async {
                    sleep(after).await;
                    handle.cancel("enough");
                };
                let (report, ()) = tokio::join!(run, stop);
                // Whatever it was about, nothing goes on.
                assert!(report.duration() <= after, "{self:?}");
                report.outcome()
            }
        }
    }

    /// What the breaker has counted, from how its state has changed.
    fn counted(&self, breaker: &Breaker) -> &'static str {
        let (_, state) = breaker.view().pop().unwrap();
        match (self.breaker, state) {
            ("closed" | "cooled down", BreakerState::Closed { failures: 0 }) => "+",
            ("closed", BreakerState::Open { .. }) => "−",
            ("cooled down", BreakerState::Open { rest }) if !rest.is_zero() => "−",
            ("closed", BreakerState::Closed { failures: 1 })
            | ("open" | "cooled down", BreakerState::Open { .. })
            | (
                "cooled down",
                BreakerState::HalfOpen {
                    running: 0,
                    succeeded: 0,
                },
            ) => "0",
            other => panic!("{other:?} after {self:?}"),
        }
    }

    async fn happens(&self) -> String {
        let breaker = self.breaker().await;
        let engine = self.engine(&breaker);
        let probe = Probe::new();
        let pipeline = alone(stage(self.stage).watched_by(&probe), Placement::Inline);
        let outcome = self.run(&engine, &pipeline).await;
        assert_eq!(probe.live(), 0);
        let outcome = outcome.to_string().replace('_', " ");
        format!("{outcome} {} {}", probe.calls(), self.counted(&breaker))
    }
}

#[test]
fn every_cell_is_as_it_is_written() {
    let runtime = TestRuntime::paused();
    let cells = cells();
    assert!(cells.len() >= 200, "{} cells", cells.len());
    let wrong: Vec<String> = cells
        .iter()
        .filter_map(|cell| {
            let happens = runtime.block_on(cell.happens());
            (happens != cell.says).then(|| format!("{happens}, not as in {cell:?}"))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cells.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_tables_say_more_than_one_thing() {
    let cells = cells();
    let count = |what: fn(&Cell<'_>) -> bool| cells.iter().filter(|cell| what(cell)).count();
    assert!(count(|cell| cell.says.ends_with('+')) >= 10);
    assert!(count(|cell| cell.says.ends_with('−')) >= 50);
    assert!(count(|cell| cell.says.ends_with("3 −")) >= 5);
    assert!(count(|cell| cell.says.starts_with("denied")) >= 5);
    assert!(count(|cell| cell.says.starts_with("timed out")) >= 5);
}
