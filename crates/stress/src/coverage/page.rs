//! The tables as a page.

use std::fmt::{self, Write as _};

use super::{Otherwise, by_mode, by_target, hooks, modes, others, targets};
use crate::{Registry, Scenario};

const FRONT: &str = "\
# Coverage

What the stress suite is to cover, and what covers it. This page is written by the suite itself:

```sh
UPDATE_EXPECT=1 cargo test -p stageflow-stress --test coverage
```

*Tried* means that a scenario that can be run names it; [playbook.md](playbook.md) says what it proves of it. Scenarios
in parentheses cannot be run yet, and what they need is [at the end](#scenarios-that-cannot-be-run-yet). *In part* means
that something is missing all the same, *elsewhere* that something else than the suite checks it, *pending* that nothing
does. Pending is never passed.
";

const MODES: &str = "\
\n## Failure modes

The analysis that this suite answers speaks of 68 failure modes in six domains, and their list was never published. What
follows is this project's own reconstruction: the domains and the count are the analysis's, every line is ours.
";

const HOOKS: &str = "\
\n## Targets of libraries and deployments

A guard's accuracy, a cluster's failover or a regulator's rules are no properties of this framework. Where it can help
to meet them, this is how. The other targets of this kind, 181 of them, ask nothing of a framework.
";

/// The coverage of these scenarios in Markdown: `docs/stress/coverage.md` is that of the built-in ones.
#[must_use]
pub fn page(registry: &Registry) -> String {
    let mut page = FRONT.to_owned();
    // Writing to a `String` cannot fail.
    let _ = write_all(&mut page, registry);
    page
}

fn write_all(page: &mut String, registry: &Registry) -> fmt::Result {
    write_targets(page, registry)?;
    page.push_str(MODES);
    write_modes(page, registry)?;
    page.push_str(HOOKS);
    page.push_str("\n| target | what is offered | state | scenarios |\n|---|---|---|---|\n");
    for hook in hooks() {
        let scenarios = by_target(registry, hook.id);
        let named = names(&scenarios);
        writeln!(
            page,
            "| {} | {} | {} | {named} |",
            hook.id, hook.hook, hook.state
        )?;
    }
    for id in others() {
        let scenarios = by_target(registry, id);
        if !scenarios.is_empty() {
            writeln!(page, "| {id} | – | – | {} |", names(&scenarios))?;
        }
    }
    page.push_str("\n## Scenarios that cannot be run yet\n\n");
    page.push_str("| scenario | is to prove | needs |\n|---|---|---|\n");
    for scenario in registry.iter() {
        if let Some(needs) = scenario.needs() {
            writeln!(
                page,
                "| {} | {} | {needs} |",
                scenario.id,
                or_dash(scenario.proves)
            )?;
        }
    }
    Ok(())
}

fn write_targets(page: &mut String, registry: &Registry) -> fmt::Result {
    let rows: Vec<_> = targets()
        .into_iter()
        .map(|target| {
            let scenarios = by_target(registry, target.id);
            let state = State::of(&scenarios, target.otherwise);
            (target, scenarios, state)
        })
        .collect();
    page.push_str("\n## Targets of the framework\n\n");
    let states: Vec<State> = rows.iter().map(|(_, _, state)| *state).collect();
    write_summary(page, "targets", &states)?;
    page.push_str("\n| target | what it is about | priority, risk | state | scenarios | why not, or what is missing |\n");
    page.push_str("|---|---|---|---|---|---|\n");
    for (target, scenarios, state) in rows {
        writeln!(
            page,
            "| {} | {} | {}, {} | {} | {} | {} |",
            target.id,
            target.about,
            target.priority,
            target.risk,
            state.text(),
            names(&scenarios),
            reason(state, &scenarios, target.otherwise),
        )?;
    }
    Ok(())
}

fn write_modes(page: &mut String, registry: &Registry) -> fmt::Result {
    let rows: Vec<_> = modes()
        .into_iter()
        .map(|mode| {
            let scenarios = by_mode(registry, mode.id);
            let state = State::of(&scenarios, mode.otherwise);
            (mode, scenarios, state)
        })
        .collect();
    page.push('\n');
    let states: Vec<State> = rows.iter().map(|(_, _, state)| *state).collect();
    write_summary(page, "failure modes", &states)?;
    for (letter, domain) in DOMAINS {
        write!(page, "\n### {domain}\n\n")?;
        page.push_str(
            "| mode | what happens | state | scenarios | why not, or what is missing |\n",
        );
        page.push_str("|---|---|---|---|---|\n");
        for (mode, scenarios, state) in rows
            .iter()
            .filter(|(mode, _, _)| mode.id.starts_with(letter))
        {
            writeln!(
                page,
                "| {} | {} | {} | {} | {} |",
                mode.id,
                mode.about,
                state.text(),
                names(scenarios),
                reason(*state, scenarios, mode.otherwise),
            )?;
        }
    }
    Ok(())
}

const DOMAINS: [(char, &str); 6] = [
    ('C', "Context and data"),
    ('D', "Dependency resolution"),
    ('E', "Events and observability"),
    ('I', "Interceptors"),
    ('R', "Resilience"),
    ('T', "Tenants"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Tried,
    /// A scenario tries it, and something is missing: another scenario, or what the table says.
    Partly,
    Elsewhere,
    Pending,
}

impl State {
    fn of(scenarios: &[&Scenario], otherwise: Otherwise) -> Self {
        let ready = scenarios
            .iter()
            .filter(|scenario| scenario.needs().is_none())
            .count();
        let is_whole = ready == scenarios.len() && !matches!(otherwise, Otherwise::Needs(_));
        if ready > 0 && is_whole {
            Self::Tried
        } else if ready > 0 {
            Self::Partly
        } else if matches!(otherwise, Otherwise::Elsewhere(_)) {
            Self::Elsewhere
        } else {
            Self::Pending
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Tried => "tried",
            Self::Partly => "in part",
            Self::Elsewhere => "elsewhere",
            Self::Pending => "**pending**",
        }
    }
}

fn write_summary(page: &mut String, what: &str, states: &[State]) -> fmt::Result {
    let count = |state| states.iter().filter(|of| **of == state).count();
    writeln!(
        page,
        "{} {what}: {} tried, {} in part, {} elsewhere, {} pending.",
        states.len(),
        count(State::Tried),
        count(State::Partly),
        count(State::Elsewhere),
        count(State::Pending)
    )
}

/// Those that can be run, then the others in parentheses.
fn names(scenarios: &[&Scenario]) -> String {
    let ready = scenarios
        .iter()
        .filter(|scenario| scenario.needs().is_none())
        .map(|scenario| scenario.id.to_owned());
    let pending = scenarios
        .iter()
        .filter(|scenario| scenario.needs().is_some())
        .map(|scenario| format!("({})", scenario.id));
    let names: Vec<String> = ready.chain(pending).collect();
    or_dash(&names.join(", ")).to_owned()
}

fn reason(state: State, scenarios: &[&Scenario], otherwise: Otherwise) -> String {
    match (state, otherwise) {
        (State::Tried, _) => "–".to_owned(),
        (State::Elsewhere, Otherwise::Elsewhere(place)) => place.to_owned(),
        (_, Otherwise::Needs(what)) => format!("needs {what}"),
        (_, _) => scenarios
            .iter()
            .find_map(|scenario| scenario.needs())
            .map_or_else(|| "–".to_owned(), |needs| format!("needs {needs}")),
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}
