//! A value that is never written down.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that nobody writes down by accident: printed, debugged and serialised it is `[redacted]`, however long it is.
///
/// What holds one may derive `Debug` and `Serialize` and is safe to log. The value is reached by name only, so that each
/// place that does it is easy to find. There is no `Deref`, and no way to turn it into a reference unseen.
///
/// ```
/// use stageflow_context::Redacted;
///
/// #[derive(Debug)]
/// struct Login {
///     user: String,
///     password: Redacted<String>,
/// }
///
/// let login = Login { user: "ada".to_owned(), password: Redacted::new("hunter2".to_owned()) };
/// assert_eq!(format!("{login:?}"), r#"Login { user: "ada", password: [redacted] }"#);
/// assert_eq!(serde_json::to_string(&login.password)?, r#""[redacted]""#);
/// assert_eq!(login.password.expose(), "hunter2");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// Reading passes through: what is deserialised is the value. What was serialised is gone, so a snapshot or a journal that
/// holds one cannot bring it back.
///
/// ```
/// # use stageflow_context::Redacted;
/// let key: Redacted<String> = serde_json::from_str(r#""sk-abc""#)?;
/// assert_eq!(key.expose(), "sk-abc");
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// It does not stand in for the value:
///
/// ```compile_fail,E0308
/// # use stageflow_context::Redacted;
/// fn log(line: &str) {}
/// log(&Redacted::new("hunter2".to_owned()));
/// ```
///
/// Its memory is not wiped when it is dropped; put a type that does so inside if you need that.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Redacted<T>(T);

/// What stands in the place of what was left out, however long that was.
pub(crate) const MARK: &str = "[redacted]";

impl<T> Redacted<T> {
    /// Hides `value`.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Whatever is done with it now is not protected any more.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, taken out.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Something made of the value, as hidden as it was.
    #[must_use]
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Redacted<U> {
        Redacted(make(self.0))
    }
}

impl<T> From<T> for Redacted<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)
    }
}

impl<T> Serialize for Redacted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MARK)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Redacted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}
