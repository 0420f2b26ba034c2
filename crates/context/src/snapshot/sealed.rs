//! Snapshots under a seal.

use super::{ContextSnapshot, SnapshotError, SnapshotLimits, wire};
use crate::{OrgId, RunId, SealError, SealErrorKind, SealKeys, Sealed, SealedAs};

const KIND: &str = "snapshot";
/// Of the form that is sealed: the text of [`ContextSnapshot::to_json`], which has a version of its own.
const VERSION: u32 = 1;

/// As bytes that nobody can alter unseen, for stores that others can write to.
impl ContextSnapshot {
    /// The snapshot as JSON, sealed with the first of these keys, for its org and run.
    ///
    /// ```
    /// use stageflow_context::{ContextSnapshot, RunId, RunIdentity, SealKey, SealKeys, SystemIds};
    ///
    /// let keys = SealKeys::new(SealKey::new(1, [17; 32])); // 32 random bytes, from where you keep secrets
    /// let run = RunId::generate(&SystemIds::new());
    /// let sealed = ContextSnapshot::new(RunIdentity::new(run)).with_input_text("hello").seal(&keys)?;
    ///
    /// let read = ContextSnapshot::from_sealed(&sealed, &keys, None, run)?;
    /// assert_eq!(read.input_text(), Some("hello"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if it holds more than can be read back.
    pub fn seal(&self, keys: &SealKeys) -> Result<Sealed, SnapshotError> {
        let text = wire::write(self, &SnapshotLimits::new())?;
        let place = place(self.identity().org_id(), self.run_id());
        Ok(keys.seal(&place, text.as_bytes()))
    }

    /// The snapshot that was sealed for this org and this run, within the default [`SnapshotLimits`].
    ///
    /// # Errors
    ///
    /// [`SealError`] if anything of it was changed, or if it is another org's or run's; of the kind
    /// [`Content`](SealErrorKind::Content) if what was sealed is no snapshot that this version reads.
    pub fn from_sealed(
        sealed: &Sealed,
        keys: &SealKeys,
        org: impl Into<Option<OrgId>>,
        run: RunId,
    ) -> Result<Self, SealError> {
        let place = place(org.into(), run);
        let content = |problem: &str| SealError::new(SealErrorKind::Content, KIND, problem);
        let bytes = sealed.open(keys, &place)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| content("it is no text"))?;
        let read = Self::from_json(text).map_err(|error| content("its text").because(error))?;
        let identity = read.identity();
        if identity.org_id() != place.org() || Some(identity.run_id()) != place.run() {
            return Err(content(
                "what it says of its org and its run is not what is on the seal",
            ));
        }
        Ok(read)
    }
}

fn place(org: Option<OrgId>, run: RunId) -> SealedAs {
    SealedAs::new(KIND, VERSION).of_org(org).of_run(run)
}
