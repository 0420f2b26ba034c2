//! What a person does with the view: which page, how far down, and whether it stands still.

use ratatui::Frame;

use super::draw;
use super::model::LiveModel;

/// The pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tab {
    /// A row for each stage.
    #[default]
    Stages,
    /// A row for each run under way.
    Runs,
    /// What was lost, and what waits: sinks and queues.
    Losses,
    /// What went wrong lately.
    Findings,
}

impl Tab {
    pub(super) const ALL: [Self; 4] = [Self::Stages, Self::Runs, Self::Losses, Self::Findings];

    /// As the view spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Losses => "losses",
            Self::Runs => "runs",
            Self::Stages => "stages",
        }
    }
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Key {
    /// A row down.
    Down,
    /// The page after, after the last the first.
    Next,
    /// Stand still, or go on.
    Pause,
    /// The page before.
    Previous,
    /// The end.
    Quit,
    /// A row up.
    Up,
}

/// Whether colours may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Colours {
    /// None, as `NO_COLOR` asks for.
    None,
    /// Some.
    #[default]
    Some,
}

/// What the view shows: pure, so that tests can press keys and look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    pub(super) tab: Tab,
    pub(super) top: usize,
    pub(super) paused: bool,
    pub(super) colours: Colours,
    quit: bool,
}

impl Screen {
    /// The first page, from its beginning.
    #[must_use]
    pub fn new(colours: Colours) -> Self {
        Self {
            colours,
            ..Self::default()
        }
    }

    /// A key was pressed.
    pub fn press(&mut self, key: Key) {
        match key {
            Key::Down => self.top = self.top.saturating_add(1),
            Key::Next => self.turn(1),
            Key::Pause => self.paused = !self.paused,
            Key::Previous => self.turn(Tab::ALL.len() - 1),
            Key::Quit => self.quit = true,
            Key::Up => self.top = self.top.saturating_sub(1),
        }
    }

    /// Whether it stands still. What is new is taken in all the same, and is there when it goes on.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether it is to end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.quit
    }

    /// Draws it, in whatever room there is.
    pub fn draw(&mut self, model: &LiveModel, frame: &mut Frame<'_>) {
        // Further down than the last row there is nothing to see.
        self.top = self.top.min(draw::rows(self.tab, model).saturating_sub(1));
        draw::draw(self, model, frame);
    }

    fn turn(&mut self, by: usize) {
        let at = Tab::ALL.iter().position(|tab| *tab == self.tab);
        self.tab = Tab::ALL[(at.unwrap_or(0) + by) % Tab::ALL.len()];
        self.top = 0;
    }
}
