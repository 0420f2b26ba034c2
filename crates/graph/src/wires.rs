//! A plan in the plain form that records keep.

use std::sync::Arc;

use stageflow_context::{Wire, Wiring};

use crate::{Plan, Role};

impl Plan {
    /// Its stages and what each waits for, in the plain form that records keep. Made once, when it is first asked for.
    #[must_use]
    pub fn wiring(&self) -> &Arc<Wiring> {
        self.wiring.get_or_init(|| {
            let wires = (0..self.len()).map(|stage| self.wire(stage));
            Arc::new(Wiring::new(wires.collect()))
        })
    }

    fn wire(&self, stage: usize) -> Wire {
        let slots = self.upstream(stage).iter().copied();
        let mut after: Vec<u32> = slots
            .filter(|slot| *slot as usize != self.input_slot())
            .collect();
        let role = self.role(stage);
        if let Role::Fallback { of } = role {
            after.push(of);
        }
        after.sort_unstable();
        after.dedup();
        let kind = self.options(stage).kind.as_str();
        let wire = Wire::new(self.names()[stage].as_str(), kind, role.as_str(), after);
        match self.undo(stage) {
            None => wire,
            Some(_) => wire.with_undo(),
        }
    }
}
