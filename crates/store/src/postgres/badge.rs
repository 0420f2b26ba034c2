//! How a transaction shows the database whose turn it is.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use stageflow_context::OrgId;

/// The size of a block of SHA-256, in bytes.
const BLOCK: usize = 64;

/// A secret that the program and the owner of the database share, and nobody else: with it the program signs whose turn it
/// is, and the database checks that.
///
/// Without it, a statement that sets the tenant itself, from a bug or an injection, reaches nothing. It comes from your
/// secret store: 32 bytes of real randomness. It has a number, so that it can be replaced while programs run: see
/// [`migrate`](super::migrate).
///
/// ```
/// use stageflow_store::postgres::BadgeKey;
///
/// let key = BadgeKey::new(7, [0xa5; 32]);
/// assert_eq!(format!("{key:?}"), "BadgeKey(7)"); // never the secret
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BadgeKey {
    id: u16,
    secret: [u8; 32],
}

impl BadgeKey {
    /// The key with this number and these 32 random bytes.
    #[must_use]
    pub const fn new(id: u16, secret: [u8; 32]) -> Self {
        Self { id, secret }
    }

    /// Its number.
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.id
    }

    /// What a transaction for this tenant shows: `ORG:KEY:MAC`, where the MAC is the HMAC-SHA-256 (RFC 2104) of
    /// `sf1:ORG:KEY`.
    pub(super) fn badge(&self, org: OrgId) -> Badge {
        let mut badge = format!("{}:{}", org.as_uuid().hyphenated(), self.id);
        let mut mac = Hmac::<Sha256>::new((&self.block()).into());
        mac.update(b"sf1:");
        mac.update(badge.as_bytes());
        badge.push(':');
        badge.push_str(&hex::encode(mac.finalize().into_bytes()));
        Badge(badge.into())
    }

    /// What the database hashes first, and what it hashes at the end.
    pub(super) fn pads(&self) -> [[u8; BLOCK]; 2] {
        [self.pad(0x36), self.pad(0x5c)]
    }

    fn pad(&self, with: u8) -> [u8; BLOCK] {
        self.block().map(|byte| byte ^ with)
    }

    fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..self.secret.len()].copy_from_slice(&self.secret);
        block
    }
}

impl fmt::Debug for BadgeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BadgeKey({})", self.id)
    }
}

/// What a transaction shows. As good as the tenant it names, so it is in no text that is printed or sent as SQL.
#[derive(Clone)]
pub(super) struct Badge(Arc<str>);

impl Badge {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// The same with another signature: the database must not take it.
    pub(super) fn forged(&self) -> Self {
        let last = match self.0.ends_with('0') {
            true => '1',
            false => '0',
        };
        let mut badge = self.0.as_ref().to_owned();
        badge.pop();
        badge.push(last);
        Self(badge.into())
    }
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;
    use stageflow_context::SeededIds;

    use super::*;

    #[test]
    fn the_pads_give_the_same_signature_as_the_library() {
        let org = OrgId::generate(&SeededIds::new(7));
        let key = BadgeKey::new(3, [0x5a; 32]);
        let badge = key.badge(org);
        let (said, mac) = badge.expose().rsplit_once(':').unwrap();
        assert_eq!(said, format!("{}:3", org.as_uuid().hyphenated()));
        let [inner, outer] = key.pads();
        let first = Sha256::new()
            .chain_update(inner)
            .chain_update(format!("sf1:{said}"));
        let second = Sha256::new()
            .chain_update(outer)
            .chain_update(first.finalize());
        assert_eq!(mac, format!("{:x}", second.finalize()));
        let forged = badge.forged();
        let (said_too, other) = forged.expose().rsplit_once(':').unwrap();
        assert_eq!((said_too, other.len()), (said, mac.len()));
        assert_ne!(other, mac);
    }
}
