//! The keys of keyed hashes.

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::tag::Tag;
use crate::Redacted;

type HmacSha256 = Hmac<Sha256>;

/// A secret of 32 bytes, and the number it is known by. Take the bytes from a random number generator made for keys, and
/// keep them where the sealed bytes are not: whoever has both can alter what is sealed.
///
/// It is never written down: `Debug` shows the number.
#[derive(Clone)]
pub struct SealKey {
    number: u32,
    /// With the zeros behind it that HMAC fills a key up with.
    block: Redacted<[u8; 64]>,
}

impl SealKey {
    /// The key with these bytes, known by `number`. No other key that you have ever used may have the same number.
    #[must_use]
    pub fn new(number: u32, bytes: [u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&bytes);
        Self {
            number,
            block: Redacted::new(block),
        }
    }

    /// What it is known by.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    fn tag(&self, purpose: &str, parts: &[&[u8]]) -> Tag {
        let mac = self.mac(purpose, parts).finalize().into_bytes();
        Tag {
            key: self.number,
            mac: mac.into(),
        }
    }

    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> HmacSha256 {
        let mut mac = <HmacSha256 as hmac::digest::KeyInit>::new(self.block.expose().into());
        mac.update(b"stageflow");
        for part in [purpose.as_bytes()].iter().chain(parts) {
            // With its length, so that no two lists of parts are the same bytes.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({}, [redacted])", self.number)
    }
}

/// The keys that an engine has: one to seal with, and those of earlier times, to open what was sealed with them.
///
/// To change keys, make a new one the first and keep the old one as long as something sealed with it is to be opened:
///
/// ```
/// use stageflow_context::{SealKey, SealKeys, SealedAs};
///
/// let old = SealKey::new(1, [17; 32]); // 32 random bytes, from where you keep secrets
/// let place = SealedAs::new("notes", 1);
/// let sealed = SealKeys::new(old.clone()).seal(&place, b"hello");
///
/// let keys = SealKeys::new(SealKey::new(2, [99; 32])).opening(old);
/// assert_eq!(sealed.open(&keys, &place)?, b"hello");
/// assert_eq!(keys.seal(&place, b"hello").key(), Some(2));
/// # Ok::<(), stageflow_context::SealError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SealKeys {
    first: SealKey,
    earlier: Vec<SealKey>,
}

impl SealKeys {
    /// This key only.
    #[must_use]
    pub const fn new(key: SealKey) -> Self {
        Self {
            first: key,
            earlier: Vec::new(),
        }
    }

    /// The same, and this one to open with. One of the same number that was named before stays.
    #[must_use]
    pub fn opening(mut self, key: SealKey) -> Self {
        if self.find(key.number).is_none() {
            self.earlier.push(key);
        }
        self
    }

    /// The keyed hash of these parts, made with the first key. What is made for one purpose is good for no other.
    #[must_use]
    pub fn tag(&self, purpose: &str, parts: &[&[u8]]) -> Tag {
        self.first.tag(purpose, parts)
    }

    /// The same made with each of the keys, the first one first: to look for what was kept under a tag before the keys changed.
    ///
    /// ```
    /// use stageflow_context::{SealKey, SealKeys};
    ///
    /// let (old, new) = (SealKey::new(1, [17; 32]), SealKey::new(2, [99; 32]));
    /// let kept = SealKeys::new(old.clone()).tag("customer", &[b"ada"]);
    ///
    /// let tags = SealKeys::new(new).opening(old).tags("customer", &[b"ada"]);
    /// assert!(tags.len() == 2 && tags.contains(&kept));
    /// ```
    #[must_use]
    pub fn tags(&self, purpose: &str, parts: &[&[u8]]) -> Vec<Tag> {
        let keys = [&self.first].into_iter().chain(&self.earlier);
        keys.map(|key| key.tag(purpose, parts)).collect()
    }

    /// Whether `tag` is that of these parts, made for this purpose with one of these keys; nothing if its key is not among
    /// them. Takes the same time wherever the two differ.
    #[must_use]
    pub fn check(&self, purpose: &str, parts: &[&[u8]], tag: &Tag) -> Option<bool> {
        let mac = self.find(tag.key)?.mac(purpose, parts);
        Some(mac.verify_slice(&tag.mac).is_ok())
    }

    /// The number of the one to seal with.
    pub(super) const fn first(&self) -> u32 {
        self.first.number
    }

    fn find(&self, number: u32) -> Option<&SealKey> {
        let mut keys = [&self.first].into_iter().chain(&self.earlier);
        keys.find(|key| key.number == number)
    }
}
