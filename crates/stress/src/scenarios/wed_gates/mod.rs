//! Gates at which people decide, at any moment, for many runs of two orgs at once.

mod case;
mod clerk;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::context::{OrgId, RunId, SystemIds};
use stageflow::events::{ApprovalState, EventKind};
use stageflow::executor::{ApprovalRecord, DeskErrorKind};
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;

use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier, Trial};
use case::{Act, Case};
use clerk::{Answers, Clerk, Desk, Flaw, people};

/// Runs that share a desk.
const TOGETHER: u64 = 12;

/// The controls that break the desk.
const FLAWS: [(&str, Flaw); 4] = [
    ("ask-twice", Flaw::AskTwice),
    ("mix-up", Flaw::MixUp),
    ("forget", Flaw::Forget),
    ("revive", Flaw::Revive),
];

pub(super) fn scenario() -> Scenario {
    let engine = Control::engine;
    Scenario::new("WED-GATES", "gates at which people decide at any moment")
        .proves(
            "a request for approval goes one way only, whatever comes first: a decision, its deadline, the end of its run; \
             the run does exactly what was decided, and no org sees another's",
        )
        .theme(Theme::Wed)
        .tier(Tier::Daily)
        .targets(["DAG-009", "CONTRACT-003"])
        .modes(["D4", "D5", "D7", "R8"])
        .expected(Duration::from_secs(2))
        .control(Control::own("ask-twice", "puts one request in forty on the desk twice"))
        .control(Control::own("mix-up", "gives a gate in forty the decision about another one"))
        .control(Control::own("forget", "leaves one request in forty open when it is over"))
        .control(Control::own("revive", "lets one request in ten pass that has expired"))
        .control(engine("skip-stage", "leaves out one stage in twenty and passes its first value on", "SkipStage", 20))
        .control(engine("cancel-is-success", "says of one cancelled run in five that it has completed", "CancelIsSuccess", 5))
        .control(engine("lose-event", "loses one event in fifty", "LoseEvent", 50))
        .run(run)
}

/// What was seen of one run.
struct Seen {
    id: RunId,
    report: RunReport<u64>,
    answers: Answers,
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let (mut runs, mut gates) = (0_u64, 0_u64);
    lab.trials(lab.scaled(250), |lab, trial| {
        let done = trial_of(lab, trial)?;
        runs += TOGETHER;
        gates += done;
        Ok(())
    })?;
    lab.metric("runs", "count", runs as f64);
    lab.metric("requests", "count", gates as f64);
    Ok(())
}

fn trial_of(lab: &mut Lab, trial: Trial) -> Result<u64, LabError> {
    let mut rng = trial.seed.rng();
    let orgs = [(); 2].map(|()| OrgId::generate(&SystemIds::new()));
    let cases: Vec<Case> = (0..TOGETHER)
        .map(|at| Case::draw(&mut rng, orgs[at as usize % 2], at))
        .collect();
    let flaw = FLAWS.iter().find(|(name, _)| lab.is_broken(name));
    let desk = Arc::new(Desk::new(flaw.map_or(Flaw::None, |(_, flaw)| *flaw)));
    let sink = RecordingSink::new();
    let builder = lab.engine().events(sink.clone());
    let engine = builder.approvals(Clerk(Arc::clone(&desk))).build();
    let pipelines: Result<Vec<_>, _> = cases.iter().map(Case::pipeline).collect();
    let pipelines = pipelines.map_err(LabError::new)?;
    let one = async |(case, pipeline): (&Case, &Pipeline<u64, u64>)| {
        let run = engine.run(pipeline, case.input, case.options());
        let id = run.id();
        let (report, answers) = tokio::join!(run, people(&desk.inner, id, case));
        Seen {
            id,
            report,
            answers,
        }
    };
    let seen = lab.paused(join_all(cases.iter().zip(&pipelines).map(one)));
    for (case, seen) in cases.iter().zip(&seen) {
        judge(lab, &desk.inner, case, seen);
        told(lab, &sink, case, seen);
    }
    lab.check(
        desk.inner.pending().is_empty(),
        "nothing is open when all runs have ended",
        Breach::Leaked,
        || format!("{} are", desk.inner.pending().len()),
    );
    let [ours, theirs] = orgs.map(|org| desk.inner.of(org).history());
    let apart =
        |history: &[ApprovalRecord], org| history.iter().all(|it| it.request.org == Some(org));
    lab.check(
        apart(&ours, orgs[0]) && apart(&theirs, orgs[1]),
        "each org sees its own requests only",
        Breach::CrossTenant,
        || "one sees another's".to_owned(),
    );
    Ok(cases.iter().map(|case| case.gates.len() as u64).sum())
}

