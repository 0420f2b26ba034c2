//! What must come of a program: round by round, over all nodes, again and again until nothing changes.

mod rounds;

use stageflow_context::Outcome;
use stageflow_executor::FailurePolicy;
use stageflow_graph::Presence;

use super::{ARMS, Act, End, Flat, Kind, Program, Shape, default_value, value};

/// A value of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Told {
    /// Of a join.
    List(Vec<u64>),
    /// Of an optional stage.
    Optional(Option<u64>),
    /// Of everything else.
    Plain(u64),
}

/// What becomes of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fate {
    /// Its name.
    pub name: String,
    /// How it ends.
    pub outcome: Outcome,
    /// When it starts, in milliseconds; `None` if it is not started.
    pub started: Option<u64>,
    /// When it ends, if it was started.
    pub ended: Option<u64>,
    /// Why it is skipped, if it is.
    pub reason: Option<String>,
    /// What others see of it.
    pub value: Option<Told>,
}

/// What becomes of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Foretold {
    /// How it ends.
    pub outcome: Outcome,
    /// Every node.
    pub fates: Vec<Fate>,
    /// The stages whose errors are told, in order.
    pub errors: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    Ready,
    Running(u64),
    Waiting,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    Gone(String),
    Open,
    Value(Told),
}

struct Run<'a> {
    program: &'a Program,
    flat: Vec<Flat>,
    state: Vec<State>,
    slots: Vec<Slot>,
    fates: Vec<Fate>,
    ready: Vec<usize>,
    errors: Vec<String>,
    /// Why something was lost last.
    latest: String,
    now: u64,
    /// How the run was stopped, if it was.
    stopped: Option<Outcome>,
    /// The first stage that failed for good.
    failed: Option<String>,
    is_drained: bool,
    /// What the engine made of merges and joins.
    actual: &'a dyn Fn(&str) -> Option<Told>,
}

impl Program {
    /// What must come of a run. Where several branches of a merge or join come at once, any of them may be the first: `actual`
    /// says, by name, what the engine took, and it is taken over if it was allowed.
    #[must_use]
    pub fn foretell(&self, actual: &dyn Fn(&str) -> Option<Told>) -> Foretold {
        let (flat, _) = self.flat();
        let fate = |flat: &Flat| Fate {
            name: flat.name.clone(),
            outcome: Outcome::Cancelled,
            started: None,
            ended: None,
            reason: None,
            value: None,
        };
        Run {
            program: self,
            state: vec![State::Waiting; flat.len()],
            slots: vec![Slot::Open; flat.len()],
            fates: flat.iter().map(fate).collect(),
            flat,
            ready: Vec::new(),
            errors: Vec::new(),
            latest: String::new(),
            now: 0,
            stopped: None,
            failed: None,
            is_drained: false,
            actual,
        }
        .play()
    }
}

