//! A writer that goes too far and a guard that sends its drafts back: three rounds at most, and none in vain.
//!
//! ```sh
//! cargo run --example guard_and_correct
//! ```

use std::io::Write as _;
use std::num::NonZeroU32;
use std::sync::Arc;

use stageflow::prelude::*;

type Failure = Box<dyn std::error::Error>;

/// What the answer may rest on.
const SOURCES: [(&str, &str); 2] = [
    ("queues.md:4", "Every queue has a bound."),
    ("queues.md:9", "A full queue says so."),
];

/// An answer, sentence by sentence, each with the place it rests on.
#[derive(Clone, Debug, serde::Serialize)]
struct Draft(Vec<(String, Option<String>)>);

/// Sentences without a source, by their number.
type Unfounded = Vec<usize>;

type Last = Option<Arc<Revision<Draft, Unfounded>>>;

/// Writes more than it knows at first, and takes back what it is told to.
async fn write(_cx: StageCx, (question, last): (Arc<String>, Last)) -> Result<Draft, Stop> {
    let Some(last) = last else {
        let found = SOURCES.map(|(place, text)| (text.to_owned(), Some(place.to_owned())));
        let guess = (format!("{question} is a good question."), None);
        return Ok(Draft(found.into_iter().chain([guess]).collect()));
    };
    let kept = last.draft().0.iter().enumerate();
    let kept = kept.filter(|(number, _)| !last.feedback().contains(number));
    Ok(Draft(kept.map(|(_, sentence)| sentence.clone()).collect()))
}

/// A writer who changes nothing, whatever it is told.
async fn insist(_cx: StageCx, (question, _last): (Arc<String>, Last)) -> Result<Draft, Stop> {
    Ok(Draft(vec![(format!("{question} Certainly."), None)]))
}

/// Looks for sentences that rest on nothing.
async fn check(_cx: StageCx, draft: Arc<Draft>) -> Result<Review<Unfounded>, Stop> {
    let founded = |place: &Option<String>| {
        let place = place.as_deref();
        SOURCES.iter().any(|(known, _)| place == Some(known))
    };
    let sentences = draft.0.iter().enumerate();
    let unfounded: Unfounded = sentences
        .filter(|(_, (_, place))| !founded(place))
        .map(|(number, _)| number)
        .collect();
    Ok(match unfounded.is_empty() {
        true => Review::Pass,
        false => Review::Revise(unfounded),
    })
}

fn answering(
    writer: impl Stage<Input = (Arc<String>, Last), Output = Draft>,
) -> Result<Pipeline<String, Draft>, Failure> {
    let rounds = NonZeroU32::new(3).ok_or("no round at all")?;
    let answer = correct(writer, stage_fn(check))
        .at_most(rounds)
        .within(30.secs())
        .stop_when_unchanged();
    let mut p = Pipeline::builder("answer");
    let question = p.input::<String>();
    let answer = p
        .stage("answer", answer)
        .kind(StageKind::Agent)
        .after(question);
    Ok(p.output(answer).build()?)
}

async fn ask(pipeline: &Pipeline<String, Draft>) -> Result<String, Failure> {
    let question = "Are queues bounded?".to_owned();
    let report = Engine::new()
        .run(pipeline, question, RunOptions::new())
        .await;
    let answer = report.stage("answer").ok_or("there is no such stage")?;
    let mut told = vec![format!("{} drafts and reviews", answer.parts().started)];
    match report.output() {
        Ok(Draft(sentences)) => {
            for (text, place) in sentences {
                told.push(format!("{text} [{}]", place.as_deref().unwrap_or("?")));
            }
        }
        Err(_) => told.push(report.error().ok_or("no error")?.to_string()),
    }
    Ok(told.join("\n") + "\n")
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    for pipeline in [answering(stage_fn(write))?, answering(stage_fn(insist))?] {
        std::io::stdout().write_all(ask(&pipeline).await?.as_bytes())?;
    }
    Ok(())
}

#[tokio::test]
async fn drafts_go_back_until_nothing_is_unfounded_or_nothing_changes() -> Result<(), Failure> {
    let told = ask(&answering(stage_fn(write))?).await?;
    assert_eq!(
        told,
        "4 drafts and reviews\nEvery queue has a bound. [queues.md:4]\nA full queue says so. [queues.md:9]\n"
    );
    let told = ask(&answering(stage_fn(insist))?).await?;
    assert!(
        told.starts_with("3 drafts and reviews\nSF0310: stage `answer` gave up after 2 rounds")
    );
    Ok(())
}
