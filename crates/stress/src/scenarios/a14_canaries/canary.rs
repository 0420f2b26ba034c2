//! Secrets that are easy to find again: each is one of a kind.

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;

/// A secret, and a text that has it in it, as one would come across it.
#[derive(Clone, Debug)]
pub(super) struct Canary {
    /// What must be found nowhere.
    pub(super) secret: String,
    /// What is planted.
    pub(super) text: String,
}

/// The shapes there are.
pub(super) const SHAPES: u32 = 25;

/// A canary of this shape. Those made of letters alone have a name beside them that says what they are.
pub(super) fn canary(shape: u32, rng: &mut ChaCha8Rng) -> Canary {
    let letters = word(rng, 12, b"abcdefghijklmnopqrstuvwxyz");
    let mixed = format!(
        "{}{}",
        word(rng, 6, b"abcdef"),
        word(rng, 10, b"0123456789abcdef0123456789")
    );
    let number = word(rng, 6, b"123456789");
    match shape % SHAPES {
        0 => bare(format!("canary-{number}")),
        1 => bare(format!("CANARY_{number}")),
        2 => bare(mixed),
        3 => bare(format!("sk-{letters}")),
        4 => bare(format!("ghp_{letters}{number}")),
        5 => bare(format!("AKIA{}", letters.to_uppercase())),
        6 => bare(format!("eyJ{letters}.{mixed}.{letters}")),
        7 => bare(card(rng)),
        8 => bare(format!("{number}42")),
        9 => bare(uuid(rng)),
        10 => bare(format!("{letters}.{number}")),
        11 => around(letters, |secret| format!("https://ada:{secret}@db/x")),
        12 => around(letters, |secret| format!("GET /x?api_key={secret}&page=2")),
        13 => around(letters, |secret| format!("password={secret}")),
        14 => around(letters, |secret| {
            format!("the db password: {secret}; again")
        }),
        15 => around(letters, |secret| format!("{{\"apiKey\":\"{secret}\"}}")),
        16 => around(letters, |secret| {
            format!("Login {{ user: \"ada\", secret: Some(\"{secret}\") }}")
        }),
        17 => around(letters, |secret| format!("sent Bearer {secret}")),
        18 => around(letters, |secret| format!("X-Api-Key: {secret}")),
        19 => around(letters, |secret| format!("Cookie: a=1; session={secret}")),
        20 => around(letters, |secret| {
            format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----")
        }),
        21 => around(mixed, |secret| format!("/srv/ada/{secret}/notes.md")),
        22 => around(letters, |secret| {
            format!("{{\\\"access_token\\\":\\\"{secret}\\\"}}")
        }),
        23 => around(letters, |secret| format!("authorization header: {secret}")),
        _ => around(letters, |secret| format!("Secret(\"{secret}\")")),
    }
}

fn bare(secret: String) -> Canary {
    Canary {
        text: secret.clone(),
        secret,
    }
}

fn around(secret: String, text: impl FnOnce(&str) -> String) -> Canary {
    Canary {
        text: text(&secret),
        secret,
    }
}

fn word(rng: &mut ChaCha8Rng, length: usize, of: &[u8]) -> String {
    let one = |_| char::from(of[rng.random_range(0..of.len())]);
    (0..length).map(one).collect()
}

/// Sixteen digits with the right check digit, in groups.
fn card(rng: &mut ChaCha8Rng) -> String {
    let mut digits = format!("4{}", word(rng, 14, b"0123456789"));
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0') * if place % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    digits.push(char::from_digit((10 - sum % 10) % 10, 10).unwrap_or('0'));
    let groups: Vec<_> = (0..4)
        .map(|group| &digits[4 * group..4 * group + 4])
        .collect();
    groups.join(" ")
}

fn uuid(rng: &mut ChaCha8Rng) -> String {
    let mut hex = |length| word(rng, length, b"0123456789abcdef");
    format!(
        "{}-{}-4{}-a{}-{}a1",
        hex(8),
        hex(4),
        hex(3),
        hex(3),
        hex(10)
    )
}
