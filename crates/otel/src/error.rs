//! Settings that cannot be used.

use std::error::Error;
use std::fmt;

/// An exporter that cannot be made of its settings.
#[derive(Debug)]
pub struct OtlpError {
    kind: OtlpErrorKind,
    got: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OtlpErrorKind {
    /// The endpoint is no URL.
    BadEndpoint,
    /// A header that HTTP does not allow.
    BadHeader,
    /// The endpoint wants an encrypted connection, which this exporter does not have.
    Encrypted,
    /// There is no tokio runtime to send from.
    NoRuntime,
}

impl OtlpError {
    pub(crate) fn new(kind: OtlpErrorKind, got: &str) -> Self {
        const LONGEST: usize = 100;
        Self {
            kind,
            got: got
                .chars()
                .take(LONGEST)
                .flat_map(char::escape_debug)
                .collect(),
            source: None,
        }
    }

    pub(crate) fn caused_by(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> OtlpErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            OtlpErrorKind::BadEndpoint => "SF0532",
            OtlpErrorKind::BadHeader => "SF0533",
            OtlpErrorKind::Encrypted => "SF0534",
            OtlpErrorKind::NoRuntime => "SF0535",
        }
    }
}

impl fmt::Display for OtlpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { got, .. } = self;
        write!(f, "{}: ", self.code())?;
        match self.kind {
            OtlpErrorKind::BadEndpoint => write!(
                f,
                "the OTLP endpoint `{got}` is no URL; give the gRPC port of a collector, such as `http://127.0.0.1:4317`"
            ),
            // The value may be a secret.
            OtlpErrorKind::BadHeader => write!(
                f,
                "the OTLP header `{got}` cannot be sent; its name has letters, digits and `-`, its value printable ASCII"
            ),
            OtlpErrorKind::Encrypted => write!(
                f,
                "the OTLP endpoint `{got}` wants TLS, which is not built in; run a collector beside the program and give its `http://` port"
            ),
            OtlpErrorKind::NoRuntime => write!(
                f,
                "nothing can be sent to the OTLP endpoint `{got}` from outside a tokio runtime; call `start` inside one"
            ),
        }
    }
}

impl Error for OtlpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
