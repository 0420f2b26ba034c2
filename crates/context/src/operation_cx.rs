//! A call to something outside, on its way.

use std::any::Any;
use std::fmt::{self, Display};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;

use crate::{
    Booking, Operation, OperationEnd, OperationStart, Outcome, Reservation, SpanId, StageCx,
    TraceParent, Usage,
};

/// What the closure of [`StageCx::operation`] is handed: the context of the stage, and of the call at hand.
///
/// Owned and cheap to clone, like [`StageCx`], which it derefs to. Clones are the same operation.
#[derive(Clone)]
pub struct OperationCx {
    cx: StageCx,
    ongoing: Arc<Ongoing>,
}

struct Ongoing {
    /// `None` if the host keeps no record of operations, or the run has ended.
    number: Option<u32>,
    usage: Mutex<Usage>,
}

impl OperationCx {
    /// The context of the stage.
    #[must_use]
    pub fn cx(&self) -> &StageCx {
        &self.cx
    }

    /// Which operation of the run it is, from 0 in the order of their starts; `None` in a host that does not count them, and
    /// after the run has ended.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        self.ongoing.number
    }

    /// Says what the call has used up. Said more than once, it adds up; it is told when the call is over. It counts as a
    /// heartbeat.
    ///
    /// It is spent: it is booked in the run's budget, at once, and so in every budget above it, whatever becomes of the call, the
    /// attempt and the run. What there was no room for is an overrun. Where something was set aside for the call, say it with
    /// [`OperationCx::settle`] instead, so that it is booked once.
    #[expect(
        clippy::must_use_candidate,
        reason = "what is booked is booked, read or not"
    )]
    pub fn used(&self, usage: Usage) -> Booking {
        self.note(usage);
        match self.cx.host().budget() {
            None => Booking::new(None),
            Some(budget) => budget.spend(usage.into()),
        }
    }

    /// Says what the call has used up, as [`OperationCx::used`] does, and books it in the place of what was set aside for it; the
    /// rest goes back.
    ///
    /// ```
    /// # use stageflow_context::{Amounts, Operation, StageCx, Stop, Usage};
    /// # async fn ask(_: &str) -> Result<(String, u64), std::io::Error> { Ok((String::new(), 3)) }
    /// async fn write(cx: StageCx, question: String) -> Result<String, Stop> {
    ///     let set_aside = cx.reserve(Amounts::tokens(2_000)).await?; // the most it can be
    ///     let reply = cx.operation(Operation::chat("gpt-4o-mini"), async |op| {
    ///         let (reply, tokens) = ask(&question).await?;
    ///         op.settle(set_aside, Usage::tokens(812, tokens)); // what it came to
    ///         Ok::<_, std::io::Error>(reply)
    ///     });
    ///     Ok(reply.await?)
    /// }
    /// ```
    #[expect(
        clippy::must_use_candidate,
        reason = "what is booked is booked, read or not"
    )]
    pub fn settle(&self, set_aside: Reservation, usage: Usage) -> Booking {
        self.note(usage);
        set_aside.settle(usage.into())
    }

    fn note(&self, usage: Usage) {
        self.cx.heartbeat();
        let mut sum = self.ongoing.usage();
        *sum = sum.plus(usage);
    }

    /// What was said to be used up so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        *self.ongoing.usage()
    }

    /// The span of the operation.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        self.number().map_or_else(
            || self.cx.span_id(),
            |number| self.cx.identity().operation_span(number),
        )
    }

    /// The span of the operation, for whoever is called.
    #[must_use]
    pub fn trace_parent(&self) -> TraceParent {
        self.cx.trace_parent_at(self.span_id())
    }

    /// The headers that a request to whoever is called should have: see [`StageCx::trace_headers`].
    #[must_use]
    pub fn trace_headers(&self) -> Vec<(&'static str, String)> {
        self.cx.trace_headers_at(self.span_id())
    }

    /// Does something as an operation inside this one: see [`StageCx::operation`].
    ///
    /// # Errors
    ///
    /// What `work` ends with.
    ///
    /// # Panics
    ///
    /// If `work` panics, with the same payload.
    pub async fn operation<T, E, F, Fut>(&self, operation: Operation, work: F) -> Result<T, E>
    where
        E: Display,
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        carry_out(&self.cx, self.number(), operation, work).await
    }
}

impl Deref for OperationCx {
    type Target = StageCx;

    fn deref(&self) -> &StageCx {
        &self.cx
    }
}

impl fmt::Debug for OperationCx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationCx")
            .field("cx", &self.cx)
            .field("number", &self.number())
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

