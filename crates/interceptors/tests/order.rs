//! The order of the onion: by phase, then by registration, whatever the order of registration.

use std::sync::Arc;

use stageflow_interceptors::{Around, Call, Ending, Hook, Layer, Next, Phase, Stack, async_trait};

/// A layer that is only a name in a place.
#[derive(Clone, Copy)]
struct Named(&'static str, Phase);

impl Hook for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn phase(&self) -> Phase {
        self.1
    }
}

/// The same for one that waits.
#[derive(Clone, Copy)]
struct Waiting(&'static str, Phase);

#[async_trait]
impl Around for Waiting {
    fn name(&self) -> &str {
        self.0
    }

    fn phase(&self) -> Phase {
        self.1
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        next.run(call).await
    }
}

/// All orders of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let with_last = |order: &Vec<usize>| {
        let mut all = Vec::new();
        for place in 0..count {
            let mut order = order.clone();
            order.insert(place, count - 1);
            all.push(order);
        }
        all
    };
    shorter.iter().flat_map(with_last).collect()
}

const PHASES: [Phase; 9] = [
    Phase::Security,
    Phase::Admission,
    Phase::Idempotency,
    Phase::Cache,
    Phase::Breaker,
    Phase::Retry,
    Phase::Timeout,
    Phase::Telemetry,
    Phase::Inner,
];

fn add(stack: Stack, layer: usize) -> Stack {
    match layer {
        0 => stack.with(Named("policy", Phase::Security)),
        1 => stack.with(Waiting("quota", Phase::Admission)),
        2 => stack.with(Waiting("retry", Phase::Retry)),
        3 => stack.with(Named("limit", Phase::Timeout)),
        4 => stack.with(Named("notes", Phase::Inner)),
        _ => stack.with(Waiting("cache", Phase::Cache)),
    }
}

#[test]
fn every_order_of_registration_gives_the_same_onion() {
    let described: Vec<_> = orders(5)
        .iter()
        .map(|order| {
            order
                .iter()
                .fold(Stack::new(), |stack, layer| add(stack, *layer))
                .describe()
        })
        .collect();
    assert_eq!(described.len(), 120);
    for onion in &described {
        assert_eq!(
            onion,
            "\
call
└ policy [security, hook]
  └ quota [admission, around]
    └ retry [retry, around]
      └ limit [timeout, hook]
        └ notes [inner, hook]
          └ stage
"
        );
    }
}

#[test]
fn so_does_every_order_of_six_and_security_is_always_outside() {
    let all: Vec<_> = orders(6)
        .iter()
        .map(|order| {
            order
                .iter()
                .fold(Stack::new(), |stack, layer| add(stack, *layer))
        })
        .collect();
    assert_eq!(all.len(), 720);
    for stack in &all {
        assert_eq!(stack.describe(), all[0].describe());
        assert_eq!(stack.layers().next(), Some((Phase::Security, "policy")));
        assert!(stack.waits() && stack.len() == 6);
    }
}

#[test]
fn layers_of_one_phase_keep_their_order_of_registration() {
    for phase in PHASES {
        let mut stack = Stack::new();
        for name in ["c", "a", "b"] {
            stack = stack.with(Named(name, phase)).with(Waiting(name, phase));
        }
        let names: Vec<_> = stack.layers().map(|(_, name)| name).collect();
        assert_eq!(names, ["c", "c", "a", "a", "b", "b"], "{phase}");
    }
}

#[test]
fn nothing_can_be_put_outside_the_security_phase() {
    for phase in PHASES {
        let stack = Stack::new()
            .with(Named("other", phase))
            .with(Named("policy", Phase::Security));
        let first = stack.layers().next().map(|(phase, _)| phase);
        assert_eq!(first, Some(Phase::Security), "{phase}");
    }
    assert!(PHASES.is_sorted() && PHASES[0] == Phase::Security);
}

#[test]
fn an_empty_stack_is_empty() {
    let stack = Stack::new();
    assert!(stack.is_empty() && !stack.waits());
    assert_eq!(stack.layers().count(), 0);
    assert_eq!(stack.describe(), "call\n└ stage\n");
}

#[test]
fn a_layer_that_was_boxed_already_is_one_too() {
    let stack = Stack::new().with(Layer::Hook(Arc::new(Named("boxed", Phase::Cache))));
    assert_eq!(
        stack.layers().collect::<Vec<_>>(),
        [(Phase::Cache, "boxed")]
    );
}
