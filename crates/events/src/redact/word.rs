//! Words that look like a secret: the net below the other rules.

use super::custom::Net;
use super::harmless::is_harmless;

/// How much a word has to look like a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// In a text for people, where words are made of letters.
    Prose,
    /// In a name, which may have numbers in it: of a model, of a tool, of a part of a stage.
    Name,
}

/// What keys of well-known services begin with, and how much has to follow.
const BEGINNINGS: &[&str] = &[
    "AIza",
    "AKIA",
    "ASIA",
    "SG.",
    "dop_v1_",
    "eyJ",
    "gho_",
    "ghp_",
    "ghr_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "hf_",
    "npm_",
    "pk_",
    "pypi-",
    "rk_",
    "sk-",
    "sk_",
    "shpat_",
    "whsec_",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "xoxr-",
    "xoxs-",
    "ya29.",
];
const AFTER_BEGINNING: usize = 8;

/// Whether a word looks like a secret. `rest` is what follows it.
pub(super) fn is_suspicious(word: &str, rest: &str, strictness: Strictness, net: Net) -> bool {
    let begins = |beginning: &&str| {
        word.strip_prefix(*beginning)
            .is_some_and(|rest| rest.len() >= AFTER_BEGINNING)
    };
    if BEGINNINGS.iter().any(begins) {
        return true;
    }
    net == Net::On
        && match strictness {
            Strictness::Prose => Looks::of(word).odd_in_prose(word) && !is_harmless(word, rest),
            Strictness::Name => is_odd_name(word) && !is_harmless(word, rest),
        }
}

fn is_odd_name(word: &str) -> bool {
    word.split(['-', '_', '.']).any(|piece| {
        let looks = Looks::of(piece);
        (looks.count >= 12 && looks.letters > 0 && looks.digits > 0)
            || looks.digits >= 9
            || is_gibberish(piece)
    })
}

/// What a word is made of.
#[derive(Default)]
struct Looks {
    count: usize,
    letters: usize,
    digits: usize,
}

impl Looks {
    fn of(word: &str) -> Self {
        let mut looks = Self::default();
        for c in word.chars() {
            looks.count += 1;
            looks.letters += usize::from(c.is_alphabetic());
            looks.digits += usize::from(c.is_numeric());
        }
        looks
    }

    fn odd_in_prose(&self, word: &str) -> bool {
        (self.count >= 6 && self.letters > 0 && self.digits > 0)
            || self.digits >= 8
            || word.split(|c: char| !c.is_alphabetic()).any(is_gibberish)
    }
}

/// Whether twenty Latin letters or more are no words: hardly a vowel, a long run without one, or capitals all over.
fn is_gibberish(letters: &str) -> bool {
    const SHORTEST: usize = 20;
    if letters.len() < SHORTEST || !letters.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return false;
    }
    let (mut vowels, mut run, mut longest, mut humps) = (0, 0, 0, 0);
    let mut before = b'A';
    for byte in letters.bytes() {
        if b"aeiouyAEIOUY".contains(&byte) {
            vowels += 1;
            run = 0;
        } else {
            run += 1;
            longest = longest.max(run);
        }
        humps += usize::from(before.is_ascii_lowercase() && byte.is_ascii_uppercase());
        before = byte;
    }
    vowels * 5 < letters.len() || longest > 7 || humps * 4 > letters.len()
}
