//! The scores as a page.

use std::fmt::Write as _;
use std::path::Path;

use crate::samples::Sample;
use crate::score::{CRITERIA, score};

const FRONT: &str = "\
# Error messages

Every error of the library, made the way a program would meet it, and scored by rules that look at its text and at
nothing else. `tests/rubric` has the rules and the errors; it finds out from the sources which errors there are, and
fails if one is not here, if one scores below 2 in anything, or if this page is not what it would write:

```sh
UPDATE_EXPECT=1 cargo test -p stageflow-tests --test rubric
```

| criterion | 0 | 1 | 2 | 3 |
|---|---|---|---|---|
| problem | nothing | a phrase | a sentence, or its subject in quotes | both |
| context | no name | some | half of: stage, pipeline, field, key | all |
| cause | nothing | the statement alone | a clause that says why | with the very value, or the cause's own text |
| fix | nothing | words that are no advice | an imperative, or a name that was meant | with the thing to use, or a choice |
| data | none | some | half of: expected, got, limit | all |
| page | no code | a code | with a page that says how to fix it | that has an example that runs |
| form | three oddities | two | one | as all others |
| no secrets | in the text or a cause | in `Debug` | none came near | one lay beside it, and is nowhere |

An oddity is another code than that of `code()`, a full stop at the end, a control character, more than 400 characters,
a capital in front, `Debug` output, the word \"Error:\", or an end that is not what `help()` gives.

";

pub(crate) fn page(samples: &[Sample], docs: &Path, below: &[(&str, &str)]) -> String {
    let mut page = FRONT.to_owned();
    let scores: Vec<[u8; 8]> = samples.iter().map(|sample| score(sample, docs)).collect();
    let _ = writeln!(page, "## Scores\n");
    let _ = writeln!(page, "| code | kind | {} |", CRITERIA.join(" | "));
    let _ = writeln!(page, "|---|---|{}", "---|".repeat(CRITERIA.len()));
    for (sample, points) in samples.iter().zip(&scores) {
        let points: Vec<String> = points.iter().map(u8::to_string).collect();
        let code = sample.code.unwrap_or("–");
        let _ = writeln!(
            page,
            "| {code} | `{}` | {} |",
            sample.kind,
            points.join(" | ")
        );
    }
    let means: Vec<String> = (0..CRITERIA.len())
        .map(|at| {
            let sum: u32 = scores.iter().map(|points| u32::from(points[at])).sum();
            format!("{:.2}", f64::from(sum) / scores.len() as f64)
        })
        .collect();
    let _ = writeln!(page, "| | **mean** | {} |", means.join(" | "));
    if !below.is_empty() {
        let _ = writeln!(page, "\nBelow 2, and known to be:\n");
        for (kind, criterion) in below {
            let _ = writeln!(page, "- `{kind}`: {criterion}");
        }
    }
    let _ = writeln!(page, "\n## Texts\n\n```text");
    for sample in samples {
        let _ = writeln!(page, "{}", sample.text);
    }
    page.push_str("```\n");
    page
}
