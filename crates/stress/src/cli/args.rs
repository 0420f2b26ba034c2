//! What the command line takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::peer::Peer;
use crate::{Registry, Runtime, Scenario, Seed, Theme, Tier, TimeMode};

/// What follows the options in the help.
const EXIT_CODES: &str = "Exit codes:
  0  everything that was asked for was run and passed
  1  a scenario failed, hung, or was not reached
  2  the suite is not to be trusted: a control was not noticed, a scenario could not be run, nothing was run
  3  a number is more than 10 % worse than in the baseline";

/// A stress suite that can fail: each scenario is run against broken variants too, and has to notice them.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask stress", bin_name = "cargo xtask stress", after_help = EXIT_CODES)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Task>,
    /// How much of the suite
    #[arg(long, value_enum, default_value = "daily")]
    pub(crate) tier: Tier,
    /// Only scenarios of this day's theme
    #[arg(long, value_enum)]
    pub(crate) theme: Option<Theme>,
    /// Only the scenario of this id, whatever its tier; may be given more than once
    #[arg(long, value_name = "ID")]
    pub(crate) only: Vec<String>,
    /// Ten or a hundred times as much
    #[arg(long, default_value = "1", value_parser = parse_scale)]
    pub(crate) scale: u32,
    /// Everything random comes from here
    #[arg(long, default_value = "0x57a6ef10")]
    pub(crate) seed: Seed,
    /// Only this trial, of `--only`, without controls
    #[arg(long, requires = "only")]
    pub(crate) trial: Option<u64>,
    /// Only on this runtime
    #[arg(long, value_enum)]
    pub(crate) runtime: Option<Runtime>,
    /// Only on this clock
    #[arg(long, value_enum)]
    pub(crate) time: Option<TimeMode>,
    /// Again and again with other seeds for so long, once at least: 90s, 15m, 2h
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// Where the reports go, a folder each
    #[arg(long, value_name = "DIR", default_value = "target/stress")]
    pub(crate) out: PathBuf,
    /// Only say what there is
    #[arg(long)]
    pub(crate) list: bool,
    /// A summary for programs on the standard output, and no tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Compare with the numbers of this `baselines.json`
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Measure this peer too
    #[arg(long, value_enum)]
    pub(crate) peer: Option<Peer>,
    /// Write no report
    #[arg(long)]
    pub(crate) no_report: bool,
}

/// What else there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// What changed between two runs
    Compare {
        /// The folder of the earlier run
        before: PathBuf,
        /// The folder of the later run
        after: PathBuf,
    },
}

/// An id that no scenario has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scenario is called `{id}`{}; `--list` shows all", match near {
    Some(near) => format!(": did you mean `{near}`?"),
    None => String::new(),
})]
pub(crate) struct UnknownId {
    id: String,
    near: Option<String>,
}

impl Args {
    /// The scenarios that are asked for, in the order of the registry.
    pub(crate) fn chosen<'r>(
        &self,
        registry: &'r Registry,
    ) -> Result<Vec<&'r Scenario>, UnknownId> {
        if self.only.is_empty() {
            return Ok(registry.of(self.tier, self.theme).collect());
        }
        for id in &self.only {
            if registry.get(id).is_none() {
                return Err(UnknownId {
                    id: id.clone(),
                    near: nearest(id, registry),
                });
            }
        }
        let asked = |scenario: &&Scenario| {
            let id = scenario.id();
            self.only.iter().any(|only| only.eq_ignore_ascii_case(id))
        };
        Ok(registry.iter().filter(asked).collect())
    }
}

/// The id that is most like this one, if it is like it at all: `t3` is near to `T3-CANCEL`.
fn nearest(id: &str, registry: &Registry) -> Option<String> {
    let id = id.to_ascii_uppercase();
    let likeness = |known: &str| {
        let prefix = known.starts_with(&id) || known.split('-').any(|part| part == id);
        let whole = strsim::jaro_winkler(known, &id);
        if prefix && !id.is_empty() { 1.0 } else { whole }
    };
    registry
        .iter()
        .map(|scenario| (likeness(scenario.id()), scenario.id()))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, id)| id.to_owned())
}

fn parse_scale(text: &str) -> Result<u32, String> {
    match text {
        "1" => Ok(1),
        "10" => Ok(10),
        "100" => Ok(100),
        _ => Err("a scale is 1, 10 or 100".to_owned()),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let seconds: u64 = match unit {
        "s" | "" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return Err("a duration is a number with `s`, `m` or `h`".to_owned()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "a duration starts with a whole number".to_owned())?;
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        Registry::empty()
            .with(Scenario::new("T3-CANCEL", "three"))
            .with(
                Scenario::new("A07-DAGS", "seven")
                    .tier(Tier::Weekly)
                    .theme(Theme::Tue),
            )
    }

    fn chosen(words: &[&str]) -> Result<Vec<&'static str>, String> {
        let words = ["stress"].iter().chain(words);
        let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
        let registry = registry();
        let chosen = args.chosen(&registry).map_err(|error| error.to_string())?;
        Ok(chosen.iter().map(|scenario| scenario.id()).collect())
    }

    #[test]
    fn a_tier_has_the_tiers_below_it() {
        assert_eq!(chosen(&[]).unwrap(), ["T3-CANCEL"]);
        assert_eq!(
            chosen(&["--tier", "monthly"]).unwrap(),
            ["T3-CANCEL", "A07-DAGS"]
        );
        assert_eq!(
            chosen(&["--tier", "weekly", "--theme", "tue"]).unwrap(),
            ["A07-DAGS"]
        );
    }

    #[test]
    fn an_id_is_found_whatever_its_case_and_tier() {
        assert_eq!(chosen(&["--only", "a07-dags"]).unwrap(), ["A07-DAGS"]);
    }

    #[test]
    fn an_unknown_id_is_an_error_that_helps() {
        for wrong in ["t3", "T3-CANSEL", "cancel"] {
            let error = chosen(&["--only", wrong]).unwrap_err();
            assert!(error.contains("did you mean `T3-CANCEL`?"), "{error}");
        }
        let error = chosen(&["--only", "zzz"]).unwrap_err();
        assert_eq!(error, "no scenario is called `zzz`; `--list` shows all");
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "m", "3d", "-1s", "99999999999999999999h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
