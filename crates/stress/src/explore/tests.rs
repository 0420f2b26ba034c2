//! Schedules as text, and what shrinking leaves of them.

use super::*;
use crate::Seed;

#[test]
fn every_schedule_is_read_as_it_was_written() {
    for case in 0..500 {
        let schedule = random(&mut Seed::new(case).rng());
        let text = schedule.to_string();
        assert_eq!(text.parse::<Schedule>().unwrap(), schedule, "{text}");
    }
}

#[test]
fn what_is_no_schedule_is_refused_with_a_reason() {
    for (text, reason) in [
        ("0", "three parts"),
        ("0;2 | w=1 | ", "numbered from 0"),
        ("0;1<1 | w=1 | ", "stages before it"),
        ("0=late | w=1 | ", "not late"),
        ("0 | w=0 | ", "a width"),
        ("0 | 1 | ", "`w=`"),
        ("0 | w=* | 1:ok", "no such stage"),
        ("0 | w=* | 0:well", "an end is"),
        ("0 | w=* | wait", "a step is"),
        ("0;1 | w=* | 0:ok+1:late", "of its own"),
    ] {
        let said = text.parse::<Schedule>().unwrap_err().to_string();
        assert!(said.contains(reason), "{text}: {said}");
    }
}

#[test]
fn a_small_schedule_is_told_as_it_happens() {
    let schedule = "0;1<0 | w=* | 0:ok 1:skip".parse().unwrap();
    let story = replay(&schedule, stageflow::executor::Engine::builder()).unwrap();
    let wanted = [
        "run started",
        "stage 0 started",
        "stage 0 succeeded",
        "stage 1 started",
        "stage 1 skipped",
        "cleanup 1 of stage 1",
        "cleanup 0 of stage 1",
        "cleanup 1 of stage 0",
        "cleanup 0 of stage 0",
        "run skipped",
    ];
    assert_eq!(story, wanted);
}

#[test]
fn shrinking_leaves_only_what_matters() {
    let schedule: Schedule = "0;1<0;2<0;3<1,2;4?<3 | w=2 | 0:ok 1:ok+2:ok 3:fail"
        .parse()
        .unwrap();
    let small = alone(shrink(schedule, async |schedule: &Schedule| {
        schedule.to_string().contains("fail")
    }));
    assert_eq!(small.to_string(), "0 | w=* | 0:fail");
}
