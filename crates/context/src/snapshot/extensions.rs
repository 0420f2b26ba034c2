//! What a user's own crates put into a snapshot.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::canonical::{Subject, canonical};
use super::probe::{Unfit, probe};
use super::shared_map::SharedMap;
use super::{SnapshotError, SnapshotErrorKind, SnapshotLimits};
use crate::Fingerprint;
use crate::ids::excerpt;
use crate::mismatch::mismatch;

/// A type of your own that travels in a snapshot, under a name that is yours.
///
/// The name stays in stored snapshots: choose one that outlives the type's, such as `acme.cart`.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use stageflow_context::{ContextSnapshot, Extension, RunId, RunIdentity, SystemIds};
///
/// #[derive(Serialize, Deserialize)]
/// struct Cart { items: Vec<String> }
///
/// impl Extension for Cart {
///     const NAME: &'static str = "acme.cart";
/// }
///
/// let empty = ContextSnapshot::new(RunIdentity::new(RunId::generate(&SystemIds::new())));
/// let snapshot = empty.with_extension(&Cart { items: vec!["tea".to_owned()] })?;
/// let cart = snapshot.extension::<Cart>()?.unwrap();
/// assert_eq!(cart.items, ["tea"]);
/// # Ok::<(), stageflow_context::SnapshotError>(())
/// ```
///
/// `Sync` keeps types with a `Cell`, a `RefCell` or an `Rc` out. Locks and atomics it cannot keep out: see
/// [`Extensions::altered`].
///
/// ```compile_fail,E0277
/// # use stageflow_context::Extension;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Tally(std::cell::Cell<u32>);
/// impl Extension for Tally {
///     const NAME: &'static str = "acme.tally";
/// }
/// ```
///
/// An empty name does not compile either:
///
/// ```compile_fail
/// # use stageflow_context::{ContextSnapshot, Extension, RunId, RunIdentity, SystemIds};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Nameless;
/// impl Extension for Nameless {
///     const NAME: &'static str = "";
/// }
/// # let empty = ContextSnapshot::new(RunIdentity::new(RunId::generate(&SystemIds::new())));
/// empty.with_extension(&Nameless);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot go into a snapshot",
    label = "not an `Extension`",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it, then `impl Extension for {Self}` with a `NAME`"
)]
pub trait Extension: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What it is called in the snapshot.
    const NAME: &'static str;
}

/// The extensions of a snapshot, by name. Immutable, and cheap to clone.
///
/// Each is kept as the JSON it came as, so those of types that this program does not know go out as they came in. A type
/// is decoded when it is first asked for, once for everyone who shares the snapshot.
#[derive(Clone, Default)]
pub struct Extensions(SharedMap<Entry>);

struct Entry {
    raw: Box<RawValue>,
    decoded: OnceLock<Decoded>,
}

struct Decoded {
    value: Arc<dyn Any + Send + Sync>,
    /// Compares the value with what is decoded from the raw text again. It knows the type, which the map does not.
    is_unchanged: fn(&Entry, &(dyn Any + Send + Sync)) -> bool,
    digest: fn(&(dyn Any + Send + Sync)) -> Option<Fingerprint>,
}

impl Extensions {
    /// The extension of type `T`, or `None` if there is none of that name.
    ///
    /// Two types may share a name, as two versions of one do: the first that is asked for is kept decoded, the other is
    /// decoded each time.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if what is there cannot be decoded as a `T`.
    pub fn get<T: Extension>(&self) -> Result<Option<Arc<T>>, SnapshotError> {
        self.0.get(T::NAME).map(Entry::decoded).transpose()
    }

