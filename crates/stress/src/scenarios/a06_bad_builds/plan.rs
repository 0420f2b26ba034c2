//! A wiring with things wrong in it, and the list of what they are.

use std::collections::BTreeMap;

use rand::{Rng, RngExt as _};
use serde_json::{Value, json};
use stageflow::context::{StageCx, Stop};
use stageflow::graph::{
    BuildError, NamedInputs, NamedPipeline, Pipeline, PipelineSpec, Problem, ProblemKind, Registry,
    stage_fn,
};

/// Names that cannot be one.
const BAD: [&str; 12] = [
    "",
    " ",
    "two words",
    "-dash",
    ".dot",
    "tab\there",
    "line\nbreak",
    "nul\0",
    "caf\u{e9}",
    "\u{202e}lufmrah",
    "a//b",
    "a/",
];

/// A problem: its code, and what it is about.
pub(super) type Fault = (&'static str, String);

/// A wiring by name, and everything that was done wrong in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) stages: Vec<Stage>,
    pub(super) output: Option<String>,
    /// Each with how often it has to be told.
    pub(super) faults: BTreeMap<Fault, usize>,
    /// What must be suggested.
    pub(super) meant: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) after: Vec<String>,
    pub(super) run: &'static str,
    pub(super) timeout: Option<u64>,
}

impl Plan {
    /// A sound one: every stage waits for some before it, and one of them twice, which is harmless.
    pub(super) fn sound(rng: &mut impl Rng) -> Self {
        let mut plan = Self::default();
        for at in 0..rng.random_range(2..=12_usize) {
            let name = |up: usize| format!("good{up}");
            let mut after: Vec<String> = (0..at)
                .filter(|_| rng.random_ratio(1, 3))
                .map(name)
                .collect();
            after.extend(after.first().cloned());
            plan.add(&name(at), after);
        }
        plan.output = Some("good0".to_owned());
        plan
    }

    /// Does up to so many things wrong; `spec` if it is to be built from data, where more can be wrong.
    pub(super) fn spoil(&mut self, rng: &mut impl Rng, times: usize, spec: bool) {
        let kinds = if spec { 9 } else { 7 };
        for number in 0..times {
            match rng.random_range(0..kinds) {
                0 => self.bad_name(rng),
                1 => self.twice(number),
                2 => self.unknown(number),
                3 => self.itself(number),
                4 => self.circle(rng, number),
                5 => self.no_time(number),
                6 => self.no_output(),
                7 => self.no_runner(number),
                _ => self.settings(number),
            }
        }
    }

    /// Does everything wrong that can be.
    pub(super) fn spoil_all(&mut self, rng: &mut impl Rng) {
        self.bad_name(rng);
        self.twice(0);
        self.unknown(1);
        self.itself(2);
        self.circle(rng, 3);
        self.no_time(4);
        self.no_output();
        self.no_runner(5);
        self.settings(6);
    }

    fn add(&mut self, name: &str, after: Vec<String>) -> &mut Stage {
        let place = self.stages.len();
        self.stages.push(Stage {
            name: name.to_owned(),
            after,
            run: "nothing",
            timeout: None,
        });
        &mut self.stages[place]
    }

    fn fault(&mut self, code: &'static str, subject: impl Into<String>) {
        *self.faults.entry((code, subject.into())).or_default() += 1;
    }

    fn bad_name(&mut self, rng: &mut impl Rng) {
        let long = "x".repeat(100_000);
        let name = match rng.random_range(0..=BAD.len()) {
            at if at < BAD.len() => BAD[at],
            _ => &long,
        };
        self.add(name, Vec::new());
        // Of a name that is too long only the beginning is told.
        self.fault("SF0102", name.chars().take(8).collect::<String>());
    }

    fn twice(&mut self, number: usize) {
        let name = format!("twin{number}");
        for _ in 0..2 {
            self.add(&name, Vec::new());
        }
        self.fault("SF0103", name);
    }

    fn unknown(&mut self, number: usize) {
        let meant = format!("reranked-documents-{number}");
        let wrong = format!("rerankd-documents-{number}");
        self.add(&meant, Vec::new());
        self.add(&format!("lost{number}"), vec![wrong.clone()]);
        self.fault("SF0104", wrong);
        self.meant.push(meant);
    }