impl Run<'_> {
    fn play(mut self) -> Foretold {
        self.settle();
        loop {
            while self.start_next() {}
            let due = |state: &State| match state {
                State::Running(due) => Some(*due),
                _ => None,
            };
            let next = self.state.iter().filter_map(due).min();
            let Some(next) = next.filter(|_| self.stopped.is_none()) else {
                break;
            };
            self.now = next;
            // Those that end at this moment all have their turn, also after one of them has stopped the run.
            for node in 0..self.flat.len() {
                if self.state[node] == State::Running(next) {
                    self.end(node);
                }
            }
        }
        for node in 0..self.flat.len() {
            if matches!(self.state[node], State::Running(_)) {
                self.fates[node].ended = Some(self.now);
            }
            self.fates[node].value = match &self.slots[node] {
                Slot::Value(value) => Some(value.clone()),
                _ => None,
            };
        }
        if let Some(first) = &self.failed
            && let Some(at) = self.errors.iter().position(|name| name == first)
        {
            self.errors[..=at].rotate_right(1);
        }
        let has_output = self.fates.last().is_some_and(|out| out.value.is_some());
        let completed = if has_output {
            Outcome::Succeeded
        } else {
            Outcome::Skipped
        };
        let failed = self.failed.as_ref().map(|_| Outcome::Failed);
        Foretold {
            outcome: failed.or(self.stopped).unwrap_or(completed),
            fates: self.fates,
            errors: self.errors,
        }
    }

    fn start_next(&mut self) -> bool {
        let running = self
            .state
            .iter()
            .filter(|state| matches!(state, State::Running(_)))
            .count();
        let may = self.stopped.is_none() && !self.is_drained && running < self.program.slots.get();
        if !may || self.ready.is_empty() {
            return false;
        }
        let node = self.ready.remove(0);
        let due = self.now + self.act(node).after;
        self.state[node] = State::Running(due);
        self.fates[node].started = Some(self.now);
        if due == self.now {
            self.end(node);
        }
        true
    }

    fn act(&self, node: usize) -> Act {
        match &self.flat[node].kind {
            Kind::Route { act, .. } | Kind::Stage { act, .. } => *act,
            Kind::Arm | Kind::Join(_) | Kind::Merge => Act {
                end: End::Gives,
                after: 0,
            },
        }
    }

    /// The stage ends by itself.
    fn end(&mut self, node: usize) {
        self.state[node] = State::Done;
        self.fates[node].ended = Some(self.now);
        match self.act(node).end {
            End::Gives => self.gives(node),
            End::Fails | End::Panics => self.fails(node),
            End::Skips => self.skips(node),
            End::CancelsRun => {
                self.stopped = self.stopped.or(Some(Outcome::Cancelled));
            }
        }
        self.settle();
    }

    fn gives(&mut self, node: usize) {
        self.fates[node].outcome = Outcome::Succeeded;
        let sum = self.value(node);
        match self.flat[node].kind.clone() {
            Kind::Route { takes, .. } => self.takes(node, sum, &takes),
            Kind::Stage { head, .. } => {
                let value = match self.flat[node].shape {
                    Shape::Optional => Told::Optional(Some(sum)),
                    _ => Told::Plain(sum),
                };
                self.slots[node] = Slot::Value(value.clone());
                self.slots[head] = Slot::Value(value);
                self.spare(node, &format!("`{}` succeeded", self.flat[node].name));
            }
            _ => {}
        }
    }

    fn takes(&mut self, route: usize, value: u64, takes: &[u32]) {
        let names: Vec<String> = takes
            .iter()
            .map(|arm| format!("`{}`", ARMS[*arm as usize]))
            .collect();
        let took = if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        };
        let reason = format!("route `{}` took {took}", self.flat[route].name);
        for arm in 0..3 {
            let node = route + 1 + arm as usize;
            if takes.contains(&arm) {
                self.state[node] = State::Done;
                self.fates[node].outcome = Outcome::Succeeded;
                self.slots[node] = Slot::Value(Told::Plain(value ^ u64::from(arm)));
            } else {
                self.skip(node, &reason);
                self.lose(node, &reason);
            }
        }
    }

    fn fails(&mut self, node: usize) {
        self.fates[node].outcome = Outcome::Failed;
        self.errors.push(self.flat[node].name.clone());
        let (head, presence, last) = match &self.flat[node].kind {
            Kind::Stage {
                head,
                presence,
                last,
                ..
            } => (*head, *presence, *last),
            _ => (node, Presence::Required, true),
        };
        if !last {
            self.state[node + 1] = State::Ready;
            self.ready.push(node + 1);
            return;
        }
        let reason = format!("stage `{}` failed", self.flat[head].name);
        match self.program.policy {
            _ if presence != Presence::Required => self.lose(head, &reason),
            FailurePolicy::FailFast => {
                if self.stopped.is_none() {
                    self.stopped = Some(Outcome::Failed);
                    self.failed = Some(self.flat[head].name.clone());
                }
            }
            policy => {
                if self.stopped.is_none() && self.failed.is_none() {
                    self.failed = Some(self.flat[head].name.clone());
                }
                if policy == FailurePolicy::Drain {
                    self.is_drained = true;
                } else {
                    self.lose(head, &reason);
                }
            }
        }
    }

    fn skips(&mut self, node: usize) {
        let reason = format!("stage {node} has nothing to do");
        self.skip(node, &reason);
        self.spare(node, &reason);
        let head = match &self.flat[node].kind {
            Kind::Stage { head, .. } => *head,
            _ => node,
        };
        self.lose(head, &reason);
    }

    /// The stages that would stand in for this one are not needed.
    fn spare(&mut self, node: usize, reason: &str) {
        let mut at = node;
        while let Kind::Stage { last: false, .. } = self.flat[at].kind {
            at += 1;
            self.skip(at, reason);
        }
    }

    fn skip(&mut self, node: usize, reason: &str) {
        if self.state[node] == State::Waiting || self.state[node] == State::Done {
            self.state[node] = State::Done;
            self.fates[node].outcome = Outcome::Skipped;
            self.fates[node].reason = Some(reason.to_owned());
        }
    }

    fn is_spare(&self, node: usize) -> bool {
        matches!(self.flat[node].kind, Kind::Stage { head, .. } if head != node)
    }

    /// The value that others read will not come.
    fn lose(&mut self, head: usize, reason: &str) {
        reason.clone_into(&mut self.latest);
        self.slots[head] = match self.flat[head].kind {
            Kind::Stage {
                presence: Presence::Optional,
                ..
            } => Slot::Value(Told::Optional(None)),
            Kind::Stage {
                presence: Presence::Default,
                ..
            } => Slot::Value(Told::Plain(default_value(head))),
            _ => Slot::Gone(reason.to_owned()),
        };
    }

    fn value(&self, node: usize) -> u64 {
        let (mut plain, mut optional, mut lists) = (Vec::new(), Vec::new(), Vec::new());
        for up in &self.flat[node].upstream {
            match &self.slots[*up] {
                Slot::Value(Told::Plain(value)) => plain.push(*value),
                Slot::Value(Told::Optional(value)) => optional.push(*value),
                Slot::Value(Told::List(values)) => lists.push(values.clone()),
                Slot::Gone(_) | Slot::Open => {}
            }
        }
        value(node, &plain, &optional, &lists)
    }
}
