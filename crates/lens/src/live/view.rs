//! Runs the view: a screen with keys, or plain lines.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::Backend;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::feed::{Fed, Feed};
use super::lines::{report, summary};
use super::model::LiveModel;
use super::screen::{Colours, Key, Screen};

/// Between two lines where there is no screen.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// How the view is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Look {
    /// One line a second, and a report at the end.
    Lines,
    /// The whole terminal, with keys.
    Screen(Colours),
}

impl Look {
    /// What fits standard output: a screen if it is a terminal that can do it, lines otherwise. `NO_COLOR` is heeded.
    #[must_use]
    pub fn of_stdout() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self::fitting(
            io::stdout().is_terminal() && io::stdin().is_terminal(),
            set("TERM").is_none_or(|term| term == "dumb"),
            set("NO_COLOR").is_some(),
        )
    }

    fn fitting(terminal: bool, dumb: bool, no_colour: bool) -> Self {
        match (terminal && !dumb, no_colour) {
            (false, _) => Self::Lines,
            (true, true) => Self::Screen(Colours::None),
            (true, false) => Self::Screen(Colours::Some),
        }
    }
}

/// Shows what a [`Feed`] gives, while it comes.
///
/// Beside a run in the same program:
///
/// ```no_run
/// use std::num::NonZeroUsize;
/// use stageflow_lens::live::{LiveSink, LiveView, Look};
///
/// # async fn run_all(_: LiveSink) {}
/// # async fn example() -> std::io::Result<()> {
/// let sink = LiveSink::bounded(NonZeroUsize::new(100_000).unwrap());
/// let working = async {
///     run_all(sink.clone()).await; // Engine::builder().events(sink) ...
///     sink.close();
/// };
/// let (viewed, ()) = tokio::join!(LiveView::new().run(sink.clone(), Look::of_stdout()), working);
/// println!("{} runs ended", viewed?.totals().runs_ended);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "a view shows nothing before it runs"]
pub struct LiveView {
    every: Duration,
}

impl Default for LiveView {
    fn default() -> Self {
        Self::new()
    }
}

impl LiveView {
    /// A view that looks four times a second.
    pub fn new() -> Self {
        Self::every(Duration::from_millis(250))
    }

    /// A view that looks so often, on tokio's clock; at most a thousand times a second.
    pub fn every(time: Duration) -> Self {
        Self {
            every: time.max(Duration::from_millis(1)),
        }
    }

    /// Shows it on standard output until the feed is over or, on a screen, somebody presses `q`; gives what it knew at last.
    /// A screen stays after the feed is over, so that the end can be read.
    ///
    /// The terminal is put back as it was, also if something panics or the future is dropped.
    ///
    /// # Errors
    ///
    /// If the feed or the terminal cannot be read, or nothing can be written.
    pub async fn run(self, feed: impl Feed, look: Look) -> io::Result<LiveModel> {
        match look {
            Look::Lines => self.lines(feed, &mut io::stdout()).await,
            Look::Screen(colours) => {
                // Puts a hook before others, so that the message of a panic can be read.
                let mut terminal = ratatui::try_init()?;
                let _restored = Restore;
                self.screen(feed, &mut terminal, pressed, colours).await
            }
        }
    }

    /// Shows it as lines, one a second, and a report at the end.
    ///
    /// # Errors
    ///
    /// If the feed cannot be read, or `out` cannot be written.
    pub async fn lines(self, mut feed: impl Feed, out: &mut impl Write) -> io::Result<LiveModel> {
        let mut model = LiveModel::new();
        let (mut ticks, began) = (ticks(self.every), Instant::now());
        let mut next = LINE_EVERY;
        loop {
            ticks.tick().await;
            let fed = catch_up(&mut feed, &mut model).await?;
            let elapsed = began.elapsed();
            model.tick(elapsed);
            if fed == Fed::Over {
                break;
            }
            if elapsed >= next {
                next = elapsed + LINE_EVERY;
                writeln!(out, "{}", summary(&model))?;
                out.flush()?;
            }
        }
        write!(out, "{}", report(&model))?;
        out.flush()?;
        Ok(model)
    }

    /// Shows it on `terminal`; `keys` gives each key that was pressed since it was asked last.
    ///
    /// # Errors
    ///
    /// If the feed or the keys cannot be read, or the terminal cannot be drawn on.
    pub async fn screen<B: Backend<Error: Send + Sync + 'static>>(
        self,
        mut feed: impl Feed,
        terminal: &mut Terminal<B>,
        mut keys: impl FnMut() -> io::Result<Option<Key>>,
        colours: Colours,
    ) -> io::Result<LiveModel> {
        let (mut model, mut screen) = (LiveModel::new(), Screen::new(colours));
        let (mut ticks, began) = (ticks(self.every), Instant::now());
        let mut over = false;
        loop {
            ticks.tick().await;
            if !over {
                over = feed.feed(&mut model)? == Fed::Over;
            }
            model.tick(began.elapsed());
            let mut pressed = false;
            while let Some(key) = keys()? {
                screen.press(key);
                pressed = true;
            }
            if screen.is_over() {
                return Ok(model);
            }
            if pressed || !screen.is_paused() {
                let drawn = terminal.draw(|frame| screen.draw(&model, frame));
                drawn.map_err(io::Error::other)?;
            }
        }
    }
}

/// Takes in what there is already, and lets others go on in between.
async fn catch_up(feed: &mut impl Feed, model: &mut LiveModel) -> io::Result<Fed> {
    loop {
        match feed.feed(model)? {
            Fed::More => tokio::task::yield_now().await,
            fed => return Ok(fed),
        }
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The next key that means something, if one was pressed.
fn pressed() -> io::Result<Option<Key>> {
    while event::poll(Duration::ZERO)? {
        if let Event::Key(key) = event::read()?
            && let Some(key) = meaning(key)
        {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

fn meaning(key: KeyEvent) -> Option<Key> {
    if !key.is_press() && !key.is_repeat() {
        return None;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('p') => Some(Key::Pause),
        KeyCode::Char('q') => Some(Key::Quit),
        KeyCode::Down => Some(Key::Down),
        KeyCode::Tab | KeyCode::Right => Some(Key::Next),
        KeyCode::BackTab | KeyCode::Left => Some(Key::Previous),
        KeyCode::Up => Some(Key::Up),
        _ => None,
    }
}

/// Puts the terminal back as it was.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_screen_gets_lines() {
        assert_eq!(Look::fitting(false, false, false), Look::Lines);
        assert_eq!(Look::fitting(true, true, false), Look::Lines);
        let plain = Look::Screen(Colours::None);
        assert_eq!(Look::fitting(true, false, true), plain);
        let coloured = Look::Screen(Colours::Some);
        assert_eq!(Look::fitting(true, false, false), coloured);
    }

    #[test]
    fn keys_mean_what_the_last_line_says() {
        let key = |code, modifiers| meaning(KeyEvent::new(code, modifiers));
        let none = KeyModifiers::NONE;
        assert_eq!(key(KeyCode::Char('q'), none), Some(Key::Quit));
        assert_eq!(key(KeyCode::Tab, none), Some(Key::Next));
        assert_eq!(key(KeyCode::Down, none), Some(Key::Down));
        assert_eq!(key(KeyCode::Char('p'), none), Some(Key::Pause));
        assert_eq!(
            key(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Key::Quit)
        );
        assert_eq!(key(KeyCode::Char('x'), none), None);
    }
}
