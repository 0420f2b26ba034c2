//! Bytes under a seal.
//!
//! ```text
//! stageflow.sealed/1 kind=snapshot version=1 org=org_... run=run_... key=7 mac=<64 hex digits>\n
//! ...the bytes...
//! ```
//!
//! The hash is of everything on the first line before ` mac=`, and of the bytes. The line has one spelling only, so that there
//! is no byte that could be changed and not be noticed.

use std::fmt;
use std::sync::Arc;

use super::tag::{number, unhex};
use super::{Migrations, SealError, SealErrorKind as Kind, SealKeys, SealedAs, Tag};

const PURPOSE: &str = "sealed";
const START: &str = "stageflow.sealed/1 ";
/// The longest that the first line is.
const LINE: usize = 400;

/// Bytes with a seal on them: a keyed hash of them, of what they are, whose, and in which version.
///
/// They can be read by anybody who finds them, and altered by nobody without being found out. Who may write where they are
/// kept can still bring back older ones of the same run, or take them away; a seal does not show that.
///
/// ```
/// use stageflow_context::{OrgId, RunId, SealKey, SealKeys, Sealed, SealedAs, SystemIds};
///
/// let keys = SealKeys::new(SealKey::new(1, [17; 32]));
/// let ids = SystemIds::new();
/// let (org, other) = (OrgId::generate(&ids), OrgId::generate(&ids));
/// let place = SealedAs::new("checkpoint", 1).of_org(org).of_run(RunId::generate(&ids));
///
/// let kept = keys.seal(&place, b"{\"done\":3}").into_bytes();
/// assert_eq!(Sealed::from_bytes(kept.clone()).open(&keys, &place)?, b"{\"done\":3}");
///
/// let error = Sealed::from_bytes(kept).open(&keys, &place.of_org(other)).unwrap_err();
/// assert_eq!(error.code(), "SF0224");
/// # Ok::<(), stageflow_context::SealError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Arc<[u8]>);

/// What the first line says.
struct Line<'a> {
    /// All before the hash.
    said: &'a str,
    kind: &'a str,
    version: u32,
    org: &'a str,
    run: &'a str,
    tag: Tag,
}

impl SealKeys {
    /// Seals `bytes` as this, with the first key.
    #[must_use]
    pub fn seal(&self, place: &SealedAs, bytes: &[u8]) -> Sealed {
        let said = said(place, self.first());
        let tag = self.tag(PURPOSE, &[said.as_bytes(), bytes]);
        let line = format!("{said} mac={}\n", hex::encode(tag.mac));
        Sealed([line.as_bytes(), bytes].concat().into())
    }
}

impl Sealed {
    /// What may be sealed bytes: they are looked at when they are opened.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// All of it, as it is to be kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// All of it, as it is to be kept.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// All of it as text, if what was sealed is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The number of the key it says it was sealed with. Nobody has checked that yet.
    #[must_use]
    pub fn key(&self) -> Option<u32> {
        self.line().map(|(line, _)| line.tag.key())
    }

    /// The bytes, if they are as they were sealed, as `place` says.
    ///
    /// # Errors
    ///
    /// [`SealError`] if one of them was changed, or if they were sealed as something else, for another org or run, or in another
    /// version.
    pub fn open(&self, keys: &SealKeys, place: &SealedAs) -> Result<Vec<u8>, SealError> {
        self.open_with(keys, place, &Migrations::new())
    }

    /// The same, where bytes of an older version are brought up to the one that `place` says.
    ///
    /// # Errors
    ///
    /// [`SealError`], as [`Sealed::open`]; of the kind [`Older`](Kind::Older) if a step is missing or fails.
    pub fn open_with(
        &self,
        keys: &SealKeys,
        place: &SealedAs,
        older: &Migrations,
    ) -> Result<Vec<u8>, SealError> {
        let refused = |kind, problem: &str| Err(SealError::new(kind, &place.kind, problem));
        let Some((line, bytes)) = self.line() else {
            return refused(Kind::NotSealed, "it does not begin as sealed bytes do");
        };
        // Before anything of it is believed.
        match keys.check(PURPOSE, &[line.said.as_bytes(), bytes], &line.tag) {
            Some(true) => {}
            Some(false) => return refused(Kind::Altered, "its hash is not the one of its bytes"),
            None => {
                let key = line.tag.key();
                return refused(Kind::UnknownKey, &format!("there is no key {key}"));
            }
        }
        line.is(place)?;
        migrate(bytes.to_vec(), line.version, place, older)
    }

    fn line(&self) -> Option<(Line<'_>, &[u8])> {
        let end = self.0.iter().take(LINE).position(|byte| *byte == b'\n')?;
        let (line, bytes) = self.0.split_at_checked(end)?;
        let line = Line::parse(std::str::from_utf8(line).ok()?)?;
        Some((line, bytes.get(1..)?))
    }
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (said, mac) = line.split_once(" mac=")?;
        let mut words = said.strip_prefix(START)?.split(' ');
        let mut word = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
        Some(Self {
            said,
            kind: word("kind")?,
            version: number(word("version")?)?,
            org: word("org")?,
            run: word("run")?,
            tag: Tag {
                key: number(word("key")?)?,
                mac: unhex(mac)?,
            },
        })
    }

    /// Whether it was sealed as this. Versions are another matter.
    fn is(&self, place: &SealedAs) -> Result<(), SealError> {
        let (org, run) = (or_none(place.org), or_none(place.run));
        let checks = [
            (Kind::WrongKind, "kind", self.kind, &place.kind),
            (Kind::WrongOrg, "org", self.org, &org),
            (Kind::WrongRun, "run", self.run, &run),
        ];
        for (kind, what, found, wanted) in checks {
            if found != wanted {
                let problem = format!("its {what} is `{found}`, and `{wanted}` was asked for");
                return Err(SealError::new(kind, &place.kind, problem));
            }
        }
        Ok(())
    }
}

fn said(place: &SealedAs, key: u32) -> String {
    let (org, run) = (or_none(place.org), or_none(place.run));
    let SealedAs { kind, version, .. } = place;
    format!("{START}kind={kind} version={version} org={org} run={run} key={key}")
}

fn or_none(id: Option<impl fmt::Display>) -> String {
    id.map_or_else(|| "-".to_owned(), |id| id.to_string())
}

fn migrate(
    mut bytes: Vec<u8>,
    found: u32,
    place: &SealedAs,
    older: &Migrations,
) -> Result<Vec<u8>, SealError> {
    let wanted = place.version;
    if found > wanted {
        let problem = format!("its version is {found}, and this program reads up to {wanted}");
        return Err(SealError::new(Kind::Newer, &place.kind, problem));
    }
    for version in found..wanted {
        let problem =
            format!("its version is {found}, and it is not brought from {version} to the next");
        let error = SealError::new(Kind::Older, &place.kind, problem);
        let Some(step) = older.step(version) else {
            return Err(error);
        };
        bytes = step(bytes).map_err(|cause| error.because(cause))?;
    }
    Ok(bytes)
}

/// Says how many bytes there are, and nothing of what they are.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}