/// The run did what was decided, and the desk knows it.
fn judge(lab: &Lab, desk: &ApprovalDesk, case: &Case, seen: &Seen) {
    let wanted = case.wanted();
    let report = &seen.report;
    let took = Duration::from_millis(wanted.took);
    lab.check(
        (report.outcome(), report.duration()) == (wanted.outcome, took),
        "a run ends as was decided, at that moment",
        Breach::WrongStatus,
        || {
            format!(
                "{} after {:?}, not {wanted:?}: {case:?}",
                report.outcome(),
                report.duration()
            )
        },
    );
    lab.check(
        report.output().ok().copied() == wanted.output,
        "what was approved or edited is what goes on",
        Breach::Lost,
        || format!("{:?}, not {wanted:?}", report.output()),
    );
    let history = desk.of(case.org).history();
    let of_gate = |at: usize| {
        let path = format!("gate{at}");
        let here =
            move |it: &&ApprovalRecord| it.request.run == seen.id && *it.request.path == *path;
        history
            .iter()
            .filter(here)
            .map(|it| it.status.state())
            .collect::<Vec<_>>()
    };
    for (at, state) in wanted.states.iter().enumerate() {
        let found = of_gate(at);
        lab.check(
            found == [*state],
            "each gate asks once, and its request ends in one way",
            Breach::Duplicated,
            || format!("gate {at}: {found:?}, not {state:?}: {case:?}"),
        );
    }
    for ((gate, state), answer) in case.gates.iter().zip(&wanted.states).zip(&seen.answers) {
        let counts = match gate.act {
            Act::Nothing => continue,
            Act::Approve => ApprovalState::Approved,
            Act::Edit => ApprovalState::Edited,
            Act::Reject => ApprovalState::Rejected,
        };
        let wanted = if counts == *state {
            Ok(())
        } else {
            Err(DeskErrorKind::Closed(*state))
        };
        let found = answer
            .clone()
            .map(|answer| answer.map_err(|error| error.kind().clone()));
        lab.check(
            found.as_ref() == Some(&wanted),
            "whoever decides too late is told so",
            Breach::WrongStatus,
            || format!("{found:?}, not {wanted:?}"),
        );
    }
}

/// The events tell the same: one that asks and one that ends, for each gate.
fn told(lab: &Lab, sink: &RecordingSink, case: &Case, seen: &Seen) {
    let mut states = vec![Vec::new(); case.gates.len()];
    for told in sink.all() {
        if told.run.identity().run_id() == seen.id
            && let EventKind::Approval(change) = told.event.kind()
            && let Some(at) = change.path.strip_prefix("gate")
            && let Some(states) = at.parse::<usize>().ok().and_then(|at| states.get_mut(at))
        {
            states.push(change.state);
        }
    }
    let wanted = case.wanted().states;
    let wanted: Vec<_> = wanted
        .into_iter()
        .map(|state| vec![ApprovalState::Pending, state])
        .collect();
    lab.check(
        states == wanted,
        "events tell that a gate asked, and what became of it",
        Breach::Lost,
        || format!("{states:?}, not {wanted:?}"),
    );
}
