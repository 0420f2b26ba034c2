//! Secrets in everything a stage can say, and none in what is written down.

mod canary;
mod paper;
mod places;

use std::time::Duration;

use futures_util::future::join;
use rand::RngExt as _;
use stageflow::context::{RunId, SeededIds};
use stageflow::prelude::*;
use tracing::{Dispatch, dispatcher};

use crate::{Breach, Control, Lab, LabError, Op, Scenario, Theme, Tier, Trial};
use canary::{Canary, SHAPES, canary};
use paper::Paper;
use places::{Bouncer, Errand, Place, options, pipeline};

/// In each trial.
const CANARIES: u32 = 50;

/// What people have to be able to read.
const ORDINARY: [&str; 12] = [
    "connection refused (os error 111)",
    "HTTP 503 from model after 3 tries",
    "file not found: notes/todo.md",
    "expected value at line 1 column 2",
    "took longer than 250ms, which is 1.5s too long",
    "invalid bearer token",
    "the password is wrong",
    "input_tokens: 512, output_tokens: 1024",
    "server 10.1.2.3:8080 speaks version 1.95.0, not v2.0",
    "no entry for 2026-11-22T23:49:15Z",
    "index out of bounds: the len is 3 but the index is 7",
    "relation \"documents\" does not exist",
];

pub(super) fn scenario() -> Scenario {
    Scenario::new("A14-CANARIES", "fifty secrets, and where they turn up")
        .proves("no secret reaches records, log lines or spans unless somebody asked for it, and what people need to read is still there")
        .theme(Theme::Thu)
        .tier(Tier::Weekly)
        .targets(["OBS-006"])
        .modes(["E10"])
        .expected(Duration::from_secs(3))
        .control(Control::engine("forgets-rules", "a run in twenty leaves nothing out", "ForgetRedaction", 20))
        .control(Control::own("off", "nothing is left out of records"))
        .control(Control::own("no-net", "only names and known shapes are left out"))
        .control(Control::own("half-walked", "payloads are looked at one level deep"))
        .control(Control::own("raw-lines", "log lines of the program are written as they are"))
        .control(Control::own("too-eager", "no text is kept at all"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut found = Tally::default();
    lab.trials(lab.scaled(12), |lab, trial| plant(lab, trial, &mut found))?;
    if !lab.is_over() {
        reads(lab)?;
    }
    lab.metric("planted", "canaries", found.planted as f64);
    lab.metric("pieces", "pieces", found.pieces as f64);
    lab.metric("marks", "marks", found.marks as f64);
    lab.metric("found", "canaries", found.found as f64);
    lab.gate("found", Op::AtMost, 0.0);
    if lab.only_trial.is_none() {
        // Pieces without a mark at all would be pieces without anything.
        lab.gate("marks", Op::AtLeast, found.planted as f64);
    }
    Ok(())
}

#[derive(Default)]
struct Tally {
    planted: u64,
    pieces: u64,
    marks: u64,
    found: u64,
}

/// The rules of the engine, broken if a control says so.
fn rules(lab: &Lab) -> Redaction {
    let standard = Redaction::standard();
    match () {
        () if lab.is_broken("off") => Redaction::off(),
        () if lab.is_broken("no-net") => standard.known_shapes_only(),
        () if lab.is_broken("too-eager") => standard.without_texts(),
        () => standard,
    }
}

/// Fifty canaries, each of a shape and in a place of its own.
fn plant(lab: &mut Lab, trial: Trial, tally: &mut Tally) -> Result<(), LabError> {
    let (mut rng, bench) = (trial.seed.rng(), Bench::new(lab)?);
    let (shift, step) = (rng.random_range(0..SHAPES), trial.index as usize);
    for number in 0..CANARIES {
        let errand = Errand {
            place: Place::ALL[(number as usize + step) % Place::ALL.len()],
            canary: canary(number + shift, &mut rng),
        };
        let pieces = bench.write_down(lab, &errand, u64::from(number) + 64 * trial.index);
        tally.planted += 1;
        tally.pieces += pieces.len() as u64;
        for piece in &pieces {
            tally.marks += u64::from(piece.contains(Redaction::MARK));
            let told = tells(piece, &errand.canary);
            tally.found += u64::from(told);
            lab.check(!told, "no secret is written down", Breach::Leaked, || {
                format!("{errand:?} in {piece}")
            });
        }
        if lab.is_over() {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the secret is in there: as it is, or with its blanks left out.
fn tells(piece: &str, canary: &Canary) -> bool {
    piece.contains(&canary.secret) || piece.contains(&canary.secret.replace(' ', ""))
}

/// An engine whose runs are written down.
struct Bench {
    engine: Engine,
    pipeline: Pipeline<Errand, String>,
    paper: Paper,
    subscriber: Dispatch,
}

impl Bench {
    fn new(lab: &Lab) -> Result<Self, LabError> {
        let paper = Paper {
            half_walked: lab.is_broken("half-walked"),
            ..Paper::default()
        };
        let engine = lab
            .engine()
            .redaction(rules(lab))
            .events(paper.clone())
            .intercept(Trace::new())
            .intercept(Bouncer)
            .blocking_threshold(Duration::MAX)
            .build();
        let lines = if lab.is_broken("raw-lines") {
            Redaction::off()
        } else {
            Redaction::standard()
        };
        Ok(Self {
            engine,
            pipeline: pipeline().map_err(LabError::new)?,
            subscriber: paper.subscriber(lines),
            paper,
        })
    }

    /// Everything that is written down of a run with this errand.
    fn write_down(&self, lab: &mut Lab, errand: &Errand, seed: u64) -> Vec<String> {
        let identity = RunIdentity::new(RunId::generate(&SeededIds::new(seed)));
        let options = options(errand, identity);
        let run = self.engine.run(&self.pipeline, errand.clone(), options);
        let handle = run.handle();
        let outside = async {
            if errand.place == Place::CancelFromOutside {
                tokio::time::sleep(Duration::from_millis(1)).await;
                handle.cancel(errand.canary.text.as_str());
            }
        };
        let work = async { drop(join(run, outside).await) };
        dispatcher::with_default(&self.subscriber, || lab.paused(work));
        self.paper.take()
    }
}

/// What is no secret is still there for people to read, in records and in log lines.
fn reads(lab: &mut Lab) -> Result<(), LabError> {
    let bench = Bench::new(lab)?;
    for text in ORDINARY {
        let errand = Errand {
            place: Place::Error,
            canary: Canary {
                secret: String::new(),
                text: text.to_owned(),
            },
        };
        let pieces = bench.write_down(lab, &errand, 0);
        let json = serde_json::Value::from(text).to_string();
        let quoted = json.trim_matches('"');
        let ends = pieces.iter().filter(|piece| piece.contains("stage.ended"));
        let all = ends.clone().count() > 0 && ends.clone().all(|piece| piece.contains(quoted));
        lab.check(all, "what is no secret can be read", Breach::Lost, || {
            format!("{text:?} is missing in {pieces:?}")
        });
    }
    Ok(())
}
