//! Overload on a clock of its own: every offer and every delivery is predicted exactly.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use stageflow::events::EventSink as _;

use super::queue::{Counts, Producer, Queue, queue};
use crate::harness::load::Schedule;
use crate::stats::quantile;
use crate::{Breach, Lab, Seed};

/// Who sends how much to whom.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) capacity: u64,
    pub(super) producers: usize,
    pub(super) offers: Schedule,
    /// Events of one offer: at most so many.
    pub(super) batch: u64,
    /// How long the consumer takes for one event.
    pub(super) service: Duration,
    /// When the consumer does nothing.
    pub(super) stall: Option<[Duration; 2]>,
}

/// What came of a case.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) counts: Counts,
    /// Delivered when the last offer was made.
    pub(super) served: u64,
    pub(super) deepest: u64,
    pub(super) last_drop: Duration,
    pub(super) lags_ms: Vec<f64>,
}

impl Outcome {
    pub(super) fn drop_rate(&self) -> f64 {
        self.counts.dropped as f64 / self.counts.offered.max(1) as f64
    }

    /// What is neither served nor fits into the queue is lost: 1 - µ/R - Q/(R·D), with the rate that was measured.
    pub(super) fn theory(&self, capacity: u64) -> f64 {
        let offered = self.counts.offered.max(1) as f64;
        (1.0 - self.served as f64 / offered - capacity as f64 / offered).max(0.0)
    }
}

/// The five cases of the catalogue that need no downstream of their own.
pub(super) fn catalogue(rate: u32, seconds: u64) -> [Case; 5] {
    let length = Duration::from_secs(seconds);
    let case = |name, service_us| Case {
        name,
        capacity: 100,
        producers: 1,
        offers: Schedule::steady(rate, length),
        batch: 1,
        service: Duration::from_micros(service_us),
        stall: None,
    };
    let stalled = Case {
        stall: Some([length / 5, length * 2 / 5]),
        ..case("d", 250)
    };
    let burst = Case {
        offers: Schedule::burst(1000),
        ..case("f", 250)
    };
    [
        case("a", 250),
        case("b", 2000),
        case("c", 10_000),
        stalled,
        burst,
    ]
}

/// A case that nobody thought of.
pub(super) fn random(seed: Seed) -> Case {
    let mut rng = seed.rng();
    let rate = rng.random_range(500..20_000);
    let length = Duration::from_millis(rng.random_range(50..500));
    let load = f64::exp(rng.random_range(-1.5..2.5));
    let batch = rng.random_range(1..=40);
    let stall = rng.random_bool(0.4).then(|| [length / 3, length / 2]);
    Case {
        name: "random",
        capacity: rng.random_range(1..=400),
        producers: rng.random_range(1..=64),
        offers: Schedule::random(rate, length, seed.child(1)),
        batch,
        service: Duration::from_secs_f64(load / (f64::from(rate) * (batch as f64 + 1.0) / 2.0)),
        stall,
    }
}

/// Plays a case against the queue and against a model of it that is nothing but numbers.
pub(super) fn play(lab: &Lab, case: &Case, seed: Seed) -> Outcome {
    let mut play = Play {
        lab,
        case,
        queue: queue(lab, case.capacity),
        model: Counts::default(),
        waiting: VecDeque::new(),
        hands: VecDeque::new(),
        free_at: Duration::ZERO,
        outcome: Outcome::default(),
    };
    let names = (0..case.producers).map(|p| Producer::new(&p.to_string()));
    let mut producers: Vec<Producer> = names.collect();
    let mut rng = seed.rng();
    for at in case.offers.iter() {
        if lab.is_over() {
            return play.outcome;
        }
        play.consume_until(at);
        let who = rng.random_range(0..producers.len());
        let count = rng.random_range(1..=case.batch);
        play.offer(at, &mut producers[who], who, count);
        play.consume_until(at);
    }
    play.outcome.served = play.model.taken - play.hands.len() as u64;
    play.consume_until(Duration::MAX);
    play.finish()
}

struct Play<'a> {
    lab: &'a Lab,
    case: &'a Case,
    queue: Arc<dyn Queue>,
    model: Counts,
    /// What was accepted and not taken: producer, number, time.
    waiting: VecDeque<(usize, u64, Duration)>,
    /// What the consumer has taken and not delivered: since when each has waited.
    hands: VecDeque<Duration>,
    free_at: Duration,
    outcome: Outcome,
}

