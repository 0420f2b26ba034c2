//! Where a trail starts and where it ends, each under a keyed hash of its own.

use serde::{Deserialize, Serialize};
use stageflow_context::{OrgId, SealKeys, Tag};

use super::AuditAnchor;

/// One of them, as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    n: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    seal: String,
}

/// What kind of mark: neither can stand in for the other.
#[derive(Clone, Copy)]
pub(crate) enum Marks {
    /// The last entry that there is.
    Head,
    /// The last entry that was cut off.
    Start,
}

impl Marks {
    /// Under which key its row is.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Start => "start",
        }
    }

    const fn purpose(self) -> &'static str {
        match self {
            Self::Head => "audit.head",
            Self::Start => "audit.start",
        }
    }

    pub(crate) fn write(self, org: OrgId, keys: &SealKeys, anchor: &AuditAnchor) -> Mark {
        let text = anchor.to_string();
        let seal = keys.tag(
            self.purpose(),
            &[org.to_string().as_bytes(), text.as_bytes()],
        );
        Mark {
            n: anchor.number,
            link: anchor.link.map(|link| link.to_string()),
            seal: seal.to_string(),
        }
    }

    /// The anchor in this text, if it was written by somebody who has the key.
    pub(crate) fn read(self, org: OrgId, keys: &SealKeys, mark: &Mark) -> Option<AuditAnchor> {
        let link = match &mark.link {
            Some(link) => Some(link.parse().ok()?),
            None => None,
        };
        let number = mark.n;
        let anchor = AuditAnchor { number, link };
        let (text, seal) = (anchor.to_string(), mark.seal.parse::<Tag>().ok()?);
        let parts = [org.to_string(), text];
        let parts = parts.each_ref().map(|part| part.as_bytes());
        (keys.check(self.purpose(), &parts, &seal) == Some(true)).then_some(anchor)
    }

    /// The same of its JSON.
    pub(crate) fn parse(self, org: OrgId, keys: &SealKeys, text: &str) -> Option<AuditAnchor> {
        self.read(org, keys, &serde_json::from_str(text).ok()?)
    }
}