impl Ongoing {
    fn usage(&self) -> MutexGuard<'_, Usage> {
        // Three numbers are added up: nothing is left half-way.
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StageCx {
    /// Does `work` as a named call to something outside: a model, a tool, a store. Its start and its end are events, and it is
    /// a span of its own in the run's trace.
    ///
    /// There is one end for each start, whatever happens: [`Outcome::Succeeded`] or [`Outcome::Failed`] if `work` ends or
    /// panics, and [`Outcome::Cancelled`] if it is dropped on the way. What the stage leaves behind in a task of its own
    /// is told as cancelled when the attempt ends. Start and end count as heartbeats.
    ///
    /// ```
    /// # use stageflow_context::{Operation, StageCx, Stop, Usage};
    /// # async fn ask(_: &str, _: Vec<(&'static str, String)>) -> Result<(String, u64), std::io::Error> { Ok((String::new(), 3)) }
    /// async fn write(cx: StageCx, question: String) -> Result<String, Stop> {
    ///     let call = Operation::chat("gpt-4o-mini").provider("openai");
    ///     let reply = cx.operation(call, async |op| {
    ///         let (reply, tokens) = ask(&question, op.trace_headers()).await?;
    ///         op.used(Usage::tokens(812, tokens));
    ///         Ok::<_, std::io::Error>(reply)
    ///     });
    ///     Ok(reply.await?)
    /// }
    /// ```
    ///
    /// The call starts once the run has room for saying so: a run keeps a few thousand such words between two turns of its
    /// driver.
    ///
    /// # Errors
    ///
    /// What `work` ends with. Its text is in the event.
    ///
    /// # Panics
    ///
    /// If `work` panics, with the same payload.
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops the call; it is told as cancelled.
    pub async fn operation<T, E, F, Fut>(&self, operation: Operation, work: F) -> Result<T, E>
    where
        E: Display,
        F: FnOnce(OperationCx) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        carry_out(self, None, operation, work).await
    }
}

async fn carry_out<T, E, F, Fut>(
    cx: &StageCx,
    within: Option<u32>,
    operation: Operation,
    work: F,
) -> Result<T, E>
where
    E: Display,
    F: FnOnce(OperationCx) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let number = numbered(cx, within, Arc::new(operation)).await;
    let ongoing = Arc::new(Ongoing {
        number,
        usage: Mutex::default(),
    });
    let mut told = Told {
        cx,
        ongoing: &ongoing,
        end: None,
    };
    let op = OperationCx {
        cx: cx.clone(),
        ongoing: Arc::clone(&ongoing),
    };
    // An error is a user's value, too: showing it may panic.
    let shown = async {
        let result = work(op).await;
        let error = result
            .as_ref()
            .err()
            .map(|error| Arc::from(error.to_string()));
        (result, error)
    };
    match AssertUnwindSafe(shown).catch_unwind().await {
        Ok((result, error)) => {
            let outcome = match result {
                Ok(_) => Outcome::Succeeded,
                Err(_) => Outcome::Failed,
            };
            told.end = Some((outcome, error));
            drop(told);
            result
        }
        Err(payload) => {
            let error = format!("it panicked: {}", message(&*payload));
            told.end = Some((Outcome::Failed, Some(error.into())));
            drop(told);
            resume_unwind(payload)
        }
    }
}

/// Tells of the start as soon as there is room.
async fn numbered(cx: &StageCx, within: Option<u32>, operation: Arc<Operation>) -> Option<u32> {
    cx.heartbeat();
    let start = || cx.host().start_operation(cx, within, &operation);
    loop {
        match start() {
            OperationStart::Numbered(number) => return Some(number),
            OperationStart::Unheard => return None,
            OperationStart::NoRoom => {}
        }
        // Registered before the second look, so that room made in between is not missed.
        let room = cx.host().room();
        match start() {
            OperationStart::Numbered(number) => return Some(number),
            OperationStart::Unheard => return None,
            OperationStart::NoRoom => room.await,
        }
    }
}

/// Tells of the end, also if the future is dropped.
struct Told<'a> {
    cx: &'a StageCx,
    ongoing: &'a Ongoing,
    end: Option<(Outcome, Option<Arc<str>>)>,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.cx.heartbeat();
        let Some(number) = self.ongoing.number else {
            return;
        };
        let (outcome, error) = self.end.take().unwrap_or((Outcome::Cancelled, None));
        let end = OperationEnd {
            usage: *self.ongoing.usage(),
            ..OperationEnd::new(outcome, error)
        };
        self.cx.host().end_operation(self.cx, number, end);
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("with something that is no text")
}
