//! Draws the view.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::model::LiveModel;
use super::screen::{Colours, Screen, Tab};
use super::stage::StageRow;
use super::text::time;

/// Narrower than this, a table leaves out what can be done without.
const WIDE: u16 = 70;

/// Lower than this, the heading does.
const HIGH: u16 = 7;

pub(super) fn draw(screen: &Screen, model: &LiveModel, frame: &mut Frame<'_>) {
    let heading_height = if frame.area().height < HIGH { 1 } else { 2 };
    let heights = [
        Constraint::Length(heading_height),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ];
    let [head, tabs, body, foot] = Layout::vertical(heights).areas(frame.area());
    frame.render_widget(Paragraph::new(heading(screen, model)), head);
    frame.render_widget(Paragraph::new(pages(screen)), tabs);
    match screen.tab {
        Tab::Stages => stages(screen, model, frame, body),
        Tab::Runs => runs(screen, model, frame, body),
        Tab::Losses => text(screen, losses(model), frame, body),
        Tab::Findings => text(screen, findings(model), frame, body),
    }
    let keys = "q quit  tab page  arrows move  p pause";
    frame.render_widget(Paragraph::new(Line::styled(keys, faint())), foot);
}

/// How many rows a page has.
pub(super) fn rows(tab: Tab, model: &LiveModel) -> usize {
    match tab {
        Tab::Stages => model.stages().len(),
        Tab::Runs => model.totals().runs_under_way as usize,
        Tab::Losses => losses(model).len(),
        Tab::Findings => findings(model).len(),
    }
}

fn heading(screen: &Screen, model: &LiveModel) -> Vec<Line<'static>> {
    let totals = model.totals();
    let ended = totals.runs_ended - totals.succeeded;
    let first = vec![
        Span::styled("stageflow ", bold()),
        Span::raw(format!(
            "{} under way  {} ended  ",
            totals.runs_under_way, totals.runs_ended
        )),
        Span::styled(format!("{ended} not well"), alarm(screen, ended)),
        Span::styled(
            if screen.paused { "  PAUSED" } else { "" }.to_owned(),
            bold(),
        ),
    ];
    let lost = totals.lost + totals.missed;
    let second = vec![
        Span::raw(format!(
            "{:.0} records/s  {:.1} runs/s  ",
            model.records_per_second(),
            model.runs_per_second()
        )),
        Span::styled(format!("{lost} lost"), alarm(screen, lost)),
    ];
    vec![Line::from(first), Line::from(second)]
}

fn pages(screen: &Screen) -> Line<'static> {
    let page = |tab: &Tab| {
        let name = tab.as_str();
        if *tab == screen.tab {
            Span::styled(format!("[{name}] "), bold())
        } else {
            Span::raw(format!(" {name}  "))
        }
    };
    Tab::ALL.iter().map(page).collect()
}

fn stages(screen: &Screen, model: &LiveModel, frame: &mut Frame<'_>, area: Rect) {
    let wide = area.width >= WIDE;
    let mut names = vec!["stage", "now", "done", "failed"];
    let mut widths = vec![
        Constraint::Min(8),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(7),
    ];
    if wide {
        names.extend(["retries", "p50", "p99"]);
        widths.extend([7, 8, 8].map(Constraint::Length));
    }
    let rows = model.stages().iter().skip(screen.top);
    let rows = rows.take(usize::from(area.height));
    let rows = rows.map(|row| stage(screen, row, wide));
    let table = Table::new(rows, widths).header(Row::new(names).style(bold()));
    frame.render_widget(table, area);
}

fn stage(screen: &Screen, row: &StageRow, wide: bool) -> Row<'static> {
    let mut cells = vec![
        Cell::from(format!("{}/{}", row.pipeline, row.stage)),
        Cell::from(row.in_flight.to_string()),
        Cell::from(row.succeeded.to_string()),
        Cell::from(Span::styled(
            row.failed.to_string(),
            alarm(screen, row.failed),
        )),
    ];
    if wide {
        cells.push(Cell::from(row.retries.to_string()));
        cells.push(Cell::from(time(row.quantile(0.5))));
        cells.push(Cell::from(time(row.quantile(0.99))));
    }
    Row::new(cells)
}

fn runs(screen: &Screen, model: &LiveModel, frame: &mut Frame<'_>, area: Rect) {
    let rows = model.runs().skip(screen.top).take(usize::from(area.height));
    let rows = rows.map(|(id, pipeline, since, open)| {
        let (id, pipeline) = (super::text::plain(id), pipeline.to_owned());
        Row::new([since, pipeline, open.to_string(), id])
    });
    let widths = [
        Constraint::Length(8),
        Constraint::Min(8),
        Constraint::Length(4),
        Constraint::Percentage(50),
    ];
    let header = Row::new(["since", "pipeline", "now", "run"]).style(bold());
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

fn text(screen: &Screen, lines: Vec<String>, frame: &mut Frame<'_>, area: Rect) {
    let lines = lines.into_iter().skip(screen.top);
    let lines = lines.take(usize::from(area.height)).map(Line::from);
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

fn losses(model: &LiveModel) -> Vec<String> {
    let totals = model.totals();
    let mut lines = Vec::new();
    match model.sink() {
        Some(sink) => {
            lines.push(format!(
                "sink: {} offered = {} accepted + {} dropped",
                sink.offered, sink.accepted, sink.dropped
            ));
            lines.push(format!(
                "      {} delivered, {} failed, {} discarded, {} queued",
                sink.delivered, sink.failed, sink.discarded, sink.queued
            ));
            let losses = sink.losses.iter();
            lines.extend(losses.map(|(reason, count)| format!("      {count} {reason}")));
        }
        None => lines.push("no sink is watched".to_owned()),
    }
    lines.push(format!("in streams: {} lost", totals.lost));
    lines.extend(
        model
            .losses()
            .map(|(reason, count)| format!("      {count} {reason}")),
    );
    lines.push(format!(
        "this view: {} missed, {} unreadable, {} runs not followed",
        totals.missed, totals.unreadable, totals.runs_forgotten
    ));
    for (name, queue) in model.queues() {
        let state = match (queue.closed, queue.throttled) {
            (true, _) => " closed",
            (false, true) => " throttled",
            (false, false) => "",
        };
        let (depth, deepest) = (queue.depth, queue.deepest);
        lines.push(format!("queue {name}: {depth} of {deepest}{state}"));
        let dropped = queue.dropped.iter();
        lines.extend(dropped.map(|(reason, count)| format!("      {count} {reason}")));
    }
    lines
}

fn findings(model: &LiveModel) -> Vec<String> {
    let mut lines: Vec<_> = model.findings().map(str::to_owned).collect();
    if lines.is_empty() {
        lines.push("nothing went wrong yet".to_owned());
    }
    lines
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn faint() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// Red, if there is something to be alarmed by.
fn alarm(screen: &Screen, count: u64) -> Style {
    match (screen.colours, count) {
        (Colours::Some, 1..) => Style::new().fg(Color::Red),
        (Colours::None, 1..) => bold(),
        (_, 0) => Style::new(),
    }
}