    fn itself(&mut self, number: usize) {
        let name = format!("narcissus{number}");
        self.add(&name, vec![name.clone()]);
        self.fault("SF0107", name);
    }

    fn circle(&mut self, rng: &mut impl Rng, number: usize) {
        let count = rng.random_range(2..=4_usize);
        let name = |at: usize| format!("ring{number}.{at}");
        for at in 0..count {
            self.add(&name(at), vec![name((at + 1) % count)]);
        }
        self.fault("SF0105", name(0));
    }

    fn no_time(&mut self, number: usize) {
        let name = format!("hurry{number}");
        self.add(&name, Vec::new()).timeout = Some(0);
        self.fault("SF0112", name);
    }

    fn no_output(&mut self) {
        if self.output.as_deref() == Some("good0") {
            self.output = Some("goood0".to_owned());
            self.meant.push("good0".to_owned());
            self.fault("SF0109", "goood0");
        }
    }

    fn no_runner(&mut self, number: usize) {
        let name = format!("idle{number}");
        self.add(&name, Vec::new()).run = "nothin";
        self.fault("SF0110", name);
    }

    fn settings(&mut self, number: usize) {
        let name = format!("picky{number}");
        self.add(&name, Vec::new()).run = "picky";
        self.fault("SF0111", name);
    }

    /// Through the front door by name.
    pub(super) fn by_name(&self) -> Result<NamedPipeline, BuildError> {
        let mut p = Pipeline::by_name("spoilt");
        for stage in &self.stages {
            let mut declared = p.stage(&stage.name, nothing());
            if let Some(limit) = stage.timeout {
                declared = declared.timeout(std::time::Duration::from_millis(limit));
            }
            declared.after(&stage.after);
        }
        if let Some(output) = &self.output {
            p.output(output);
        }
        p.build()
    }

    /// From data.
    pub(super) fn by_data(&self) -> Result<NamedPipeline, BuildError> {
        let stages: Vec<Value> = self.stages.iter().map(Stage::data).collect();
        let data = json!({ "name": "spoilt", "stages": stages, "output": self.output });
        let mut registry = Registry::new();
        registry.add("nothing", |_: &Value| Ok(nothing()));
        registry.add("picky", |with: &Value| {
            let told = with
                .as_str()
                .ok_or("it has to be told something")?
                .to_owned();
            Ok(stage_fn(move |_cx: StageCx, _: NamedInputs| {
                let told = told.clone();
                async move { Ok::<_, Stop>(Value::String(told)) }
            }))
        });
        let spec: PipelineSpec = serde_json::from_value(data)
            .unwrap_or_else(|error| panic!("the data of a wiring can be read: {error}"));
        spec.build(&registry)
    }
}

impl Stage {
    fn data(&self) -> Value {
        let mut data = json!({ "name": self.name, "run": self.run, "after": self.after });
        if let Some(limit) = self.timeout {
            data["timeout_ms"] = json!(limit);
        }
        data
    }
}

pub(super) fn nothing() -> impl stageflow::graph::Stage<Input = NamedInputs, Output = Value> {
    stage_fn(async |_cx: StageCx, _: NamedInputs| Ok(Value::Null))
}

/// What a problem is about, in the words of [`Plan::spoil`].
pub(super) fn fault(problem: &Problem) -> Fault {
    let subject = match problem.kind() {
        ProblemKind::BadName(error) => error.name().chars().take(8).collect(),
        ProblemKind::Cycle { path } => path.first().map(ToString::to_string).unwrap_or_default(),
        ProblemKind::DuplicateName(name)
        | ProblemKind::SelfDependency(name)
        | ProblemKind::ZeroTimeout(name) => name.to_string(),
        ProblemKind::UnknownOutput { name, .. } => name.clone(),
        ProblemKind::UnknownUpstream { upstream, .. } => upstream.clone(),
        ProblemKind::BadSettings { stage, .. } | ProblemKind::UnknownRunner { stage, .. } => {
            stage.to_string()
        }
        other => format!("{other:?}"),
    };
    (problem.code(), subject)
}
