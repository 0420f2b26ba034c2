//! A report made of chapters: each chapter is written by a run of its own, inside the run of the report.
//!
//! ```text
//! cargo run --example sub_pipelines
//! ```

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::future::try_join_all;
use stageflow::prelude::*;

async fn outline(_cx: StageCx, subject: Arc<String>) -> Result<Vec<String>, Stop> {
    Ok(["What", "Why", "How"]
        .map(|word| format!("{word} {subject}"))
        .to_vec())
}

async fn draft(_cx: StageCx, title: Arc<String>) -> Result<String, Stop> {
    if title.starts_with("Why") {
        return Err(Stop::skip("nobody knows"));
    }
    Ok(format!("{title}: it is a long story."))
}

async fn polish(cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    // The lineage says for whom: the stage of the run above that started this one.
    let above = cx
        .identity()
        .parent()
        .map_or("nobody", |parent| parent.stage());
    Ok(text.replace("a long", &format!("{above}' long")))
}

/// One chapter: a title in, a text out.
fn chapter() -> Result<Pipeline<String, String>, Box<dyn std::error::Error>> {
    let mut p = Pipeline::builder("chapter");
    let title = p.input::<String>();
    let text = p.stage("draft", stage_fn(draft)).after(title);
    let text = p.stage("polish", stage_fn(polish)).after(text);
    Ok(p.output(text).build()?)
}

/// A subject in, a report out. `plan` is a pipeline as a stage; `chapters` runs one pipeline for each title.
fn report() -> Result<Pipeline<String, String>, Box<dyn std::error::Error>> {
    let mut p = Pipeline::builder("plan");
    let subject = p.input::<String>();
    let titles = p.stage("outline", stage_fn(outline)).after(subject);
    let plan = p.output(titles).build()?;

    let chapter = chapter()?;
    let chapters = move |cx: StageCx, titles: Arc<Vec<String>>| {
        let chapter = chapter.clone();
        async move {
            let runs = titles
                .iter()
                .map(|title| cx.run(&chapter, title.clone()).report());
            let mut text = String::new();
            for (title, report) in titles.iter().zip(try_join_all(runs).await?) {
                // The stage decides what the ending of a chapter means for the report.
                match report.output() {
                    Ok(chapter) => writeln!(text, "{chapter}")?,
                    Err(_) => writeln!(text, "{title}: ({})", report.outcome())?,
                }
            }
            Ok::<_, Stop>(text)
        }
    };
    let mut p = Pipeline::builder("report");
    let subject = p.input::<String>();
    let titles = p.stage("plan", sub(&plan)).timeout(5.secs()).after(subject);
    let text = p.stage("chapters", stage_fn(chapters)).after(titles);
    Ok(p.output(text).build()?)
}

async fn run() -> Result<String, Box<dyn std::error::Error>> {
    let engine = Engine::builder().max_depth(2.try_into()?).build();
    let report = engine
        .run(&report()?, "tides".to_owned(), RunOptions::new())
        .await;
    Ok(report.output()?.clone())
}

#[expect(clippy::print_stdout, reason = "a program prints what it has to say")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", run().await?);
    Ok(())
}

#[cfg(test)]
#[tokio::test]
async fn it_says_this() {
    let expected = "\
What tides: it is chapters' long story.
Why tides: (skipped)
How tides: it is chapters' long story.
";
    assert_eq!(run().await.unwrap(), expected);
}
