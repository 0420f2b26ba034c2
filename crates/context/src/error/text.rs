//! The text of an error.

use std::error::Error;
use std::fmt;

use super::{ErrorClass, StageError, StageErrorKind};

/// So many of the attempts before are told, of those that were made.
const TOLD: usize = 3;

/// What makes causes fit to be written down, and what does so for places inside a stage.
type Clean<'a> = (&'a dyn Fn(&str) -> String, &'a dyn Fn(&str) -> String);

impl StageError {
    /// The same text as its [`Display`](fmt::Display) gives, with causes as `clean` makes them; the engine's own words, the
    /// names of stages and those of causes that are such errors themselves stay. The place inside the stage, if there is one,
    /// is as `clean_place` makes it.
    #[must_use]
    pub fn text_with(
        &self,
        clean: &dyn Fn(&str) -> String,
        clean_place: &dyn Fn(&str) -> String,
    ) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _written = self.tell(&mut text, Some((clean, clean_place)));
        text
    }

    fn cause_with(
        source: &(dyn Error + Send + Sync + 'static),
        (clean, clean_place): Clean<'_>,
    ) -> String {
        match source.downcast_ref::<Self>() {
            Some(error) => error.text_with(clean, clean_place),
            None => clean(&source.to_string()),
        }
    }

    fn tell(&self, f: &mut dyn fmt::Write, clean: Option<Clean<'_>>) -> fmt::Result {
        write!(f, "{}: stage `{}", self.code(), self.0.stage)?;
        match (&self.0.part, clean) {
            (None, _) => {}
            (Some(part), None) => write!(f, "{part}")?,
            (Some(part), Some((_, clean_place))) => {
                f.write_str(&clean_place(&part.to_string()))?;
            }
        }
        f.write_str("`")?;
        self.tell_what(f)?;
        if self.0.attempt.get() > 1 {
            write!(f, " in attempt {}", self.0.attempt)?;
        }
        self.tell_cause(f, clean)?;
        self.tell_earlier(f, clean)?;
        write!(f, "; {}", self.help())
    }

    /// What happened, as it goes on after the name of the stage or the number of the attempt.
    fn tell_what(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        match &self.0.kind {
            StageErrorKind::BadRoute => f.write_str(" chose arms that cannot be taken together")?,
            StageErrorKind::Denied => f.write_str(" was denied")?,
            StageErrorKind::Failed(ErrorClass::Permanent) => f.write_str(" failed")?,
            StageErrorKind::Failed(ErrorClass::Transient) => f.write_str(" failed (transient)")?,
            StageErrorKind::IdleTimedOut(limit) => {
                write!(f, " gave no sign of life for {limit:?}")?;
            }
            StageErrorKind::Internal => f.write_str(" met a defect of the engine")?,
            StageErrorKind::Invalid => {
                f.write_str(" met a value that does not fit its contract")?;
            }
            StageErrorKind::KeyReused => {
                f.write_str(" was asked for with a key that belongs to other parameters")?;
            }
            StageErrorKind::LoopEnded { rounds, why } => {
                let rounds = match rounds {
                    1 => "1 round".to_owned(),
                    rounds => format!("{rounds} rounds"),
                };
                write!(f, " gave up after {rounds}: {why}")?;
            }
            StageErrorKind::Panicked(_) => f.write_str(" panicked")?,
            StageErrorKind::Rejected => {
                f.write_str(" was rejected")?;
                if let Some(after) = self.retry_after() {
                    write!(f, " for {after:?}")?;
                }
            }
            StageErrorKind::RetryRefused => {
                f.write_str(" asked for another attempt and got none")?;
            }
            StageErrorKind::TimedOut(limit) => write!(f, " took longer than {limit:?}")?,
            StageErrorKind::WrongAnswer => {
                f.write_str(" was answered with a value of the wrong type")?;
            }
        }
        Ok(())
    }

    fn tell_cause(&self, f: &mut dyn fmt::Write, clean: Option<Clean<'_>>) -> fmt::Result {
        match (&self.0.source, clean) {
            (None, _) => Ok(()),
            (Some(source), None) => write!(f, ": {source}"),
            (Some(source), Some(clean)) => {
                write!(f, ": {}", Self::cause_with(&**source, clean))
            }
        }
    }

    /// The attempts before, a few words each.
    fn tell_earlier(&self, f: &mut dyn fmt::Write, clean: Option<Clean<'_>>) -> fmt::Result {
        let earlier = self.earlier();
        for (place, error) in earlier.iter().take(TOLD).enumerate() {
            let before = if place == 0 {
                "; before, attempt"
            } else {
                ", attempt"
            };
            write!(f, "{before} {}", error.0.attempt)?;
            match error.0.kind {
                // It did get one.
                StageErrorKind::RetryRefused => f.write_str(" asked for another attempt")?,
                _ => error.tell_what(f)?,
            }
            error.tell_cause(f, clean)?;
        }
        match earlier.len().saturating_sub(TOLD) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f, None)
    }
}

impl fmt::Debug for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageError")
            .field("stage", &self.0.stage)
            .field("part", &self.0.part)
            .field("attempt", &self.0.attempt)
            .field("kind", &self.0.kind)
            .field("source", &self.0.source)
            .finish()
    }
}
