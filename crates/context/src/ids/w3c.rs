//! The ids of W3C Trace Context: plain hex digits, as other systems write them.

use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

use super::error::{Expected, IdError, IdErrorKind, excerpt};
use super::text::text_form;

macro_rules! w3c_id {
    ($(#[$doc:meta])* $name:ident, $non_zero:ty, $number:ty, $digits:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($non_zero);

        impl $name {
            /// The smallest one.
            pub(crate) const LEAST: Self = Self(<$non_zero>::MIN);

            const EXPECTED: Expected =
                Expected { what: $what, form: concat!(stringify!($digits), " lower-case hex digits, not all zero") };

            /// The id made of these bytes.
            ///
            /// # Errors
            ///
            /// [`IdError`] if all of them are zero.
            pub fn from_bytes(bytes: [u8; $digits / 2]) -> Result<Self, IdError> {
                let nil = || IdError { kind: IdErrorKind::Nil, expected: Self::EXPECTED, got: "0".repeat($digits) };
                <$non_zero>::new(<$number>::from_be_bytes(bytes)).map(Self).ok_or_else(nil)
            }

            /// Its bytes, in the order they are sent.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; $digits / 2] {
                self.0.get().to_be_bytes()
            }

            fn with_text<R>(self, give: impl FnOnce(&str) -> R) -> R {
                give(&format!("{:0width$x}", self.0, width = $digits))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let refused = |kind| IdError { kind, expected: Self::EXPECTED, got: excerpt(text) };
                let digits = lower_hex($digits, text).map_err(refused)?;
                let number = <$number>::from_str_radix(digits, 16).map_err(|_| refused(IdErrorKind::BadHex))?;
                <$non_zero>::new(number).map(Self).ok_or_else(|| refused(IdErrorKind::Nil))
            }
        }

        text_form!($name);
    };
}

w3c_id! {
    /// A trace, as W3C Trace Context writes it: 32 lower-case hex digits.
    ///
    /// ```
    /// use stageflow_context::TraceId;
    ///
    /// let trace: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
    /// assert_eq!(trace.to_bytes()[0], 0x4b);
    /// # Ok::<(), stageflow_context::IdError>(())
    /// ```
    TraceId, NonZeroU128, u128, 32, "trace id"
}
w3c_id! {
    /// A span of a trace, as W3C Trace Context writes it: 16 lower-case hex digits. Those of a run are worked out from where
    /// they are: see [`RunIdentity::run_span`](crate::RunIdentity::run_span).
    SpanId, NonZeroU64, u64, 16, "span id"
}

fn lower_hex(digits: usize, text: &str) -> Result<&str, IdErrorKind> {
    if text.len() > digits {
        Err(IdErrorKind::TooLong)
    } else if text.len() < digits || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        Err(IdErrorKind::BadHex)
    } else {
        Ok(text)
    }
}
