//! What somebody wants to do something to.

use std::borrow::Cow;
use std::fmt;

use stageflow_context::OrgId;

/// What somebody wants to do something to: a document, a stage, an account. Who owns it and where it is must come from whoever
/// keeps it, never from whoever asks.
///
/// ```
/// use stageflow_auth::Resource;
/// use stageflow_context::{OrgId, SystemIds};
///
/// let acme = OrgId::generate(&SystemIds::new());
/// let document = Resource::new("document", "17").owned_by(acme).in_region("eu");
/// assert_eq!(document.to_string(), "document `17`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    kind: Cow<'static, str>,
    id: Cow<'static, str>,
    owner: Owner,
    region: Option<Cow<'static, str>>,
}

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Everybody,
    Nobody,
    Org(OrgId),
}

impl Resource {
    /// A resource of this kind, with this id among those of its kind. Nobody owns it, and it is nowhere in particular.
    ///
    /// What nobody owns is not everybody's: [`Authorize`](crate::Authorize) denies it. Say whose it is with [`Resource::owned_by`],
    /// or that it is [`shared`](Resource::shared).
    pub fn new(kind: impl Into<Cow<'static, str>>, id: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: kind.into(),
            id: id.into(),
            owner: Owner::Nobody,
            region: None,
        }
    }

    /// The same, which belongs to this org.
    #[must_use]
    pub fn owned_by(self, org: impl Into<Option<OrgId>>) -> Self {
        let owner = org.into().map_or(Owner::Nobody, Owner::Org);
        Self { owner, ..self }
    }

    /// The same, which all orgs share, such as a model or a price list: who may do what to it is up to the policy alone.
    #[must_use]
    pub fn shared(self) -> Self {
        let owner = Owner::Everybody;
        Self { owner, ..self }
    }

    /// The same, which is in this region.
    #[must_use]
    pub fn in_region(self, region: impl Into<Cow<'static, str>>) -> Self {
        let region = Some(region.into());
        Self { region, ..self }
    }

    /// What kind of thing it is.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Which one of its kind.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The org it belongs to, if it belongs to one.
    #[must_use]
    pub fn org(&self) -> Option<OrgId> {
        match self.owner {
            Owner::Org(org) => Some(org),
            Owner::Everybody | Owner::Nobody => None,
        }
    }

    /// Whether all orgs share it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.owner == Owner::Everybody
    }

    /// The region it is in, if that is known.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.id)
    }
}
