//! The words of a text: identifiers, elisions and scripts without spaces are taken apart.

use unicode_segmentation::UnicodeSegmentation;

/// A word as it stands in a text.
#[derive(Clone, Debug)]
pub(crate) struct Word<'a> {
    pub(crate) surface: &'a str,
    pub(crate) position: u32,
    /// Lower case; for an identifier the whole of it first, then its parts.
    pub(crate) parts: Vec<String>,
}

impl Word<'_> {
    /// All of it, in lower case.
    pub(crate) fn whole(&self) -> &str {
        &self.parts[0]
    }
}

/// The words of a text by Unicode's rules, with identifiers, elisions and scripts without spaces taken apart.
pub(crate) fn words(text: &str) -> Vec<Word<'_>> {
    let mut found: Vec<Word<'_>> = Vec::new();
    let mut position = 0;
    let mut previous: Option<(usize, &str)> = None;
    for (at, surface) in text.unicode_word_indices() {
        if surface.chars().all(is_spaceless) {
            // Single signs mean little: neighbours are joined to pairs, as is usual for these scripts.
            let signs: Vec<char> = surface.chars().collect();
            let joined = previous
                .filter(|(end, _)| *end == at)
                .map(|(_, before)| before);
            let pair = joined
                .into_iter()
                .flat_map(str::chars)
                .chain(signs.iter().copied())
                .collect::<String>();
            if joined.is_some() || signs.len() > 1 {
                found.push(Word {
                    surface,
                    position,
                    parts: vec![pair],
                });
                position += 1;
            }
            let last = surface
                .char_indices()
                .next_back()
                .map_or(0, |(index, _)| index);
            previous = Some((at + surface.len(), &surface[last..]));
            continue;
        }
        previous = None;
        for surface in elisions(surface) {
            let parts = identifier_parts(surface);
            if !parts.is_empty() {
                found.push(Word {
                    surface,
                    position,
                    parts,
                });
                position += 1;
            }
        }
    }
    found
}

/// Scripts that write without spaces between words.
pub(crate) fn is_spaceless(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}')
}

/// `l'eau` is two words; `don't` and `reader's` are one, without the tail.
fn elisions(word: &str) -> Vec<&str> {
    let Some((before, after)) = word.split_once(['\'', '\u{2019}']) else {
        return vec![word];
    };
    if after.chars().count() <= 2 || before.is_empty() {
        return if before.is_empty() {
            vec![after]
        } else {
            vec![before]
        };
    }
    vec![before, after]
}

/// `with_run_id` and `ContextSnapshot` are found by their parts too.
fn identifier_parts(word: &str) -> Vec<String> {
    let whole = word.trim_matches('_').to_lowercase();
    let whole = match whole.strip_prefix('v') {
        Some(version) if version.starts_with(|c: char| c.is_ascii_digit()) => version.to_owned(),
        _ => whole,
    };
    if whole.is_empty() {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let is_number = !whole.chars().any(char::is_alphabetic);
    let pieces = word.split(|c| !is_number && matches!(c, '_' | '.' | ':'));
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        parts.extend(humps(piece).into_iter().map(str::to_lowercase));
    }
    if parts.len() <= 1 {
        return vec![whole];
    }
    parts.insert(0, whole);
    parts
}

fn humps(word: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    let mut cuts = vec![0];
    for window in 1..chars.len() {
        let (before, (at, here)) = (chars[window - 1].1, chars[window]);
        let next_is_lower = chars
            .get(window + 1)
            .is_some_and(|(_, next)| next.is_lowercase());
        let starts = here.is_uppercase()
            && (before.is_lowercase() || (before.is_uppercase() && next_is_lower));
        if starts {
            cuts.push(at);
        }
    }
    cuts.push(word.len());
    cuts.windows(2).map(|cut| &word[cut[0]..cut[1]]).collect()
}
