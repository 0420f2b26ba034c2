//! A network that jitters by half a second, around a limit of one.

mod wire;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::graph::ItemOutcome;
use stageflow::prelude::*;

use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Theme, Tier, TimeMode, Trial};
use wire::{Books, Wire, answer_to};

/// The items of a run, all under way at a time.
const ITEMS: u64 = 100;
const ATTEMPTS: u32 = 3;
/// Of a hundred answers one is lost, and a tenth of the others takes longer than the limit.
const TIMES_OUT: f64 = 0.01 + 0.99 * 0.1;
/// The distance in standard deviations that 99.9 % of normal values keep.
const Z_999: f64 = 3.2905;

pub(super) fn scenario() -> Scenario {
    Scenario::new("M2-JITTER", "a network that jitters by half a second")
        .proves(
            "answers reach who asked, late ones and copies are counted and dropped, limits are kept to the millisecond, and \
             retries stay within their theory",
        )
        .theme(Theme::Any)
        .tier(Tier::Daily)
        .targets(["CHAOS-001", "WORK-005"])
        .modes(["R5", "R7"])
        .expected(Duration::from_secs(3))
        .control(Control::own("one-more", "tries once more than it was told"))
        .control(Control::own("by-item", "takes an answer to an earlier attempt for its own"))
        .control(Control::own("long-limit", "waits a twentieth longer than the limit"))
        .run(run)
}

/// What was seen in all trials.
#[derive(Default)]
struct Tally {
    calls: u64,
    answered: u64,
    books: Books,
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut tally = Tally::default();
    if lab.uses(TimeMode::Virtual) {
        lab.trials(lab.scaled(20), |lab, trial| {
            let wire = Wire::new(trial.seed.rng(), 1, lab.is_broken("by-item"));
            let (engine, pipeline) = (engine(lab, &wire), pipeline(&wire)?);
            let runs = lab.paused(wire.deliver_while(runs(&engine, &pipeline, &trial, 50)));
            tally.add(lab, &runs, wire.books());
            Ok(())
        })?;
        tally.judge(lab);
    }
    if lab.uses(TimeMode::Real) && !lab.is_control() {
        // Ten times as fast.
        let trial = Trial {
            index: 0,
            seed: lab.seed().named("real"),
        };
        let wire = Wire::new(trial.seed.rng(), 10, false);
        let (engine, pipeline) = (engine(lab, &wire), pipeline(&wire)?);
        let asking = wire.deliver_while(runs(&engine, &pipeline, &trial, 5));
        let runs = lab.on(Runtime::Ct, asking)?;
        Tally::default().add(lab, &runs, wire.books());
    }
    Ok(())
}

fn engine(lab: &Lab, wire: &Wire) -> Engine {
    let attempts = ATTEMPTS + u32::from(lab.is_broken("one-more"));
    let limit = match lab.is_broken("long-limit") {
        true => wire.limit() * 21 / 20,
        false => wire.limit(),
    };
    let retry = Retry::exponential(attempts).per_run(NonZeroU32::MAX);
    lab.engine()
        .intercept(retry.first(wire.limit() / 5))
        .intercept(Timeout::attempt(limit))
        .blocking_threshold(Duration::MAX)
        .build()
}

type Items = Vec<Arc<u64>>;
type Outcomes = Vec<ItemOutcome<u64>>;

fn pipeline(wire: &Arc<Wire>) -> Result<Pipeline<Items, Outcomes>, LabError> {
    let wire = Arc::clone(wire);
    let ask = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
        let wire = Arc::clone(&wire);
        async move {
            match wire.ask(*n).await {
                Some((request, answer)) if request == answer.request => Ok(answer.value),
                Some(_) => Err(Stop::fail("an answer to somebody else")),
                None => Err(Stop::fail("nobody answers")),
            }
        }
    });
    let mut p = Pipeline::builder("jitter");
    let items = p.input::<Items>();
    let width = std::num::NonZeroUsize::MIN.saturating_add(ITEMS as usize - 1);
    let asked = map(ask).width(width).collect();
    let asked = p.stage("ask", asked).after(items);
    p.output(asked).build().map_err(LabError::new)
}

