//! What stages gave that may have to be undone.

use std::sync::Mutex;

use stageflow_context::DynValue;

use crate::shared::{RunShared, lock};

impl RunShared {
    /// An attempt of a stage gave this: keeps it if it can be undone.
    #[inline]
    pub(crate) fn keep_given(&self, stage: u32, value: &DynValue) {
        if self.plan.has_undos() && self.plan.undo(stage as usize).is_some() {
            let given = self.given.get_or_init(Mutex::default);
            lock(given).insert(stage, value.clone());
        }
    }

    /// What the last attempt of a stage gave, if it was kept.
    pub(crate) fn given(&self, stage: u32) -> Option<DynValue> {
        lock(self.given.get()?).get(&stage).cloned()
    }
}
