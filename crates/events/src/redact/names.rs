//! Which names say that what stands under them is a secret.

use super::custom::Custom;

/// What a name says of the value under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    None,
    /// Whatever it is.
    Always,
    /// The whole line that follows, as a header has it.
    Line,
    /// Unless it is a small number: tokens are counted as well as kept secret.
    UnlessNumber,
    /// If it is a text that is assigned: `pass=abc`, but not `auth: failed`.
    Weak,
}

/// Longer names are no names.
pub(super) const LONGEST: usize = 128;

/// Each alone is enough.
const WORDS: &[&str] = &[
    "apikey",
    "bearer",
    "credential",
    "credentials",
    "cvc",
    "cvv",
    "iban",
    "jwt",
    "mnemonic",
    "otp",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "pwd",
    "secret",
    "sig",
    "ssn",
];

/// The same for what follows in headers, which has separators of its own.
const HEADERS: &[&str] = &["authorization", "cookie", "cookies", "setcookie"];

/// Enough at the end of a word, too: `dbpassword`.
const ENDS: &[&str] = &[
    "accesskey",
    "accountnumber",
    "apikey",
    "authkey",
    "cardnumber",
    "credentials",
    "creditcard",
    "encryptionkey",
    "masterkey",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "secretkey",
    "securitycode",
    "sessionkey",
    "sharedkey",
    "signingkey",
    "socialsecurity",
    "sshkey",
];

/// Beside `token` they say that tokens are counted.
const COUNTS: &[&str] = &[
    "budget",
    "cached",
    "completion",
    "count",
    "input",
    "left",
    "length",
    "limit",
    "max",
    "min",
    "num",
    "number",
    "output",
    "per",
    "prompt",
    "rate",
    "size",
    "total",
    "usage",
    "used",
];

/// The words of a name in lower case with `_` between them: `X-Api-Key`, `xApiKey` and `x api key` are `x_api_key`.
pub(super) fn folded(name: &str) -> String {
    let mut folded = String::with_capacity(name.len() + 8);
    let mut before = Kind::Other;
    let mut chars = name.chars().take(LONGEST).peekable();
    while let Some(c) = chars.next() {
        let kind = Kind::of(c);
        let ends_capitals = before == Kind::Upper
            && kind == Kind::Upper
            && chars
                .peek()
                .is_some_and(|next| Kind::of(*next) == Kind::Lower);
        let begins = match (before, kind) {
            (_, Kind::Other) => false,
            (Kind::Upper, Kind::Lower) => false,
            _ => before != kind || ends_capitals,
        };
        if begins && !folded.is_empty() {
            folded.push('_');
        }
        if kind != Kind::Other {
            folded.extend(c.to_lowercase());
        }
        before = kind;
    }
    folded
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Digit,
    Lower,
    Other,
    Upper,
}

impl Kind {
    fn of(c: char) -> Self {
        if c.is_uppercase() {
            Self::Upper
        } else if c.is_alphabetic() {
            Self::Lower
        } else if c.is_numeric() {
            Self::Digit
        } else {
            Self::Other
        }
    }
}

/// What a name says of the value under it.
pub(super) fn secrecy(name: &str, own: Option<&Custom>) -> Secrecy {
    let folded = folded(name);
    let mut words = folded.split('_').peekable();
    let mut found = Secrecy::None;
    let (mut tokens, mut counted) = (None, false);
    while let Some(word) = words.next() {
        let joined = words.peek().map(|next| format!("{word}{next}"));
        if is_one(word, HEADERS) || joined.as_deref() == Some("setcookie") {
            return Secrecy::Line;
        }
        if is_one(word, WORDS) || ends_so(word) || joined.as_deref().is_some_and(ends_so) {
            found = Secrecy::Always;
        }
        match word {
            "tokens" => tokens = Some(Secrecy::UnlessNumber),
            _ if word.ends_with("token") => tokens = Some(Secrecy::Always),
            "auth" | "pass" if found == Secrecy::None => found = Secrecy::Weak,
            _ => counted |= is_one(word, COUNTS),
        }
    }
    let tokens = match tokens {
        Some(_) if counted => Some(Secrecy::UnlessNumber),
        tokens => tokens,
    };
    match (found, tokens) {
        (Secrecy::None | Secrecy::Weak, Some(tokens)) => tokens,
        (Secrecy::None | Secrecy::Weak, None) if is_own(&folded, own) => Secrecy::Always,
        (found, _) => found,
    }
}

fn is_one(word: &str, of: &[&str]) -> bool {
    of.contains(&word)
}

fn ends_so(word: &str) -> bool {
    let one = word.strip_suffix('s').unwrap_or(word);
    ENDS.iter()
        .any(|end| word.ends_with(end) || one.ends_with(end))
}

fn is_own(folded: &str, own: Option<&Custom>) -> bool {
    own.is_some_and(|own| {
        own.fields.iter().any(|field| {
            let joined = || folded.replace('_', "") == field.replace('_', "");
            !field.is_empty() && (folded == field || joined())
        })
    })
}
