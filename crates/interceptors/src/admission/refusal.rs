//! Why a run was not let in.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{BoxError, Outcome};

/// Why a run was not let in. It has two texts: [`Display`](fmt::Display) and the cause are for those who run the engine;
/// [`Refusal::public`] is for whoever asked, and says no more than they may know.
#[derive(Clone, Debug)]
pub struct Refusal(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    admission: Arc<str>,
    kind: RefusalKind,
    code: &'static str,
    retry_after: Option<Duration>,
    source: Arc<dyn Error + Send + Sync>,
}

/// The code of a refusal whose cause has none.
const OWN: &str = "SF0414";

/// What a refusal amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalKind {
    /// There is no room now; later there may be. HTTP says 429.
    Busy,
    /// It is known who asks, and they may not. HTTP says 403.
    Forbidden,
    /// It was not proved who asks. HTTP says 401.
    Unauthenticated,
    /// It could not be found out: what has to be asked does not answer. HTTP says 503.
    Undecided,
}

impl RefusalKind {
    /// In lower case, as events have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Forbidden => "forbidden",
            Self::Unauthenticated => "unauthenticated",
            Self::Undecided => "undecided",
        }
    }

    /// How a run ends that meets it. What may be different later is a failure, and no denial.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Busy | Self::Undecided => Outcome::Failed,
            Self::Forbidden | Self::Unauthenticated => Outcome::Denied,
        }
    }
}

impl Refusal {
    /// A refusal for this reason.
    pub fn new(kind: RefusalKind, source: impl Into<BoxError>) -> Self {
        Self(Arc::new(Inner {
            admission: Arc::from(""),
            kind,
            code: OWN,
            retry_after: None,
            source: Arc::from(source.into()),
        }))
    }

    /// The same, with the code of its cause.
    #[must_use]
    pub fn with_code(self, code: &'static str) -> Self {
        self.changed(|inner| inner.code = code)
    }

    /// The same; asking again makes sense after this time.
    #[must_use]
    pub fn retry_in(self, wait: Duration) -> Self {
        self.changed(|inner| inner.retry_after = Some(wait))
    }

    /// The same, by the admission of this name. Called by engines.
    #[must_use]
    pub fn by(self, admission: &str) -> Self {
        self.changed(|inner| inner.admission = admission.into())
    }

    fn changed(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> RefusalKind {
        self.0.kind
    }

    /// The stable code of the cause; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Who refused.
    #[must_use]
    pub fn admission(&self) -> &str {
        &self.0.admission
    }

    /// After which time asking again makes sense, if that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What whoever asked may be told. It names nobody and nothing inside.
    #[must_use]
    pub fn public(&self) -> &'static str {
        match self.0.kind {
            RefusalKind::Busy => "too many requests at present; try again later",
            RefusalKind::Forbidden => "you may not do this",
            RefusalKind::Unauthenticated => "show valid credentials",
            RefusalKind::Undecided => "this cannot be decided at present; try again later",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            admission, source, ..
        } = &*self.0;
        // The text of a cause with a code has it.
        if self.0.code == OWN {
            write!(f, "{OWN}: ")?;
        }
        write!(f, "admission `{admission}`: {source}")
    }
}

impl Error for Refusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0.source)
    }
}