/// So many runs at a time, with numbers of their own.
async fn runs(
    engine: &Engine,
    pipeline: &Pipeline<Items, Outcomes>,
    trial: &Trial,
    count: u64,
) -> Vec<RunReport<Outcomes>> {
    let runs = (0..count).map(|run| {
        let items = (run * ITEMS..(run + 1) * ITEMS).map(Arc::new).collect();
        let options = RunOptions::new().seed(trial.seed.child(run).get());
        engine.run(pipeline, items, options)
    });
    join_all(runs).await
}

impl Tally {
    /// Looks at the runs of one trial, and adds what is to be seen over all of them.
    fn add(&mut self, lab: &Lab, runs: &[RunReport<Outcomes>], books: Books) {
        for (run, report) in runs.iter().enumerate() {
            let Ok(outcomes) = report.output() else {
                lab.check(false, "a run ends well", Breach::WrongStatus, || {
                    report.outcome().to_string()
                });
                continue;
            };
            for (item, outcome) in outcomes.iter().enumerate() {
                self.calls += 1;
                let n = run as u64 * ITEMS + item as u64;
                self.answered += u64::from(self.is_answered(lab, n, outcome));
            }
        }
        lab.check(
            books.sent == books.delivered + books.discarded
                && books.asked == books.delivered + books.gone,
            "every answer is delivered or discarded, and every request has its answer or gave up",
            Breach::Lost,
            || format!("{books:?}"),
        );
        self.books.asked += books.asked;
        self.books.discarded += books.discarded;
        self.books.gone += books.gone;
        self.books.late += books.late;
    }

    /// Whether an item has its answer; the right one, or three limits that have passed.
    fn is_answered(&self, lab: &Lab, n: u64, outcome: &ItemOutcome<u64>) -> bool {
        if let Some(value) = outcome.value() {
            lab.check(
                **value == answer_to(n),
                "an answer reaches who asked",
                Breach::Leaked,
                || format!("{value} for {n}"),
            );
            return true;
        }
        let attempts = outcome.error().map(|error| error.earlier().len() + 1);
        let class = outcome.error().map(StageError::class);
        lab.check(
            attempts == Some(ATTEMPTS as usize) && class == Some(ErrorClass::Transient),
            "who gets no answer has tried as often as it may",
            Breach::WrongStatus,
            || format!("{outcome:?}"),
        );
        false
    }

    /// Holds the rates against theory.
    fn judge(&self, lab: &Lab) {
        if self.calls == 0 {
            return;
        }
        let (calls, asked) = (self.calls as f64, self.books.asked as f64);
        let amplification = asked / calls;
        lab.metric("timeouts", "ratio", self.books.gone as f64 / asked);
        lab.metric("amplification", "ratio", amplification);
        lab.metric("late_discarded", "count", self.books.discarded as f64);
        let drift = self.books.late.as_secs_f64() * 1000.0 / self.books.gone.max(1) as f64;
        lab.metric("drift", "ms", drift);
        lab.gate("amplification", Op::AtMost, 1.13);
        lab.check(
            drift <= 1.0,
            "limits are kept to the millisecond",
            Breach::WrongStatus,
            || format!("{drift} ms late"),
        );
        within_band(
            lab,
            "attempts that time out",
            self.books.gone as f64,
            asked,
            TIMES_OUT,
        );
        let fails = TIMES_OUT.powi(ATTEMPTS as i32);
        let failed = calls - self.answered as f64;
        within_band(lab, "calls that fail", failed, calls, fails);
    }
}

fn within_band(lab: &Lab, what: &str, seen: f64, of: f64, p: f64) {
    let expected = of * p;
    // Half a one more: counts are whole.
    let band = Z_999.mul_add((expected * (1.0 - p)).sqrt(), 0.5);
    lab.check(
        (seen - expected).abs() <= band,
        "as many fail as chance lets",
        Breach::WrongStatus,
        || format!("{what}: {seen} of {of}, {expected:.1} ± {band:.1} were expected"),
    );
}
