//! The scenarios there are.

use crate::{Scenario, Theme, Tier, scenarios};

/// Scenarios by id. Start with the built-in ones, with none, or with your own.
///
/// ```
/// use stageflow_stress::{Registry, Scenario};
///
/// let registry = Registry::empty().with(Scenario::new("U1-MINE", "my own").pending("an idea"));
/// assert!(registry.get("U1-MINE").is_some());
/// ```
#[derive(Debug)]
pub struct Registry(Vec<Scenario>);

impl Registry {
    /// The scenarios that come with the crate.
    #[must_use]
    pub fn builtin() -> Self {
        scenarios::all().into_iter().fold(Self::empty(), Self::with)
    }

    /// None.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// With one more.
    ///
    /// # Panics
    ///
    /// If there is one with its id.
    #[must_use]
    pub fn with(mut self, scenario: Scenario) -> Self {
        assert!(
            self.get(scenario.id).is_none(),
            "two scenarios are called `{}`",
            scenario.id
        );
        self.0.push(scenario);
        self
    }

    /// The scenario of this id, whatever its case.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Scenario> {
        self.0
            .iter()
            .find(|scenario| scenario.id.eq_ignore_ascii_case(id))
    }

    /// All of them, in the order in which they were registered.
    pub fn iter(&self) -> impl Iterator<Item = &Scenario> {
        self.0.iter()
    }

    /// Those that a tier runs, of one theme if one is given.
    pub fn of(&self, tier: Tier, theme: Option<Theme>) -> impl Iterator<Item = &Scenario> {
        self.iter().filter(move |scenario| {
            scenario.tier <= tier && theme.is_none_or(|theme| scenario.theme == theme)
        })
    }
}
