//! Which user somebody is of whom nobody has said so.

use sha1::{Digest as _, Sha1};
use stageflow_context::UserId;
use uuid::{Builder, Uuid};

use crate::Principal;

/// Ours alone: made at random, once.
const SUBJECTS: Uuid = Uuid::from_u128(0xc9b6_e880_c496_4866_9c4b_8b65_23a9_b7a8);

/// Which user a subject is, so that what is kept of them can be named, and erased: the same one every time, in every program.
///
/// `issuer` is who vouches for them, to the letter as in `JwtRules` and the claim `iss`; nobody does for keys for programs, unless
/// their principals say so.
///
/// A subject that is a `usr_…` id or a UUID is that user, unless it is nil or of version 5. Any other is a UUID of version 5
/// (RFC 9562, section 5.5) with the subject as its name, in a namespace that is the same of the issuer, which is empty if there is
/// none, in `c9b6e880-c496-4866-9c4b-8b6523a9b7a8`. One step after the other, so that no two pairs are written alike; and nobody
/// becomes somebody else by calling themselves what is made here. Other tools make it, too:
///
/// ```text
/// uuidgen --sha1 --name 'auth0|ada' --namespace \
///     "$(uuidgen --sha1 --name https://id.example.org --namespace c9b6e880-c496-4866-9c4b-8b6523a9b7a8)"
/// ```
///
/// It hides nothing: whoever can guess the subject can make the id. Nor does it say anything of what they may do.
///
/// ```
/// use stageflow_auth::user_of;
///
/// let ada = user_of("https://id.example.org", "auth0|ada");
/// assert_eq!(ada.to_string(), "usr_0a4b32c25b4f5d0da8cb7504b4840315");
/// assert_ne!(ada, user_of("https://id.example.com", "auth0|ada"));
/// assert_ne!(ada, user_of(None, "auth0|ada"));
/// ```
#[must_use]
pub fn user_of<'i>(issuer: impl Into<Option<&'i str>>, subject: &str) -> UserId {
    let said: Option<UserId> = id(subject, UserId::PREFIX);
    // Else whoever may choose their name would choose what is made of another one's.
    if let Some(user) = said.filter(|user| user.as_uuid().get_version_num() != 5) {
        return user;
    }
    let of_issuer = version_5(SUBJECTS, issuer.into().unwrap_or_default());
    let Ok(user) = UserId::from_uuid(version_5(of_issuer, subject)) else {
        unreachable!("the version of a UUID is never 0");
    };
    user
}

/// An id as it is written here, or its UUID.
pub(crate) fn id<T: std::str::FromStr>(text: &str, prefix: &str) -> Option<T> {
    text.parse()
        .or_else(|_| format!("{prefix}{text}").parse())
        .ok()
}

impl Principal {
    /// The same, and a user in any case: what is kept of somebody who is none could not be erased.
    pub(crate) fn with_some_user(self) -> Self {
        let user = self.user();
        let user = user.unwrap_or_else(|| user_of(self.issuer(), self.subject()));
        self.with_user(user)
    }
}

fn version_5(namespace: Uuid, name: &str) -> Uuid {
    let hash = Sha1::new()
        .chain_update(namespace)
        .chain_update(name)
        .finalize();
    let mut first = [0; 16];
    first.iter_mut().zip(hash).for_each(|(byte, of)| *byte = of);
    Builder::from_sha1_bytes(first).into_uuid()
}
