//! A stage reads what it declared, and nothing else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use stageflow::context::StageName;
use stageflow::graph::InputErrorKind;
use stageflow::prelude::*;
use stageflow_testkit::dag::Dags;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::{Flavour, Property, TestRuntime};

/// Tries to read every name there is, and some there are not.
struct Curious {
    names: Vec<String>,
    read: Arc<Mutex<Vec<Readable>>>,
}

/// A stage, and the names it could read.
type Readable = (String, BTreeSet<String>);

impl Stage for Curious {
    type Input = NamedInputs;
    type Output = Value;

    async fn run(&self, cx: StageCx, inputs: NamedInputs) -> Result<Value, Stop> {
        let mut readable = BTreeSet::new();
        for name in &self.names {
            match inputs.require(name) {
                Ok(value) => {
                    // Every value says whose it is.
                    assert_eq!(value, &json!(name));
                    readable.insert(name.clone());
                }
                Err(error) => {
                    assert_eq!(error.kind(), &InputErrorKind::Undeclared);
                    assert_eq!(error.stage(), cx.stage());
                    assert!(error.declared().iter().eq(inputs.names()));
                }
            }
        }
        self.read
            .lock()
            .unwrap()
            .push((cx.stage().to_string(), readable));
        Ok(json!(cx.stage().as_str()))
    }
}

#[test]
fn every_stage_can_read_exactly_what_it_declared() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    let cases = (Dags::up_to(15).placed_anywhere(), any::<u64>());
    Property::new("what was declared can be read, and nothing else")
        .cases(200)
        .holds_for(&cases, |(spec, order)| {
            let spec = spec.shuffled(order);
            let read = Arc::new(Mutex::new(Vec::new()));
            let mut names: Vec<String> = spec.stages.iter().map(|stage| stage.name()).collect();
            names.extend([String::new(), "input".to_owned(), "s1000".to_owned()]);
            let mut p = Pipeline::by_name("curious");
            for stage in &spec.stages {
                let curious = Curious {
                    names: names.clone(),
                    read: Arc::clone(&read),
                };
                let upstream = stage.upstream.iter().map(|up| spec.stages[*up].name());
                p.stage(stage.name(), curious)
                    .placement(stage.placement)
                    .after(upstream);
            }
            let pipeline = p.output(spec.stages[spec.output].name()).build().unwrap();
            let engine = Engine::new();
            let report = runtime.block_on(engine.run(&pipeline, json!(null), RunOptions::new()));
            prop_assert!(report.is_success(), "{:?}", report.errors());
            let read = std::mem::take(&mut *read.lock().unwrap());
            prop_assert_eq!(read.len(), spec.len());
            for (name, readable) in read {
                let stage = spec
                    .stages
                    .iter()
                    .find(|stage| stage.name() == name)
                    .unwrap();
                let declared: BTreeSet<String> = stage
                    .upstream
                    .iter()
                    .map(|up| spec.stages[*up].name())
                    .collect();
                prop_assert_eq!(readable, declared, "{}", name);
                prop_assert!(name.parse::<StageName>().is_ok());
            }
            Ok(())
        });
}
