//! A session of a hundred thousand turns.

use std::sync::Arc;

use stageflow::context::{ContextSnapshot, Message, SeededIds};
use stageflow::prelude::*;

use super::memory::Ballast;
use crate::harness::process::resident;
use crate::scenarios::d1_snapshots::program::full_identity;
use crate::{Breach, Lab, LabError, Op, Runtime};

/// What is said in a turn, in bytes, twice.
const SAID: usize = 200;

/// How long the session is, and whether this turn was heard last.
type Heard = (u64, bool);

fn pipeline() -> Result<Pipeline<u64, Heard>, LabError> {
    let mut p = Pipeline::builder("turn");
    let turn = p.input::<u64>();
    let answer = stage_fn(async |cx: StageCx, turn: Arc<u64>| {
        let heard = cx.snapshot().conversation();
        let last = heard
            .last_user()
            .map(|message| message.content().starts_with(&format!("{turn}:")));
        Ok::<Heard, Stop>((heard.len() as u64, last == Some(true)))
    });
    let answer = p.stage("answer", answer).after(turn);
    p.output(answer).build().map_err(LabError::new)
}

/// Each turn is a run on the session so far; only the newest snapshot is kept.
pub(super) fn long(lab: &mut Lab) -> Result<(), LabError> {
    let pipeline = pipeline()?;
    let (engine, witness) = (lab.engine().build(), lab.witness());
    let turns = if lab.is_control() {
        3000
    } else {
        lab.scaled(50_000)
    };
    let fat = lab.is_broken("fat-session");
    let identity = full_identity(&SeededIds::new(lab.seed().get()));
    let ballast = Ballast::take()?;
    let before = resident()?;
    let (last, after) = lab.on(Runtime::Ct, async {
        let mut session = ContextSnapshot::new(identity);
        let mut room = Vec::new();
        for turn in 0..turns {
            session = session.with_message(Message::user(format!("{turn}:{}", "u".repeat(SAID))));
            let report = engine
                .run(&pipeline, turn, RunOptions::new().snapshot(session.clone()))
                .await;
            let heard = report.output().ok().copied();
            witness.check(
                heard == Some((2 * turn + 1, true)),
                "a turn hears the whole session",
                Breach::Lost,
                || format!("turn {turn}: {heard:?}"),
            );
            session = session.with_message(Message::assistant("a".repeat(SAID)));
            if fat {
                room.push(vec![1_u8; SAID * 50]);
            }
        }
        Ok::<_, LabError>((session, resident()?))
    })??;
    drop(ballast);
    lab.count_trials(turns);
    lab.check(
        last.conversation().len() as u64 == 2 * turns,
        "no turn is lost",
        Breach::Lost,
        || last.conversation().len().to_string(),
    );
    lab.metric(
        "session_mb_per_1000_turns",
        "MB",
        (after - before) / 1e6 / (turns as f64 / 1000.0),
    );
    lab.law("session_mb_per_1000_turns", Op::AtMost, 5.0);
    Ok(())
}
