//! How much a second.

use std::collections::VecDeque;
use std::time::Duration;

/// A rate is that of the last seconds: shorter ones jump, longer ones lag.
const WINDOW: Duration = Duration::from_secs(3);

/// However often it is looked at.
const MOST: usize = 64;

/// Counts at moments.
#[derive(Debug, Default)]
pub(super) struct Rates(VecDeque<(Duration, u64)>);

impl Rates {
    pub(super) fn sample(&mut self, at: Duration, count: u64) {
        self.0.push_back((at, count));
        let old = |(then, _): &(Duration, u64)| *then + WINDOW < at;
        while self.0.len() > MOST || self.0.get(1).is_some_and(old) {
            self.0.pop_front();
        }
    }

    /// A second, over the last few.
    pub(super) fn rate(&self) -> f64 {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else {
            return 0.0;
        };
        let time = last.0.saturating_sub(first.0).as_secs_f64();
        if time > 0.0 {
            last.1.saturating_sub(first.1) as f64 / time
        } else {
            0.0
        }
    }
}
