//! How it looks.

use expect_test::{Expect, expect};
use stageflow_lens::live::{Colours, Key, Screen, SinkFigures, report};

use crate::{looks, some_runs, told};

fn shows(keys: &[Key], size: (u16, u16), expected: &Expect) {
    let mut screen = Screen::new(Colours::None);
    keys.iter().for_each(|key| screen.press(*key));
    expected.assert_eq(&looks(&told(&some_runs()), &mut screen, size));
}

#[test]
fn the_stages_in_a_terminal_of_the_usual_size() {
    shows(
        &[],
        (80, 24),
        &expect![[r#"
            stageflow 1 under way  2 ended  1 not well
            8 records/s  1.0 runs/s  7 lost
            [stages]  runs   losses   findings
            stage                          now    done     failed  retries p50      p99
            answer/search                  1      1        0       0       20.1ms   20.1ms
            answer/write                   0      1        1       1       100.4ms  1.2s
            answer/never                   0      0        0       0       -        -
















            q quit  tab page  arrows move  p pause
        "#]],
    );
}

#[test]
fn the_runs_under_way() {
    shows(
        &[Key::Next],
        (80, 10),
        &expect![[r#"
        stageflow 1 under way  2 ended  1 not well
        8 records/s  1.0 runs/s  7 lost
         stages  [runs]  losses   findings
        since    pipeline                  now  run
        12:00:00 answer                    1    run-2




        q quit  tab page  arrows move  p pause
    "#]],
    );
}

#[test]
fn what_was_lost() {
    shows(
        &[Key::Next, Key::Next],
        (80, 14),
        &expect![[r#"
        stageflow 1 under way  2 ended  1 not well
        8 records/s  1.0 runs/s  7 lost
         stages   runs  [losses]  findings
        no sink is watched
        in streams: 7 lost
              7 full
        this view: 0 missed, 0 unreadable, 0 runs not followed
        queue search/frames: 9 of 9 throttled
              41 displaced




        q quit  tab page  arrows move  p pause
    "#]],
    );
}

#[test]
fn what_went_wrong() {
    shows(
        &[Key::Previous],
        (80, 10),
        &expect![[r#"
        stageflow 1 under way  2 ended  1 not well
        8 records/s  1.0 runs/s  7 lost
         stages   runs   losses  [findings]
        12:00:00 answer  run.ended: run timed_out the deadline
        12:00:01 answer  telemetry.dropped: {"count":7,"reasons":{"full":7}}
        12:00:01 answer write stage.ended: SF0301: the model said·[31m no·and no



        q quit  tab page  arrows move  p pause
    "#]],
    );
}

#[test]
fn in_a_narrow_terminal() {
    shows(
        &[],
        (40, 8),
        &expect![[r#"
        stageflow 1 under way  2 ended  1 not we
        8 records/s  1.0 runs/s  7 lost
        [stages]  runs   losses   findings
        stage            now    done     failed
        answer/search    1      1        0
        answer/write     0      1        1
        answer/never     0      0        0
        q quit  tab page  arrows move  p pause
    "#]],
    );
    shows(
        &[],
        (20, 5),
        &expect![[r#"
            stageflow 1 under wa
            [stages]  runs   los
            stage    now don fai
            answer/s 1   1   0
            q quit  tab page  ar
        "#]],
    );
}

#[test]
fn further_down_and_standing_still() {
    shows(
        &[Key::Down, Key::Pause],
        (80, 8),
        &expect![[r#"
            stageflow 1 under way  2 ended  1 not well  PAUSED
            8 records/s  1.0 runs/s  7 lost
            [stages]  runs   losses   findings
            stage                          now    done     failed  retries p50      p99
            answer/write                   0      1        1       1       100.4ms  1.2s
            answer/never                   0      0        0       0       -        -

            q quit  tab page  arrows move  p pause
        "#]],
    );
    // Not past the last row, and up again.
    let keys = [Key::Down, Key::Down, Key::Down, Key::Down, Key::Down];
    shows(
        &keys,
        (80, 8),
        &expect![[r#"
        stageflow 1 under way  2 ended  1 not well
        8 records/s  1.0 runs/s  7 lost
        [stages]  runs   losses   findings
        stage                          now    done     failed  retries p50      p99
        answer/never                   0      0        0       0       -        -


        q quit  tab page  arrows move  p pause
    "#]],
    );
}

#[test]
fn as_plain_lines() {
    expect![[r#"
        1 runs under way, 2 ended (1 succeeded, 0 failed, 0 cancelled, 1 timed out, 0 other); 1 attempts in flight; 8 records/s, 1.0 runs/s; 15 records; 7 events lost
        stage answer/search: 2 started, 1 succeeded, 0 failed, 0 other, 1 in flight, 0 retries, p50 20.1ms, p99 20.1ms
        stage answer/write: 2 started, 1 succeeded, 1 failed, 0 other, 0 in flight, 1 retries, p50 100.4ms, p99 1.2s
        stage answer/never: 0 started, 0 succeeded, 0 failed, 0 other, 0 in flight, 0 retries, p50 -, p99 -
        queue search/frames: 9 in it, 9 at most, 41 dropped
        lost: 7 full
        12:00:00 answer  run.ended: run timed_out the deadline
        12:00:01 answer  telemetry.dropped: {"count":7,"reasons":{"full":7}}
        12:00:01 answer write stage.ended: SF0301: the model said·[31m no·and no
    "#]].assert_eq(&report(&told(&some_runs())));
}

#[test]
fn a_sink_that_is_watched_is_shown() {
    let mut model = told(&[]);
    let mut figures = SinkFigures::new();
    (figures.offered, figures.accepted, figures.dropped) = (10, 7, 3);
    (figures.delivered, figures.queued) = (6, 1);
    figures.losses = vec![("queue_full".to_owned(), 3)];
    model.set_sink(figures);
    let mut screen = Screen::new(Colours::None);
    screen.press(Key::Previous);
    screen.press(Key::Previous);
    let shown = looks(&model, &mut screen, (80, 12));
    assert!(
        shown.contains("sink: 10 offered = 7 accepted + 3 dropped"),
        "{shown}"
    );
    assert!(
        shown.contains("6 delivered, 0 failed, 0 discarded, 1 queued"),
        "{shown}"
    );
    assert!(shown.contains("3 queue_full"), "{shown}");
}
