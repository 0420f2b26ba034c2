//! Style rules that no compiler lint covers, over every tracked text file.

mod length;
mod private;
mod text;

use std::path::Path;

use crate::files;

/// Every broken rule, as `file:line: what`.
pub(crate) fn problems(root: &Path) -> anyhow::Result<Vec<String>> {
    let sources = files::sources(root)?;
    let allowed = length::Allowed::parse(include_str!("../../tidy-allow.txt"));
    let mut problems = length::problems(&sources, &allowed);
    for source in &sources {
        problems.extend(text::problems(source));
        problems.extend(private::problems(source));
    }
    Ok(problems)
}
