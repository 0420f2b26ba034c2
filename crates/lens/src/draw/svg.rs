//! A small writer of SVG.

use std::fmt::Write as _;

/// A picture that is being drawn.
pub(super) struct Svg {
    body: String,
}

/// Colours for light pages, and for dark ones.
const STYLE: &str = "\
text{font-family:system-ui,sans-serif;font-size:13px;fill:#1f2430}\
.soft{fill:#6b7280}.small{font-size:11px}.edge{stroke:#9aa3b2;fill:none}.grid{stroke:#d9dee7}\
.box{fill:#fff;stroke-width:2}.dashed{stroke-dasharray:5 3}\
.ok{fill:#1f9d61;stroke:#1f9d61}.bad{fill:#d13c3c;stroke:#d13c3c}.stop{fill:#d9822b;stroke:#d9822b}\
.skip{fill:#9aa3b2;stroke:#9aa3b2}.open{fill:#3572c6;stroke:#3572c6}.wait{fill:#9aa3b2;opacity:.35}\
.box.ok,.box.bad,.box.stop,.box.skip,.box.open{fill:#fff}text.ok,text.bad,text.stop,text.skip,text.open{stroke:none}\
@media (prefers-color-scheme:dark){text{fill:#e6e9ef}.soft{fill:#9aa3b2}.grid{stroke:#3a4150}\
.box.ok,.box.bad,.box.stop,.box.skip,.box.open{fill:#1b2029}\
text.ok{fill:#4cc48a}text.bad{fill:#f07178}text.stop{fill:#f0a65a}text.open{fill:#78a9f0}}";

/// Where a text is, from the point it is given.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(super) const fn new() -> Self {
        Self {
            body: String::new(),
        }
    }

    /// A text whose base line is at `y`.
    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        let _infallible = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        );
    }

    /// A rectangle that says `title` when it is pointed at.
    pub(super) fn rect(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        class: &str,
        title: &str,
    ) {
        let title = escaped(title);
        let _infallible = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="3" class="{class}"><title>{title}</title></rect>"#
        );
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _infallible = writeln!(
            self.body,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="{class}"/>"#
        );
    }

    /// A bent arrow from left to right.
    pub(super) fn arrow(&mut self, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let bend = ((x2 - x1) / 2.0).max(20.0);
        let (left, right) = (x1 + bend, x2 - bend);
        let _infallible = writeln!(
            self.body,
            r#"<path d="M{x1:.1} {y1:.1}C{left:.1} {y1:.1} {right:.1} {y2:.1} {x2:.1} {y2:.1}" class="edge" marker-end="url(#head)"/>"#
        );
    }

    /// The whole picture, called `title` for those who cannot see it.
    pub(super) fn finish(self, (width, height): (f64, f64), title: &str) -> String {
        let Self { body } = self;
        let title = escaped(title);
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" width="{width:.0}" height="{height:.0}" role="img">
<title>{title}</title>
<style>{STYLE}</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" class="skip"/></marker></defs>
{body}</svg>
"#
        )
    }
}

/// A text in which nothing is markup. What is not allowed in XML, or turns the direction of what follows, is shown as `�`.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
