//! What the command line takes.

use clap::Parser;

use crate::{Registry, Runtime, Scenario, Seed, Theme, Tier, TimeMode};

/// A stress suite that can fail.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask stress", bin_name = "cargo xtask stress")]
pub(crate) struct Args {
    /// How much of the suite
    #[arg(long, value_enum, default_value = "daily")]
    pub(crate) tier: Tier,
    /// Only scenarios of this day's theme
    #[arg(long, value_enum)]
    pub(crate) theme: Option<Theme>,
    /// Only the scenario of this id
    #[arg(long, value_name = "ID")]
    pub(crate) only: Vec<String>,
    /// Ten or a hundred times as much
    #[arg(long, default_value = "1", value_parser = parse_scale)]
    pub(crate) scale: u32,
    /// Everything random comes from here
    #[arg(long, default_value = "0x57a6ef10")]
    pub(crate) seed: Seed,
    /// Only this trial, of `--only`
    #[arg(long)]
    pub(crate) trial: Option<u64>,
    /// Only on this runtime
    #[arg(long, value_enum)]
    pub(crate) runtime: Option<Runtime>,
    /// Only on this clock
    #[arg(long, value_enum)]
    pub(crate) time: Option<TimeMode>,
}

impl Args {
    /// The scenarios that are asked for.
    pub(crate) fn chosen<'r>(
        &'r self,
        registry: &'r Registry,
    ) -> impl Iterator<Item = &'r Scenario> {
        registry.iter().filter(|scenario| {
            if self.only.is_empty() {
                scenario.tier <= self.tier && self.theme.is_none_or(|theme| scenario.theme == theme)
            } else {
                self.only
                    .iter()
                    .any(|id| scenario.id.eq_ignore_ascii_case(id))
            }
        })
    }
}

fn parse_scale(text: &str) -> Result<u32, String> {
    match text {
        "1" => Ok(1),
        "10" => Ok(10),
        "100" => Ok(100),
        _ => Err("a scale is 1, 10 or 100".to_owned()),
    }
}
