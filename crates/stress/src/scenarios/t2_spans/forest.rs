//! The spans of one correlation id, put together from its records alone.

use std::collections::BTreeMap;

use serde_json::Value;

/// One span, as far as the records tell.
#[derive(Debug)]
struct Span<'a> {
    parent: Option<&'a str>,
    run: &'a str,
    opened: u64,
    closed: Option<u64>,
    /// Whether it is that of a stage, which no record opens or closes by itself.
    of_stage: bool,
}

/// The spans, and what is wrong with them: the law, and the record or the span.
#[derive(Debug, Default)]
pub(in crate::scenarios) struct Forest<'a> {
    spans: BTreeMap<&'a str, Span<'a>>,
    runs: BTreeMap<&'a str, &'a str>,
    pub(in crate::scenarios) wrong: Vec<(&'static str, String)>,
    pub(in crate::scenarios) unclosed: u64,
    pub(in crate::scenarios) orphans: u64,
}

pub(in crate::scenarios) fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_default()
}

impl<'a> Forest<'a> {
    /// From the records of one correlation id, each run's in their order. Nothing that a run says comes after its span has
    /// closed, unless `may_be_late`.
    pub(in crate::scenarios) fn of(records: &[&'a Value], may_be_late: bool) -> Self {
        let mut forest = Self::default();
        for record in records {
            forest.read(record, may_be_late);
        }
        forest
    }

    fn read(&mut self, record: &'a Value, may_be_late: bool) {
        let (kind, span) = (text(record, "type"), text(record, "span_id"));
        match kind {
            "run.started" => {
                self.runs.insert(text(record, "run_id"), span);
                self.open(record);
            }
            "stage.started" => {
                self.stage(record, text(record, "parent_span_id"));
                self.open(record);
            }
            "stage.ended" => {
                self.close(record);
                self.stage(record, text(record, "parent_span_id"));
            }
            "stage.answered" | "stage.resolved" | "stage.skipped" => self.stage(record, span),
            "operation.started" | "part.started" => self.open(record),
            "operation.ended" | "part.ended" | "run.ended" => self.close(record),
            _ => {
                let open = self
                    .spans
                    .get(span)
                    .is_some_and(|span| span.of_stage || span.closed.is_none());
                if !open && !may_be_late {
                    self.complain("what is said lies in an open span", record);
                }
            }
        }
    }

    fn complain(&mut self, law: &'static str, record: &Value) {
        self.wrong.push((law, record.to_string()));
    }

    fn open(&mut self, record: &'a Value) {
        let span = Span {
            parent: record["parent_span_id"].as_str(),
            run: text(record, "run_id"),
            opened: record["seq"].as_u64().unwrap_or_default(),
            closed: None,
            of_stage: false,
        };
        if self.spans.insert(text(record, "span_id"), span).is_some() {
            self.complain("a span is opened once", record);
        }
    }

    fn close(&mut self, record: &'a Value) {
        let (run, parent) = (text(record, "run_id"), record["parent_span_id"].as_str());
        let known = self.spans.get_mut(text(record, "span_id"));
        let sound = known.is_some_and(|span| {
            let open = span.closed.is_none() && span.run == run && span.parent == parent;
            span.closed = record["seq"].as_u64();
            open
        });
        if !sound {
            self.complain("a span is closed once, where it was opened", record);
        }
    }

    /// The span of a stage: from the first record about it to the last, in that of its run.
    fn stage(&mut self, record: &'a Value, span: &'a str) {
        let run = text(record, "run_id");
        let seq = record["seq"].as_u64().unwrap_or_default();
        let parent = self.runs.get(run).copied();
        let stage = self.spans.entry(span).or_insert(Span {
            parent,
            run,
            opened: seq,
            closed: None,
            of_stage: true,
        });
        stage.closed = Some(seq);
        let sound = stage.of_stage && stage.run == run && stage.parent == parent;
        if !sound {
            self.complain("a stage has one span, in its run's", record);
        }
    }

    /// Checks that they are one tree, below the span that `came` if one did, with parents around their children.
    pub(in crate::scenarios) fn check(&mut self, came: Option<&str>) {
        let mut wrong = Vec::new();
        let mut roots = 0;
        for (id, span) in &self.spans {
            let Some(closed) = span.closed else {
                self.unclosed += 1;
                wrong.push(("every span is closed", format!("{id}: {span:?}")));
                continue;
            };
            if span.parent == came {
                roots += 1;
                continue;
            }
            let parent = span.parent.and_then(|parent| self.spans.get(parent));
            let Some(parent) = parent else {
                self.orphans += 1;
                wrong.push(("every span has its parent", format!("{id}: {span:?}")));
                continue;
            };
            let around = parent.opened <= span.opened && Some(closed) <= parent.closed;
            if parent.run == span.run && !around {
                let both = format!("{parent:?} is not around {id}: {span:?}");
                wrong.push(("parents are open around their children", both));
            }
            if !self.comes_to_an_end(id) {
                wrong.push(("spans go round in no circle", format!("{id}: {span:?}")));
            }
        }
        if roots != 1 {
            wrong.push(("one tree has one root", format!("{roots} roots")));
        }
        self.wrong.extend(wrong);
    }

    fn comes_to_an_end(&self, id: &'a str) -> bool {
        let upwards = std::iter::successors(Some(id), |id| self.spans.get(id)?.parent);
        upwards.take(self.spans.len() + 2).count() < self.spans.len() + 2
    }
}
