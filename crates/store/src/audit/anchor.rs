//! How far a trail has come.

use std::fmt;
use std::str::FromStr;

use stageflow_context::Tag;

/// How far an audit trail has come: the number and the link of its last entry. Whoever keeps it where the trail is not can
/// tell later whether everything up to there is still in the trail, as it was: see
/// [`AuditTrail::verify_to`](super::AuditTrail::verify_to). Printed `17.7.<hex>`, and parsed from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AuditAnchor {
    pub(crate) number: u64,
    pub(crate) link: Option<Tag>,
}

impl AuditAnchor {
    /// That of a trail in which nothing was written yet.
    pub const NONE: Self = Self {
        number: 0,
        link: None,
    };

    pub(crate) const fn new(number: u64, link: Tag) -> Self {
        Self {
            number,
            link: Some(link),
        }
    }

    /// How many entries there were ever.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The link of the last one, if there is one.
    #[must_use]
    pub const fn link(&self) -> Option<Tag> {
        self.link
    }
}

impl fmt::Display for AuditAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.link {
            Some(link) => write!(f, "{}.{link}", self.number),
            None => write!(f, "{}", self.number),
        }
    }
}

impl FromStr for AuditAnchor {
    type Err = AnchorError;

    fn from_str(text: &str) -> Result<Self, AnchorError> {
        if text == "0" {
            return Ok(Self::NONE);
        }
        let (number, link) = text.split_once('.').ok_or(AnchorError(()))?;
        let link = link.parse().map_err(|_| AnchorError(()))?;
        match number.parse::<u64>() {
            Ok(n) if n > 0 && n.to_string() == number => Ok(Self::new(n, link)),
            _ => Err(AnchorError(())),
        }
    }
}

/// A text that is no [`AuditAnchor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: the text is not the anchor of an audit trail, which is a number, a dot and a tag; take it from `AuditTrail::head`",
    self.code()
)]
pub struct AnchorError(());

impl AnchorError {
    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0731"
    }
}
