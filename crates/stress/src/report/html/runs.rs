//! What scenarios showed: runs as DAGs and over time, and texts.

use super::{close, figure, open};
use crate::report::Report;
use crate::report::draw::{self, DrawError};
use crate::report::facts::{Standing, standing};
use crate::report::page::{Page, escape};
use crate::{Exhibit, ExhibitKind, RunPicture};

pub(super) fn section(page: &mut Page, report: &Report) -> Result<(), DrawError> {
    open(page, "runs");
    // What failed is what one came for.
    let mut shown: Vec<_> = report
        .facts
        .results
        .iter()
        .filter(|result| !result.exhibits.is_empty())
        .collect();
    shown.sort_by_key(|result| standing(result) != Standing::Failed);
    if shown.is_empty() {
        page.line("<p>No scenario had anything to show.</p>");
    }
    for result in shown {
        for exhibit in &result.exhibits {
            page.line(format!(
                "<h3>{}: {}</h3>",
                escape(&result.test_id),
                escape(&exhibit.title)
            ));
            one(page, exhibit)?;
        }
    }
    close(page);
    Ok(())
}

fn one(page: &mut Page, exhibit: &Exhibit) -> Result<(), DrawError> {
    let picture: Option<RunPicture> = match exhibit.kind {
        ExhibitKind::Run => serde_json::from_str(&exhibit.text).ok(),
        ExhibitKind::Text => None,
    };
    let Some(picture) = picture else {
        page.line(format!("<pre>{}</pre>", escape(&exhibit.text)));
        return Ok(());
    };
    let caption = format!("{} ended as {}", picture.pipeline, picture.outcome);
    figure(page, &caption, &draw::dag(&picture)?);
    figure(page, "", &draw::run_gantt(&picture)?);
    Ok(())
}
