//! What part a node of the plan plays: most are stages, some only pass values on.

use crate::Join;

/// What a node of a [`Plan`](crate::Plan) is for the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// One way a route can go. It is not started: it gets its value when the route takes it, and is skipped if not.
    Arm {
        /// The route.
        route: u32,
        /// Which of the route's arms it is, from 0.
        index: u32,
    },
    /// A stage that is started only if another one fails, and gives its value in that one's place.
    Fallback {
        /// The stage it stands in for: the one declared just before it.
        of: u32,
    },
    /// It waits for several branches and gives a list of what they gave. It is not started.
    Join(Join),
    /// It waits for several branches and gives what the first of them gave. It is not started.
    Merge,
    /// A stage: it takes its input and gives its output.
    #[default]
    Plain,
    /// A stage whose value says which of its arms are taken. The arms are the nodes that follow it.
    Route {
        /// How many arms it has.
        arms: u32,
    },
}

impl Role {
    /// In one word, as records spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arm { .. } => "arm",
            Self::Fallback { .. } => "fallback",
            Self::Join(_) => "join",
            Self::Merge => "merge",
            Self::Plain => "stage",
            Self::Route { .. } => "route",
        }
    }

    /// Whether it is ever started: arms, merges and joins are not, they get their value from others.
    #[must_use]
    pub const fn is_started(self) -> bool {
        matches!(
            self,
            Self::Fallback { .. } | Self::Plain | Self::Route { .. }
        )
    }

    /// The same role after `base` nodes were put in front.
    pub(crate) const fn shifted(self, base: u32) -> Self {
        match self {
            Self::Arm { route, index } => Self::Arm {
                route: route + base,
                index,
            },
            Self::Fallback { of } => Self::Fallback { of: of + base },
            same => same,
        }
    }
}
