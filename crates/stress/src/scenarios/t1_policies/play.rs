//! Plays a case against the sink and against its model, step by step, on a clock that is moved by hand.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rand::RngExt as _;
use stageflow::events::{BoundedCounts, BoundedSink, EventSink as _, Pump, Receipt};
// Many are polled in one turn of this task: tokio would put some of them off.
use tokio::task::{Unconstrained, unconstrained};

use super::Fault;
use super::case::{Case, Policy, SLOWER};
use super::hand::{Flag, Hand};
use super::model::{Item, Model, Sums};
use super::rate::Producer;
use super::rig::{GRID, LONG, ODD, builder, on_grid, patience};
use crate::{Breach, Lab, LabError, Seed};

/// What came of a case.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) sums: Sums,
    /// Settled when the last offer was made.
    pub(super) served: u64,
    pub(super) deepest: u64,
    /// How many were held, each time somebody looked.
    pub(super) depths: Vec<f64>,
    pub(super) last_loss: Duration,
    pub(super) lags_ms: Vec<f64>,
    pub(super) audit_lost: u64,
}

pub(super) fn play(lab: &Lab, case: &Case, seed: Seed, files: &Path) -> Result<Outcome, LabError> {
    let play = Play::new(lab, case, seed, files)?;
    Ok(stageflow_testkit::paused(play.run(seed)))
}

pub(super) struct Play<'a> {
    pub(super) lab: &'a Lab,
    pub(super) case: &'a Case,
    pub(super) fault: Option<Fault>,
    pub(super) sink: BoundedSink,
    pub(super) pump: Option<Unconstrained<Pump>>,
    pub(super) hand: Hand,
    pub(super) flag: Arc<Flag>,
    pub(super) model: Model,
    /// Those who wait, with their calls.
    pub(super) emits: VecDeque<BoxFuture<'static, Receipt>>,
    pub(super) stop: Option<BoxFuture<'static, BoundedCounts>>,
    /// What tokio's clock shows.
    pub(super) clock: Duration,
    pub(super) now: Duration,
    /// When what is being delivered is.
    pub(super) done_at: Option<Duration>,
    pub(super) verdicts: rand::rngs::ChaCha8Rng,
    pub(super) hooked: Arc<AtomicU64>,
    pub(super) hidden: u64,
    pub(super) chances: u64,
    pub(super) outcome: Outcome,
}

