//! Draws a run into files.

use std::fs;
use std::path::Path;

use stageflow_context::Outcome;
use stageflow_lens::{RunStory, draw};

use crate::reading::Read;

pub(crate) fn draw(
    read: &Read,
    dag: Option<&Path>,
    gantt: Option<&Path>,
) -> Result<(), Box<dyn std::error::Error>> {
    if dag.is_none() && gantt.is_none() {
        return Ok(());
    }
    let Some(run) = chosen(read) else {
        return Err("there is no run to draw: check the id with `--run` or `--correlation`, or leave it out".into());
    };
    for (path, picture) in [
        (dag, draw::dag as fn(&RunStory) -> String),
        (gantt, draw::gantt),
    ] {
        if let Some(path) = path {
            fs::write(path, picture(run))
                .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
            println!("{} is drawn in {}", run.run_id, path.display());
        }
    }
    Ok(())
}

/// The first that did not go well, or else the first.
fn chosen(read: &Read) -> Option<&RunStory> {
    let is_bad = |run: &&RunStory| run.outcome() != Some(Outcome::Succeeded);
    let mut runs = read.stories.iter();
    read.stories.iter().find(is_bad).or_else(|| runs.next())
}
