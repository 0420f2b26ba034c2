//! What is wrong with roles.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// These roles cannot be: all that is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RbacError {
    problems: Vec<RbacProblem>,
}

/// One thing that is wrong with roles.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RbacProblem {
    /// A role permits what is no permission.
    BadPermission {
        /// The role.
        role: Arc<str>,
        /// What it permits, the beginning of it.
        permission: String,
    },
    /// A role is called what no role can be called: the beginning of its name.
    BadRole(String),
    /// Roles inherit from each other in a circle: from the first to the last, which inherits from the first.
    Cycle(Vec<Arc<str>>),
    /// There are two roles of this name.
    Repeated(Arc<str>),
    /// A role inherits from one that is not there.
    Unknown {
        /// The role.
        role: Arc<str>,
        /// The one it inherits from.
        inherits: Arc<str>,
    },
}

impl RbacError {
    pub(super) fn new(problems: Vec<RbacProblem>) -> Self {
        Self { problems }
    }

    /// All that is wrong, at least one thing.
    #[must_use]
    pub fn problems(&self) -> &[RbacProblem] {
        &self.problems
    }
}

impl RbacProblem {
    /// The stable code of this problem; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadPermission { .. } => "SF0626",
            Self::BadRole(_) => "SF0627",
            Self::Unknown { .. } => "SF0628",
            Self::Cycle(_) => "SF0629",
            Self::Repeated(_) => "SF0630",
        }
    }
}

impl fmt::Display for RbacProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code())?;
        match self {
            Self::BadPermission { role, permission } => write!(
                f,
                "role `{role}` permits {permission:?}, which is no permission; use words of letters, digits, `_`, `-` and `.`, \
                 joined by colons, such as `kb:read`, with `*` in the place of the last word for all of them"
            ),
            Self::BadRole(name) => write!(
                f,
                "a role is called {name:?}, which is no name; use 1 to 128 bytes without spaces"
            ),
            Self::Cycle(roles) => {
                f.write_str("roles inherit from each other in a circle: ")?;
                for role in roles {
                    write!(f, "`{role}` → ")?;
                }
                let first = roles.first().map_or("", |role| role);
                write!(f, "`{first}`; take one of these away")
            }
            Self::Repeated(role) => write!(
                f,
                "role `{role}` is there twice, which leaves open what it permits; keep one, and say all of it there"
            ),
            Self::Unknown { role, inherits } => write!(
                f,
                "role `{role}` inherits from `{inherits}`, which is not there; add it, or correct the name"
            ),
        }
    }
}

impl fmt::Display for RbacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.problems {
            [only] => only.fmt(f),
            problems => {
                write!(f, "{} problems with roles:", problems.len())?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n- {problem}"))
            }
        }
    }
}

impl Error for RbacError {}