impl<'a> Play<'a> {
    fn new(lab: &'a Lab, case: &'a Case, seed: Seed, files: &Path) -> Result<Self, LabError> {
        let fault = Fault::of(lab);
        let hand = Hand::new(fault);
        let hooked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&hooked);
        let (sink, pump) = builder(case, fault, hand.clone(), files)?
            .on_drop(move |loss| {
                counter.fetch_add(loss.count, Ordering::Relaxed);
            })
            .build();
        Ok(Self {
            lab,
            case,
            fault,
            sink,
            pump: Some(unconstrained(pump)),
            hand,
            flag: Arc::default(),
            model: Model::new(case.policy, case.capacity, case.batch),
            emits: VecDeque::new(),
            stop: None,
            clock: Duration::ZERO,
            now: Duration::ZERO,
            done_at: None,
            verdicts: seed.child(7).rng(),
            hooked,
            hidden: 0,
            chances: 0,
            outcome: Outcome::default(),
        })
    }

    async fn run(mut self, seed: Seed) -> Outcome {
        let mut rng = seed.rng();
        let lanes = self.fault != Some(Fault::ForgetsLanes);
        let producers = 0..self.case.producers;
        let mut producers: Vec<_> = producers.map(|who| Producer::new(who, lanes)).collect();
        for at in self.case.offers.iter() {
            if self.lab.is_over() {
                return self.outcome;
            }
            let at = Duration::from_millis(
                (at.as_millis() / GRID.as_millis() * GRID.as_millis()) as u64,
            );
            self.go_on_until(at).await;
            self.now = at;
            let who = rng.random_range(0..producers.len());
            let audits: Vec<bool> = (0..rng.random_range(1..=self.case.burst))
                .map(|_| rng.random_range(0..100) < self.case.audit)
                .collect();
            self.offer(who, &mut producers[who], &audits).await;
        }
        if !self.case.stops_at_once && self.case.policy == Policy::Wait {
            // Those who wait are still being served.
            self.go_on_until(self.now + patience(Policy::Wait)).await;
        }
        self.outcome.served = self.model.sums.delivered + self.model.sums.failed;
        if !self.case.stops_at_once {
            self.go_on_until(LONG).await;
        }
        self.stop().await;
        self.finish()
    }

    async fn offer(&mut self, who: usize, producer: &mut Producer, audits: &[bool]) {
        let lost_before = self.model.losses.values().sum::<u64>();
        let items: Vec<_> = producer
            .next(audits)
            .map(|(seq, audit)| Item {
                who,
                seq,
                audit,
                at: self.now,
            })
            .collect();
        let batch = producer.batch(&items);
        let patience = match (self.case.policy, audits) {
            (Policy::Wait, _) => Some(patience(Policy::Wait)),
            (Policy::DropNewest | Policy::DropOldest, [true]) => Some(patience(self.case.policy)),
            _ => None,
        };
        let fates: Vec<_> = items
            .iter()
            .map(|item| {
                self.model
                    .offer(*item, patience.map(|limit| self.now + limit))
            })
            .collect();
        let receipt = if self.strikes(items.len()) {
            self.hidden += items.len() as u64;
            Some(Receipt::new(items.len() as u64, 0))
        } else if patience.is_some() {
            self.sync(self.now).await;
            let sink = self.sink.clone();
            let mut emit: BoxFuture<'static, Receipt> =
                Box::pin(unconstrained(async move { sink.emit(batch).await }));
            match self.poll(&mut emit) {
                Poll::Ready(receipt) => Some(receipt),
                Poll::Pending => {
                    self.emits.push_back(emit);
                    None
                }
            }
        } else {
            Some(self.sink.try_emit(batch))
        };
        self.check_fates(&fates, receipt);
        self.begin();
        self.turn();
        if self.model.losses.values().sum::<u64>() > lost_before {
            self.outcome.last_loss = self.now;
        }
    }

    /// Lets the downstream, and those whose patience ends, do what is due up to this time.
    async fn go_on_until(&mut self, until: Duration) {
        loop {
            let expiry = self.model.first_expiry();
            let next = self.done_at.into_iter().chain(expiry).min();
            let Some(next) = next.filter(|next| *next <= until && !self.lab.is_over()) else {
                return;
            };
            self.now = next;
            if expiry == Some(next) {
                self.sync(next + ODD[1] - ODD[0]).await;
                self.model.expire(next);
                self.outcome.last_loss = next;
            } else {
                if !self.emits.is_empty() {
                    self.sync(next).await;
                }
                self.deliver();
            }
            self.turn();
        }
    }

    /// What is being delivered is done, well or not.
    fn deliver(&mut self) {
        let well = self.verdicts.random_range(0..100) >= self.case.failing;
        self.hand.release(well);
        self.done_at = None;
        for item in self.model.end(well) {
            let lag = self.now.saturating_sub(item.at) / SLOWER;
            self.outcome.lags_ms.push(lag.as_secs_f64() * 1e3);
        }
        self.begin();
    }

    fn begin(&mut self) {
        self.model.begin();
        let count = self.model.at_work.len() as u32;
        if count > 0 && self.done_at.is_none() {
            let start = match self.case.stall {
                Some([from, to]) if (from..to).contains(&self.now) => to,
                _ => self.now,
            };
            self.done_at = Some(start + on_grid(self.case.service) * count);
        }
    }

    /// Lets everybody do what they can, and compares.
    fn turn(&mut self) {
        loop {
            if let Some(mut pump) = self.pump.take()
                && self.poll(&mut pump).is_pending()
            {
                self.pump = Some(pump);
            }
            let emits = std::mem::take(&mut self.emits);
            for mut emit in emits {
                if self.poll(&mut emit).is_pending() {
                    self.emits.push_back(emit);
                }
            }
            if !self.flag.take() {
                break;
            }
        }
        self.compare();
    }

    fn poll<F: Future + Unpin>(&self, future: &mut F) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.flag));
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }

    /// Stops it; what is being delivered is delivered first.
    async fn stop(&mut self) {
        self.hand.stops();
        let (sink, stopping) = (self.sink.clone(), self.case.stopping);
        let mut stop: BoxFuture<'static, BoundedCounts> =
            Box::pin(async move { sink.stop(stopping, LONG).await });
        self.model.close(stopping);
        if self.poll(&mut stop).is_pending() {
            self.stop = Some(stop);
        }
        self.turn();
        self.go_on_until(LONG).await;
    }

    fn finish(mut self) -> Outcome {
        let stopped = self
            .stop
            .take()
            .is_none_or(|mut stop| self.poll(&mut stop).is_ready());
        let (case, model) = (self.case, &self.model);
        let named = || format!("{} {:?}", case.name, case.policy);
        self.lab.check(
            stopped || self.lab.is_over(),
            "a stop comes to its end",
            Breach::Hang,
            named,
        );
        let mut losses = BTreeMap::new();
        for loss in self.sink.losses() {
            *losses.entry(loss.reason.as_str()).or_default() += loss.count;
        }
        self.lab.check(
            losses == model.losses,
            "each loss is counted under its reason",
            Breach::UnaccountedDrop,
            || format!("{losses:?}, should be {:?} ({})", model.losses, named()),
        );
        let (lost, hooked) = (
            losses.values().sum::<u64>(),
            self.hooked.load(Ordering::Relaxed),
        );
        self.lab.check(
            hooked == lost,
            "each loss is told to the hook",
            Breach::UnaccountedDrop,
            || format!("{hooked} told, {lost} lost ({})", named()),
        );
        // Where deliveries fail, so may the marks.
        let marked = self.hand.marked();
        let right = if case.failing == 0 {
            marked == lost
        } else {
            marked <= lost
        };
        self.lab.check(
            right,
            "marks in the stream say what is missing",
            Breach::UnaccountedDrop,
            || format!("{marked} marked, {lost} lost ({})", named()),
        );
        self.outcome.sums = model.sums;
        self.outcome.audit_lost = model.audit_lost;
        self.outcome
    }

    /// Moves tokio's clock.
    async fn sync(&mut self, to: Duration) {
        if let Some(by) = to.checked_sub(self.clock)
            && !by.is_zero()
        {
            tokio::time::advance(by).await;
            self.clock = to;
        }
    }

    /// Whether these events vanish on the way in: once in a thousand.
    fn strikes(&mut self, events: usize) -> bool {
        self.chances += events as u64;
        self.fault == Some(Fault::DropsUncounted) && self.chances.is_multiple_of(1000)
    }
}
