//! What stages say of the operations they do.

use std::sync::Arc;

use stageflow_context::{Operation, OperationEnd, OperationStart, StageCx};
use stageflow_events::OperationStarted;

use super::{MAX_UNHEARD, RunShared, Said, What, lock};

impl RunShared {
    /// Numbers an operation, and says that it starts if somebody hears of it.
    pub(super) fn open_operation(
        &self,
        cx: &StageCx,
        within: Option<u32>,
        operation: &Arc<Operation>,
    ) -> OperationStart {
        let heard = self.is_heard();
        let at = self.now();
        let mut inbox = lock(&self.inbox);
        let Some(next) = inbox.operations.checked_add(1).filter(|_| !inbox.closed) else {
            return OperationStart::Unheard;
        };
        if heard && inbox.said.len() >= MAX_UNHEARD {
            return OperationStart::NoRoom;
        }
        let number = std::mem::replace(&mut inbox.operations, next);
        if !heard {
            return OperationStart::Numbered(number);
        }
        let (stage, attempt) = (cx.index(), cx.attempt().get());
        let part = cx.part().cloned();
        let call = OperationStarted::new(stage, attempt, part, number, Arc::clone(operation));
        inbox.said.push(Said {
            at,
            stage,
            attempt,
            what: What::OperationStarted(Box::new(call.within(within))),
        });
        drop(inbox);
        self.ring();
        OperationStart::Numbered(number)
    }

    /// Says how an operation has ended: there is always room for that.
    pub(super) fn close_operation(&self, cx: &StageCx, number: u32, end: OperationEnd) {
        if self.is_heard() {
            let what = What::OperationEnded(Box::new((number, end)));
            self.say(cx.index(), cx.attempt().get(), what);
        }
    }

    /// Whether there is a sink, or a reader.
    fn is_heard(&self) -> bool {
        self.engine.sink.is_some() || self.tap().is_some()
    }
}
