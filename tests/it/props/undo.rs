//! On random graphs: exactly what had succeeded is undone, in the reverse of the order in which it did.

use std::future::ready;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use stageflow::events::{EventRecord, UndoPlan};
use stageflow::prelude::*;
use stageflow_testkit::{Property, paused, script};

use crate::support::{Lab, Log, texts};

/// One stage: how long it takes, which of the stages before it it waits for, and whether it can be undone.
#[derive(Clone, Debug)]
struct Node {
    millis: u32,
    after: u16,
    has_undo: bool,
}

#[derive(Clone, Debug)]
struct Case {
    nodes: Vec<Node>,
    /// Which one fails, if one does; else the last one hangs, and the run has a deadline.
    fails: Option<prop::sample::Index>,
    deadline: u32,
}

fn cases() -> impl Strategy<Value = Case> {
    let node = (1..2_000_u32, any::<u16>(), prop::bool::weighted(0.8));
    let node = node.prop_map(|(millis, after, has_undo)| Node {
        millis,
        after,
        has_undo,
    });
    let nodes = prop::collection::vec(node, 1..16);
    let fails = prop::option::weighted(0.8, any::<prop::sample::Index>());
    (nodes, fails, 1..4_000_u32).prop_map(|(nodes, fails, deadline)| Case {
        nodes,
        fails,
        deadline,
    })
}

impl Case {
    fn upstream(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        (0..node).filter(move |up| self.nodes[node].after & (1 << up) != 0)
    }

    fn failing(&self) -> Option<usize> {
        Some(self.fails.as_ref()?.index(self.nodes.len()))
    }

    /// When each stage ends, in milliseconds, if nothing stops it.
    fn ends(&self) -> Vec<u32> {
        let mut ends: Vec<u32> = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let ready = self.upstream(index).map(|up| ends[up]).max().unwrap_or(0);
            ends.push(ready + node.millis);
        }
        ends
    }

    /// What is to be undone, and in which order; `None` where two things happen at the same moment.
    fn expected(&self) -> Option<Vec<String>> {
        let ends = self.ends();
        let failing = self.failing();
        let failure = failing.map_or(u32::MAX, |failing| ends[failing]);
        let stop = failure.min(self.deadline);
        let mut all: Vec<u32> = ends.clone();
        all.push(self.deadline);
        all.sort_unstable();
        if all.windows(2).any(|two| two[0] == two[1]) {
            return None;
        }
        let done = |node: &usize| ends[*node] < stop && self.nodes[*node].has_undo;
        let mut done: Vec<usize> = (0..self.nodes.len()).filter(done).collect();
        done.sort_by_key(|node| std::cmp::Reverse(ends[*node]));
        Some(done.into_iter().map(|node| format!("s{node}")).collect())
    }

    fn pipeline(&self, log: &Log) -> Pipeline<u64, u64> {
        let mut p = Pipeline::builder("random");
        let input = p.input::<u64>();
        let mut handles = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let mut upstream = vec![input];
            upstream.extend(self.upstream(index).map(|up| handles[up]));
            let takes = node.millis.millis();
            let stage = if self.failing() == Some(index) {
                script::fail::<Vec<Arc<u64>>, u64>("no").taking(takes)
            } else {
                script::ok(index as u64).taking(takes)
            };
            let stage = p.stage(format!("s{index}"), stage);
            let log = log.clone();
            let handle = if node.has_undo {
                let undo = move |cx: UndoCx, given: Given<u64>| {
                    assert_eq!(cx.stage().as_str(), format!("s{}", *given));
                    log.write(cx.stage().as_str());
                    ready(Ok(()))
                };
                stage.undo(undo).after(upstream)
            } else {
                stage.after(upstream)
            };
            handles.push(handle);
        }
        let end = p
            .stage("end", script::hang::<Vec<Arc<u64>>, u64>())
            .after(handles);
        p.output(end).build().unwrap()
    }

    fn holds(&self) -> TestCaseResult {
        let Some(expected) = self.expected() else {
            return Err(TestCaseError::reject("two things at the same moment"));
        };
        paused(async {
            let (lab, log) = (Lab::new(), Log::default());
            let pipeline = self.pipeline(&log);
            let options = RunOptions::new().deadline(self.deadline.millis());
            let report = lab.engine.run(&pipeline, 0, options).await;
            prop_assert_eq!(log.lines(), expected.clone());
            let reported = report.undos().iter();
            let reported = reported.map(|undo| report.stage_at(undo.stage).unwrap().name());
            prop_assert_eq!(texts(reported), expected);
            lab.sink.assert_sound(pipeline.plan());
            let records: Vec<_> = lab.sink.all();
            let records: Vec<_> = records
                .iter()
                .map(|said| EventRecord::new(&said.run, &said.event))
                .collect();
            let rebuilt = UndoPlan::from_records(&report.id().to_string(), &records);
            let rebuilt = rebuilt.map_err(|error| TestCaseError::fail(error.to_string()))?;
            match report.undo_plan() {
                Some(plan) => prop_assert_eq!(rebuilt, plan),
                None => prop_assert!(rebuilt.steps.is_empty()),
            }
            Ok(())
        })
    }
}

#[test]
fn exactly_what_had_succeeded_is_undone_backwards() {
    Property::new("exactly_what_had_succeeded_is_undone_backwards")
        .cases(300)
        .holds_for(&cases(), |case| case.holds());
}
