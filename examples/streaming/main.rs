//! An answer that is read while it is written, and a reader who is too slow for it.
//!
//! `cargo run --example streaming`

use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow::executor::StreamItem;
use stageflow::prelude::*;

const POEM: &str = "a stage that speaks while others wait is heard before its work is done";

/// Looks for what the poem is about, and says how far it is.
async fn look(cx: StageCx, _subject: Arc<String>) -> Result<Vec<String>, Stop> {
    let words: Vec<String> = POEM.split(' ').map(str::to_owned).collect();
    cx.chunk(serde_json::json!({ "found": words.len() }));
    Ok(words)
}

/// Stands for a model that writes word by word, and takes its time.
async fn write(cx: StageCx, words: Arc<Vec<String>>) -> Result<String, Stop> {
    for word in words.iter() {
        tokio::time::sleep(5.millis()).await;
        cx.chunk(word.as_str());
    }
    Ok(words.join(" "))
}

fn pipeline() -> Result<Pipeline<String, String>, Box<dyn std::error::Error>> {
    let mut p = Pipeline::builder("poem");
    let subject = p.input::<String>();
    let words = p.stage("look", stage_fn(look)).after(subject);
    let poem = p.stage("write", stage_fn(write)).after(words);
    Ok(p.output(poem).build()?)
}

/// What a reader sees of an item.
fn shown(item: &StreamItem) -> String {
    match &item.kind {
        StreamKind::Chunk(piece) => format!("{:>8}  {piece}", item.path),
        StreamKind::Lagged { missed } => format!("{:>8}  ... {missed} missed ...", ""),
        StreamKind::Lifecycle(event) => format!("{:>8}  [{}]", item.path, event.name()),
        other => format!("{:>8}  {other:?}", item.path),
    }
}

/// Runs the pipeline, and reads with a pause after each item.
async fn read(
    options: StreamOptions,
    pause: std::time::Duration,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let (pipeline, engine) = (pipeline()?, Engine::new());
    let run = engine.run(&pipeline, "streams".to_owned(), RunOptions::new());
    let (run, mut stream) = run.stream(options);
    let reading = async {
        let mut lines = Vec::new();
        while let Some(item) = stream.next().await {
            lines.push(shown(&item));
            tokio::time::sleep(pause).await;
        }
        lines
    };
    let (report, lines) = tokio::join!(run, reading);
    report.output()?;
    Ok(lines)
}

#[expect(clippy::print_stdout, reason = "it is what the program is for")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("A reader who keeps up:");
    for line in read(StreamOptions::new(), 0.millis()).await? {
        println!("{line}");
    }
    println!("\nOne who does not, with room for three pieces:");
    let room = StreamOptions::new().capacity(const { NonZeroUsize::new(3).unwrap() });
    for line in read(room, 30.millis()).await? {
        println!("{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_keeps_up_sees_every_word_in_its_place() {
        let lines = read(StreamOptions::new(), 0.millis()).await.unwrap();
        let words: Vec<_> = lines.iter().filter(|line| line.contains('"')).collect();
        assert_eq!(words.len(), POEM.split(' ').count() + 1);
        assert_eq!(lines[1].trim(), "look  [stage.started]");
        assert_eq!(lines[2].trim(), "look  {\"found\":14}");
        assert_eq!(lines[5].trim(), "write  \"a\"");
        assert_eq!(lines.last().unwrap().trim(), "[run.ended]");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_told_what_is_missing() {
        let room = StreamOptions::new().capacity(NonZeroUsize::new(3).unwrap());
        let lines = read(room, 30.millis()).await.unwrap();
        assert!(
            lines.iter().any(|line| line.contains("missed")),
            "{lines:?}"
        );
        assert_eq!(lines.last().unwrap().trim(), "[run.ended]");
    }
}
