//! Finds the string literals of Rust source, and nothing that merely looks like one.
//!
//! Error codes stand in doc comments too, as examples; only a literal can reach a user. A full parser would be a large
//! dependency for this one question.

/// The contents of every string literal, escapes left as written, without those of a trailing `mod tests`.
pub(crate) fn string_literals(source: &str) -> Vec<&str> {
    let mut literals = Vec::new();
    let mut rest = without_tests(source);
    while let Some(c) = rest.chars().next() {
        rest = if rest.starts_with("//") {
            after(rest, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            after(rest, block_comment(rest))
        } else if let Some(hashes) = raw_string(rest) {
            // `r`, the hashes and the quote.
            let body = after(rest, hashes + 2);
            let end = format!("\"{}", "#".repeat(hashes));
            let length = body.find(&end).unwrap_or(body.len());
            literals.push(&body[..length]);
            after(body, length + end.len())
        } else if c == '"' {
            let body = after(rest, 1);
            let length = closing_quote(body);
            literals.push(&body[..length]);
            after(body, length + 1)
        } else if c == '\'' {
            after(rest, character(rest))
        } else if c.is_alphanumeric() || c == '_' {
            // A whole word at once, so that the `r` of `for"` is not taken for a raw string's.
            after(rest, word(rest))
        } else {
            after(rest, c.len_utf8())
        };
    }
    literals
}

/// By convention the unit tests are the last thing in a file, and what they spell is not shown to users.
fn without_tests(source: &str) -> &str {
    source
        .find("\n#[cfg(test)]\nmod tests {")
        .map_or(source, |end| &source[..end])
}

fn after(text: &str, bytes: usize) -> &str {
    text.get(bytes..).unwrap_or("")
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, _) in text.char_indices() {
        if text[at..].starts_with("/*") {
            depth += 1;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    text.len()
}

/// The number of hashes, if a raw string starts here.
fn raw_string(text: &str) -> Option<usize> {
    let after_r = text.strip_prefix('r')?;
    let hashes = after_r.len() - after_r.trim_start_matches('#').len();
    after_r[hashes..].starts_with('"').then_some(hashes)
}

fn closing_quote(body: &str) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    body.len()
}

/// The length of a character literal, or of the quote alone when it starts a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            // Past the escaped character, which may itself be a quote.
            chars.next();
            chars
                .find(|(_, c)| *c == '\'')
                .map_or(text.len(), |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// The length of an identifier or keyword; the prefix of a raw or byte string is left to its quote.
fn word(text: &str) -> usize {
    let length = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let is_prefix = matches!(&text[..length], "br" | "cr") && raw_string(&text[1..]).is_some();
    if is_prefix { 1 } else { length }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_raw_and_byte_strings_are_found() {
        let source = r####"f("a", r"b\", r#"c " "#, b"d", br#"e"#, "");"####;
        assert_eq!(string_literals(source), ["a", r"b\", "c \" ", "d", "e", ""]);
    }

    #[test]
    fn comments_are_not_literals() {
        let source = "/// \"no\"\n// \"no\"\n/* \"no\" /* \"no\" */ \"no\" */ let x = \"yes\";";
        assert_eq!(string_literals(source), ["yes"]);
    }

    #[test]
    fn quotes_of_characters_and_lifetimes_open_nothing() {
        let source = r#"fn f<'a>(c: &'a str) { g('"', '\'', '\\', '\u{22}', "yes") }"#;
        assert_eq!(string_literals(source), ["yes"]);
    }

    #[test]
    fn an_escaped_quote_does_not_end_a_string() {
        assert_eq!(string_literals(r#"("a\"b", "c\\")"#), [r#"a\"b"#, r"c\\"]);
    }

    #[test]
    fn a_word_that_ends_in_r_is_no_prefix() {
        assert_eq!(string_literals(r#"for"a#""#), ["a#"]);
    }

    #[test]
    fn the_unit_tests_at_the_end_are_left_out() {
        let source =
            "let x = \"yes\";\n\n#[cfg(test)]\nmod tests {\n    const X: &str = \"no\";\n}\n";
        assert_eq!(string_literals(source), ["yes"]);
    }
}
