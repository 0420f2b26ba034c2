//! A help desk: a route decides who answers, a fallback stands in for a service that is down, a merge takes the answer.
//!
//! ```sh
//! cargo run --example routing -- "invoice 12" "how do I log in" "hello"
//! ```

use std::sync::Arc;

use stageflow::prelude::*;

/// Where a question goes.
#[derive(Route)]
enum Topic {
    Billing(u64),
    Faq(String),
    Other,
}

async fn triage(_cx: StageCx, ask: Arc<String>) -> Result<Topic, Stop> {
    let mut words = ask.split_whitespace();
    Ok(match words.next() {
        Some("invoice") => match words.next().map(str::parse) {
            Some(Ok(number)) => Topic::Billing(number),
            _ => Topic::Other,
        },
        Some("how") => Topic::Faq(words.collect::<Vec<_>>().join(" ")),
        _ => Topic::Other,
    })
}

/// The accounts service knows even numbers only; for odd ones it is down.
async fn account(_cx: StageCx, invoice: Arc<u64>) -> Result<String, Stop> {
    if *invoice % 2 == 1 {
        return Err(Stop::transient("the accounts service is down"));
    }
    Ok(format!("invoice {invoice} is paid"))
}

/// What was known yesterday.
async fn yesterday(_cx: StageCx, invoice: Arc<u64>) -> Result<String, Stop> {
    Ok(format!("invoice {invoice} was open yesterday"))
}

async fn look_up(_cx: StageCx, question: Arc<String>) -> Result<String, Stop> {
    Ok(format!("there is a page on: {question}"))
}

async fn person(_cx: StageCx, _: Arc<()>) -> Result<String, Stop> {
    Ok("a person will write to you".to_owned())
}

fn desk() -> Result<Pipeline<String, String>, stageflow::graph::BuildError> {
    let mut p = Pipeline::builder("desk");
    let ask = p.input::<String>();
    let TopicArms {
        billing,
        faq,
        other,
    } = p.route("triage", stage_fn(triage)).after(ask);
    let account = p
        .stage("account", stage_fn(account))
        .timeout(2.secs())
        .or("yesterday", stage_fn(yesterday))
        .after(billing);
    let page = p.stage("page", stage_fn(look_up)).after(faq);
    let person = p.stage("person", stage_fn(person)).after(other);
    let answer = p.merge("answer", [account, page, person]);
    p.output(answer).build()
}

/// Each question with its answer, and how the run came to it.
async fn answer(
    questions: impl IntoIterator<Item = String>,
) -> Result<String, Box<dyn std::error::Error>> {
    let (engine, desk) = (Engine::new(), desk()?);
    let mut lines = Vec::new();
    for question in questions {
        let report = engine.run(&desk, question.clone(), RunOptions::new()).await;
        let ran: Vec<&str> = report
            .stages()
            .filter(|stage| stage.attempts() > 0)
            .map(|stage| stage.name().as_str())
            .collect();
        lines.push(format!("{question}? {}", report.output()?));
        lines.push(format!("  ran: {}", ran.join(", ")));
        lines.extend(report.errors().iter().map(|error| format!("  {error}")));
    }
    Ok(lines.join("\n"))
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "it is what the program is for")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", answer(std::env::args().skip(1)).await?);
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn every_question_goes_its_way() {
    let questions = ["invoice 12", "invoice 7", "how do I log in", "hello"];
    let told = answer(questions.map(str::to_owned))
        .await
        .unwrap_or_default();
    expect_test::expect![[r#"
        invoice 12? invoice 12 is paid
          ran: triage, account
        invoice 7? invoice 7 was open yesterday
          ran: triage, account, yesterday
          SF0301: stage `account` failed (transient): the accounts service is down; try again later, or put a retrying layer around the stage
        how do I log in? there is a page on: do I log in
          ran: triage, page
        hello? a person will write to you
          ran: triage, person"#]].assert_eq(&told);
}
