//! A text that grows.

use std::fmt::Write as _;

/// Text for a file.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

impl Page {
    /// Adds a text as it is.
    pub(crate) fn add(&mut self, text: impl AsRef<str>) {
        self.0.push_str(text.as_ref());
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.add(text);
        self.0.push('\n');
    }

    /// Adds the rows of a Markdown table.
    pub(crate) fn table(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        self.line(format!("| {} |", head.join(" | ")));
        self.line(format!("|{}", "---|".repeat(head.len())));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| cell_text(cell)).collect();
            self.line(format!("| {} |", cells.join(" | ")));
        }
        self.line("");
    }

    /// The text.
    pub(crate) fn done(self) -> String {
        self.0
    }
}

/// What a Markdown cell may hold: one line, no bars, no tags.
pub(crate) fn cell_text(text: &str) -> String {
    text.replace('|', "\\|")
        .replace(['\n', '\r'], " ")
        .replace('<', "&lt;")
}

/// A text as HTML shows it, in elements and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Invisible, and able to turn the rest of the line round.
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
                let _infallible = write!(out, "\\u{{{:X}}}", c as u32);
            }
            c if c.is_control() && c != '\n' && c != '\t' => {
                let _infallible = write!(out, "\\u{{{:X}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_an_element_or_an_attribute() {
        assert_eq!(
            escape("<script>alert(\"1\" & '2')</script>\u{202E}\0"),
            "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;\\u{202E}\\u{0}"
        );
    }

    #[test]
    fn a_cell_stays_a_cell() {
        assert_eq!(cell_text("a|b\nc<d"), "a\\|b c&lt;d");
    }
}