impl Play<'_> {
    fn offer(&mut self, at: Duration, producer: &mut Producer, who: usize, count: u64) {
        let (batch, first) = producer.batch(count);
        let receipt = self.queue.try_emit(batch);
        let room = self.case.capacity - self.model.queued;
        let accepted = count.min(room);
        self.lab.check(
            (receipt.accepted, receipt.dropped) == (accepted, count - accepted),
            "a full queue drops the newest, and says so",
            Breach::UnaccountedDrop,
            || {
                format!(
                    "{count} offered, room for {room}: {receipt:?} ({})",
                    self.case.name
                )
            },
        );
        self.waiting
            .extend((first..first + accepted).map(|seq| (who, seq, at)));
        self.model.offered += count;
        self.model.accepted += accepted;
        self.model.dropped += count - accepted;
        self.model.queued += accepted;
        self.outcome.deepest = self.outcome.deepest.max(self.queue.counts().queued);
        if accepted < count {
            self.outcome.last_drop = at;
        }
        self.compare();
    }

    /// Lets the consumer do what it can do up to this time.
    fn consume_until(&mut self, now: Duration) {
        while self.free_at <= now {
            if let Some([from, to]) = self.case.stall
                && (from..to).contains(&self.free_at)
            {
                self.free_at = to;
                continue;
            }
            if self.hands.is_empty() {
                if self.model.queued == 0 {
                    // It waits for the next offer.
                    self.free_at = self.free_at.max(now);
                    return;
                }
                self.take();
                continue;
            }
            let since = self.hands.pop_front().unwrap_or_default();
            self.free_at = self.free_at.saturating_add(self.case.service);
            let lag = self.free_at.saturating_sub(since);
            self.outcome.lags_ms.push(lag.as_secs_f64() * 1e3);
        }
    }

    fn take(&mut self) {
        let batches = self.queue.take();
        let came = batches.iter().flat_map(|batch| {
            let events = batch.events.iter();
            events.map(|event| (batch.run.pipeline(), event.seq()))
        });
        let mut count = 0;
        for (producer, seq) in came {
            count += 1;
            let expected = self.waiting.pop_front();
            let right =
                expected.is_some_and(|(who, number, _)| number == seq && is_number(producer, who));
            self.lab.check(
                right,
                "what was accepted is delivered, in order, once",
                Breach::Lost,
                || format!("event {seq} of producer {producer} came, {expected:?} was next"),
            );
            self.hands.extend(expected.map(|(_, _, since)| since));
        }
        self.lab.check(
            count == self.model.queued,
            "everything accepted is delivered",
            Breach::Lost,
            || format!("{count} of {} came ({})", self.model.queued, self.case.name),
        );
        if count != self.model.queued {
            self.waiting.clear();
        }
        self.model.taken += self.model.queued;
        self.model.queued = 0;
        self.compare();
    }

    fn compare(&mut self) {
        let counts = self.queue.counts();
        self.lab.check(
            counts == self.model && counts.queued <= self.case.capacity,
            "offered = accepted + dropped, and never more than fits",
            Breach::UnaccountedDrop,
            || {
                format!(
                    "{counts:?}, should be {:?} ({})",
                    self.model, self.case.name
                )
            },
        );
    }

    fn finish(mut self) -> Outcome {
        self.lab.check(
            self.waiting.is_empty() && self.hands.is_empty(),
            "the queue is emptied in the end",
            Breach::Lost,
            || format!("{} wait, {} in hand", self.waiting.len(), self.hands.len()),
        );
        self.outcome.counts = self.model;
        self.outcome
    }
}

/// Without making a text of each number.
fn is_number(text: &str, number: usize) -> bool {
    text.parse() == Ok(number)
}

/// Plays the catalogue's cases and holds them against the theory.
pub(super) fn cases(lab: &Lab, rate: u32, seconds: u64) {
    let mut total = Counts::default();
    for case in catalogue(rate, seconds) {
        let outcome = play(lab, &case, lab.seed());
        if lab.is_over() {
            return;
        }
        let (rate, theory) = (outcome.drop_rate(), outcome.theory(case.capacity));
        lab.check(
            (rate - theory).abs() <= 0.02,
            "as many are dropped as the theory says",
            Breach::UnaccountedDrop,
            || format!("case {}: {rate:.4}, the theory says {theory:.4}", case.name),
        );
        if let Some([_, end]) = case.stall {
            let recovery = outcome.last_drop.saturating_sub(end);
            let limit = case.service * case.capacity as u32 + Duration::from_millis(100);
            lab.check(
                recovery <= limit,
                "drops cease when the consumer is back",
                Breach::Hang,
                || format!("the last drop came {recovery:?} after the stall"),
            );
            lab.metric("recovery_ms", "ms", recovery.as_secs_f64() * 1e3);
        }
        let name = case.name;
        lab.metric(&format!("drop_rate_percent_{name}"), "%", rate * 100.0);
        lab.metric(
            &format!("queue_depth_max_{name}"),
            "events",
            outcome.deepest as f64,
        );
        lab.metric(
            &format!("delivery_lag_ms_p99_{name}"),
            "ms",
            quantile(&outcome.lags_ms, 0.99),
        );
        total.offered += outcome.counts.offered;
        total.accepted += outcome.counts.accepted;
        total.dropped += outcome.counts.dropped;
        total.taken += outcome.counts.taken;
    }
    lab.metric("offered", "events", total.offered as f64);
    lab.metric("accepted", "events", total.accepted as f64);
    lab.metric("delivered", "events", total.taken as f64);
    lab.metric("dropped_total", "events", total.dropped as f64);
}
