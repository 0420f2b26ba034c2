//! Dropping the future of a run whose attempts are counted.

use futures_util::poll;
use stageflow::prelude::*;
use stageflow_testkit::Gate;

use crate::dropped::three_places;
use crate::support::Lab;

#[tokio::test]
async fn a_dropped_run_whose_attempts_are_counted_tells_of_each_end_once() {
    let lab = Lab::new();
    let started = Gate::new();
    let pipeline = three_places(&lab, &started);
    let steps = Budget::new("steps", BudgetLimits::new().steps(10));
    {
        let options = RunOptions::new().budget(steps);
        let mut run = Box::pin(lab.engine.run(&pipeline, 1, options));
        assert!(poll!(&mut run).is_pending());
        let crowd = started.crowd(3);
        futures_util::pin_mut!(crowd);
        while poll!(&mut crowd).is_pending() {
            assert!(poll!(&mut run).is_pending());
            tokio::task::yield_now().await;
        }
    }
    lab.engine.settled().await;
    lab.sink.check().unwrap();
    lab.assert_nothing_left().await;
}