    /// Whether there is an extension called `name`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    /// The JSON of the extension called `name`, as it came.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|entry| entry.raw.get())
    }

    /// The names of all of them, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of those whose decoded value is no longer what their JSON says: the type has interior mutability, and a
    /// stage used it. Their JSON is what it was; only those who share the decoded value see the change.
    ///
    /// A type whose JSON comes out differently each time, as that of a `HashSet` does, may be named too.
    #[must_use]
    pub fn altered(&self) -> Vec<&str> {
        let altered = self.0.iter().filter(|(_, entry)| entry.is_altered());
        altered.map(|(name, _)| name).collect()
    }

    /// The names of those that were decoded, sorted, each with the digest of what its decoded value is at the moment; `None` if
    /// that cannot be written as JSON. Two looks at the same snapshot give the same, unless a type has interior mutability and a
    /// stage used it.
    #[must_use]
    pub fn decoded(&self) -> Vec<(&str, Option<Fingerprint>)> {
        let decoded = self.0.iter().filter_map(|(name, entry)| {
            let decoded = entry.decoded.get()?;
            Some((name, (decoded.digest)(&*decoded.value)))
        });
        decoded.collect()
    }

    pub(super) fn with<T: Extension>(
        &self,
        value: &T,
        limits: &SnapshotLimits,
    ) -> Result<Self, SnapshotError> {
        const { assert!(!T::NAME.is_empty(), "an extension needs a name") };
        let fails = |problem: &dyn fmt::Display| extension_error(T::NAME, problem);
        probe(value, limits.max_depth()).map_err(|unfit| match unfit {
            Unfit::TooDeep => limits.too_deep(format!("extensions.{}", T::NAME)),
            Unfit::NotFinite | Unfit::Other(_) => fails(&unfit),
        })?;
        let raw = serde_json::value::to_raw_value(value).map_err(|error| fails(&error))?;
        let mut extended = self.clone();
        extended.insert_raw(T::NAME, raw, limits)?;
        // What cannot be read back is better known now than by the process that reads it.
        extended.get::<T>()?;
        limits.check_count(
            "extensions",
            extended.len(),
            limits.max_extensions(),
            || "extensions".to_owned(),
        )?;
        Ok(extended)
    }

    pub(super) fn insert_raw(
        &mut self,
        name: impl Into<Arc<str>>,
        raw: Box<RawValue>,
        limits: &SnapshotLimits,
    ) -> Result<(), SnapshotError> {
        let name = name.into();
        canonical(raw.get(), Subject::Extension(&name), limits)?;
        self.0.insert(
            name,
            Entry {
                raw,
                decoded: OnceLock::new(),
            },
        );
        Ok(())
    }

    pub(super) fn raw_values(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, entry)| (name, &*entry.raw))
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Entry {
    fn decoded<T: Extension>(&self) -> Result<Arc<T>, SnapshotError> {
        if self.decoded.get().is_none() {
            let value = Arc::new(self.decode::<T>()?);
            // Of several at once the first is kept, and all get that one.
            let _ = self.decoded.set(Decoded {
                value,
                is_unchanged: Self::is_unchanged::<T>,
                digest: Self::digest::<T>,
            });
        }
        let kept = self.decoded.get().map(|decoded| Arc::clone(&decoded.value));
        match kept.and_then(|kept| kept.downcast().ok()) {
            Some(kept) => Ok(kept),
            None => self.decode().map(Arc::new),
        }
    }

    fn decode<T: Extension>(&self) -> Result<T, SnapshotError> {
        let fails = |error: serde_json::Error| {
            let problem = format!("it is not a `{}`: {}", type_name::<T>(), mismatch(&error));
            extension_error(T::NAME, &problem)
        };
        serde_json::from_str(self.raw.get()).map_err(fails)
    }

    fn is_altered(&self) -> bool {
        self.decoded
            .get()
            .is_some_and(|decoded| !(decoded.is_unchanged)(self, &*decoded.value))
    }

    fn digest<T: Extension>(value: &(dyn Any + Send + Sync)) -> Option<Fingerprint> {
        value
            .downcast_ref::<T>()
            .and_then(|value| Fingerprint::of(value).ok())
    }

    fn is_unchanged<T: Extension>(&self, value: &(dyn Any + Send + Sync)) -> bool {
        let Some(value) = value.downcast_ref::<T>() else {
            return false;
        };
        let (Ok(now), Ok(then)) = (serde_json::to_string(value), self.decode::<T>()) else {
            return false;
        };
        let Ok(then) = serde_json::to_string(&then) else {
            return false;
        };
        let canonical =
            |text: &str| canonical(text, Subject::Extension(T::NAME), &SnapshotLimits::new()).ok();
        canonical(&now) == canonical(&then)
    }
}

fn extension_error(name: &str, problem: &dyn fmt::Display) -> SnapshotError {
    let problem: String = problem.to_string().chars().take(512).collect();
    SnapshotError::new(
        SnapshotErrorKind::Extension,
        format!("extensions.{}", excerpt(name)),
        problem,
    )
}
