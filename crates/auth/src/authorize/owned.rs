//! Whose a resource is.

use crate::{Principal, Resource};

/// Whose a resource is, as seen by somebody.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owned {
    Everybody,
    Nobody,
    Other,
    Own,
}

impl Owned {
    pub(super) fn by(resource: &Resource, who: &Principal) -> Self {
        match resource.org() {
            _ if resource.is_shared() => Self::Everybody,
            None => Self::Nobody,
            Some(org) if org == who.org() => Self::Own,
            Some(_) => Self::Other,
        }
    }

    /// In lower case, as events have it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Everybody => "everybody",
            Self::Nobody => "nobody",
            Self::Other => "other",
            Self::Own => "own",
        }
    }

    /// Why no policy is asked, unless one is.
    pub(super) fn objection(self) -> Option<&'static str> {
        match self {
            Self::Everybody | Self::Own => None,
            Self::Nobody => Some("it is nobody's"),
            Self::Other => Some("it is another org's"),
        }
    }
}
