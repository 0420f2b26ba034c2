//! What serde says of a value, without the value.

/// What is wrong with a value that could not be read. serde quotes the value itself; it may be a secret, and errors reach
/// reports and events, so only what was expected and what kind of thing was found are kept, besides short
/// numbers and misspelt names.
///
/// ```
/// use stageflow_context::mismatch;
///
/// let error = serde_json::from_str::<u64>(r#""sk-live-5f2b""#).unwrap_err();
/// assert!(error.to_string().contains("sk-live-5f2b"));
/// assert_eq!(mismatch(&error), "invalid type: string, expected u64 at line 1 column 14");
/// ```
#[must_use]
pub fn mismatch(error: &serde_json::Error) -> String {
    without_value(&error.to_string())
}

/// The forms are those of `serde::de::Error`'s constructors: `invalid type: string "..", expected ..` and the like.
fn without_value(said: &str) -> String {
    const KINDS: [&str; 2] = ["invalid type: ", "invalid value: "];
    const NAMES: [&str; 2] = ["unknown variant ", "unknown field "];

    let Some(expected) = said
        .rfind(", expected ")
        .or_else(|| said.rfind(", there are no "))
    else {
        return said.to_owned();
    };
    let (found, expected) = said.split_at(expected);
    if let Some(kind) = KINDS.iter().find(|kind| found.starts_with(**kind)) {
        let value = &found[kind.len()..];
        if is_harmless(value) {
            return said.to_owned();
        }
        let name = value.split(['"', '`']).next().unwrap_or_default();
        return format!("{kind}{}{expected}", name.trim_end());
    }
    match NAMES.iter().find(|name| found.starts_with(**name)) {
        Some(name) if !is_word(&found[name.len()..]) => {
            format!("{}{expected}", name.trim_end())
        }
        _ => said.to_owned(),
    }
}

/// A name that could stand in a type's declaration: a misspelt one is worth showing, and no key or token looks like that.
fn is_word(quoted: &str) -> bool {
    const LONGEST: usize = 24;

    let word = quoted.trim_matches('`');
    word.len() <= LONGEST && word.chars().all(|c| c.is_ascii_alphabetic() || c == '_')
}

/// A truth value, or a number too short to be anybody's.
fn is_harmless(value: &str) -> bool {
    const LONGEST: usize = 6;

    match value.split_once(" `") {
        Some(("boolean", _)) => true,
        Some(("integer" | "floating point", digits)) => {
            digits.chars().filter(char::is_ascii_digit).count() <= LONGEST
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[expect(dead_code, reason = "only read from text")]
        a: u8,
    }

    #[derive(Debug, Deserialize)]
    enum Choice {
        One,
        Two,
    }

    fn said<T: for<'de> Deserialize<'de>>(text: &str) -> String {
        match serde_json::from_str::<T>(text) {
            Ok(_) => "it was read".to_owned(),
            Err(error) => mismatch(&error),
        }
    }

    #[test]
    fn a_value_is_never_quoted() {
        assert!(matches!(
            (Choice::One, Choice::Two),
            (Choice::One, Choice::Two)
        ));
        let secret = r#""SECRET, expected `SECRET`""#;
        let cases = [
            said::<u64>(secret),
            said::<bool>(secret),
            said::<Choice>(secret),
            said::<Choice>(r#"{"SECRET-1": 1}"#),
            said::<Strict>(r#"{"SECRET-1": 1}"#),
            said::<Vec<u8>>(secret),
            said::<u64>("4111111111111111.5"),
            said::<char>(secret),
        ];
        for case in cases {
            assert!(!case.contains("SECRET") && !case.contains("4111"), "{case}");
            assert!(case.contains("expected"), "{case}");
        }
    }

    #[test]
    fn a_short_number_helps_and_harms_nobody() {
        assert_eq!(
            said::<u8>("-1"),
            "invalid value: integer `-1`, expected u8 at line 1 column 2"
        );
        assert_eq!(
            said::<String>("4111111111111111"),
            "invalid type: integer, expected a string at line 1 column 16"
        );
    }

    #[test]
    fn a_misspelt_name_is_shown() {
        assert_eq!(
            said::<Choice>(r#""Tow""#),
            "unknown variant `Tow`, expected `One` or `Two` at line 1 column 5"
        );
    }

    #[test]
    fn what_is_no_value_stays() {
        assert_eq!(said::<Strict>("{}"), "missing field `a` at line 1 column 2");
    }
}
