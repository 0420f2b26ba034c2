//! Ids: sixteen bytes in memory, a readable text outside.

use std::str::FromStr;

use uuid::{NonNilUuid, Uuid};

use crate::IdSource;

mod error;
mod text;
mod w3c;

use error::Expected;
pub(crate) use error::excerpt;
pub use error::{IdError, IdErrorKind};
use text::text_form;
pub use w3c::{SpanId, TraceId};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonNilUuid);

        impl $name {
            /// What its text form starts with.
            pub const PREFIX: &'static str = $prefix;

            const EXPECTED: Expected = Expected { what: $what, form: concat!("`", $prefix, "` and 32 hex digits") };

            /// A new id. Ids sort by the millisecond they were made in.
            #[must_use]
            pub fn generate(ids: &(impl IdSource + ?Sized)) -> Self {
                Self(version_7(ids.next_uuid()))
            }

            /// The id around `uuid`, which may be of any version.
            ///
            /// # Errors
            ///
            /// [`IdError`] if `uuid` is nil.
            pub fn from_uuid(uuid: Uuid) -> Result<Self, IdError> {
                let nil = || IdError { kind: IdErrorKind::Nil, expected: Self::EXPECTED, got: uuid.to_string() };
                NonNilUuid::new(uuid).map(Self).ok_or_else(nil)
            }

            /// The UUID inside.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0.get()
            }

            fn with_text<R>(self, give: impl FnOnce(&str) -> R) -> R {
                let mut buffer = [0; $prefix.len() + 32];
                let (prefix, digits) = buffer.split_at_mut($prefix.len());
                prefix.copy_from_slice($prefix.as_bytes());
                self.as_uuid().simple().encode_lower(digits);
                give(str::from_utf8(&buffer).unwrap_or_default())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let refused = |kind| IdError { kind, expected: Self::EXPECTED, got: excerpt(text) };
                parse_uuid($prefix, text).map(Self).map_err(refused)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.as_uuid()
            }
        }

        text_form!($name);
    };
}

id! {
    /// One run of a pipeline: `run_` and 32 hex digits.
    ///
    /// ```
    /// use stageflow_context::{RunId, SystemIds};
    ///
    /// let id = RunId::generate(&SystemIds::new());
    /// assert!(id.to_string().starts_with("run_"));
    /// assert_eq!(id.to_string().parse::<RunId>()?, id);
    ///
    /// let error = "req_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d".parse::<RunId>().unwrap_err();
    /// assert!(error.to_string().contains("is a request id"));
    /// # Ok::<(), stageflow_context::IdError>(())
    /// ```
    RunId, "run_", "run id"
}
id! {
    /// One request of a client, which may start several runs: `req_` and 32 hex digits.
    RequestId, "req_", "request id"
}
id! {
    /// One session of a user: `ses_` and 32 hex digits.
    SessionId, "ses_", "session id"
}
id! {
    /// A person or a program that asks: `usr_` and 32 hex digits.
    UserId, "usr_", "user id"
}
id! {
    /// An organisation, which is a tenant: `org_` and 32 hex digits.
    OrgId, "org_", "org id"
}
id! {
    /// One exchange within a session, such as a question and its answer: `int_` and 32 hex digits.
    InteractionId, "int_", "interaction id"
}
id! {
    /// One request for approval: `apr_` and 32 hex digits.
    ApprovalId, "apr_", "approval id"
}
id! {
    /// What ties a run, its sub-runs and everything they caused together: `cor_` and 32 hex digits.
    CorrelationId, "cor_", "correlation id"
}
impl From<RunId> for CorrelationId {
    /// The correlation of a run that nothing else caused.
    fn from(run: RunId) -> Self {
        Self(run.0)
    }
}

/// The prefix and a hyphenated UUID. The braced and the `urn:` form, which `Uuid` would read too, are longer.
const LONGEST: usize = 4 + 36;

/// Stamped, because a source that a user wrote may give any UUID, the nil one too.
fn version_7(uuid: Uuid) -> NonNilUuid {
    const STAMP: u128 = 0x7000_8000_0000_0000_0000;
    const FREE: u128 = !0xf000_c000_0000_0000_0000;
    const BARE: NonNilUuid = match NonNilUuid::new(Uuid::from_u128(STAMP)) {
        Some(bare) => bare,
        None => unreachable!(),
    };
    NonNilUuid::new(Uuid::from_u128(uuid.as_u128() & FREE | STAMP)).unwrap_or(BARE)
}

fn parse_uuid(prefix: &str, text: &str) -> Result<NonNilUuid, IdErrorKind> {
    if text.len() > LONGEST {
        return Err(IdErrorKind::TooLong);
    }
    let Some(digits) = text.strip_prefix(prefix) else {
        return Err(if text.contains('_') {
            IdErrorKind::WrongPrefix
        } else {
            IdErrorKind::MissingPrefix
        });
    };
    let uuid = Uuid::try_parse(digits).map_err(|_| IdErrorKind::BadHex)?;
    NonNilUuid::new(uuid).ok_or(IdErrorKind::Nil)
}
