//! What is said, letter by letter.

use expect_test::expect;

use crate::cli::table;
use crate::report::Report;
use crate::report::tests::sample;
use crate::{Breach, Scenario, Theme, Tier};

#[test]
fn a_run_as_a_table() {
    let results = [
        sample::passed("C1-BASELINE", 200),
        sample::failed("T3-CANCEL", Breach::ResourceLeak, 200, 7),
        sample::pending("M2-JITTER"),
    ];
    expect![[r#"
        ┌────────────────────────────────────────────────────────────────────────────────────────────┐
        │ id            verdict   trials   violations   upper95   controls     time   controls' time │
        ╞════════════════════════════════════════════════════════════════════════════════════════════╡
        │ C1-BASELINE   pass         200            0    1.5e-2        2/2   1.23 s           0.32 s │
        │ T3-CANCEL     fail         200            7    6.3e-2        2/2   1.23 s           0.32 s │
        │ M2-JITTER     pending        -            -         -          -        -                - │
        └────────────────────────────────────────────────────────────────────────────────────────────┘"#]].assert_eq(&table::results(&results));
}

#[test]
fn what_failed_comes_with_the_command_that_repeats_it() {
    let mut blind = sample::passed("A07-DAGS", 5);
    blind.controls[0].detected = false;
    let results = [
        sample::failed("T3-CANCEL", Breach::ResourceLeak, 200, 7),
        blind,
    ];
    expect![[r#"
        high T3-CANCEL: acquired = released <script>alert(1)</script> (7 times)
            permit 17 of stage `fetch` was not given back
            left: 4
            right: 3
            cargo xtask stress --only T3-CANCEL --seed 0x2a --trial 12
        high A07-DAGS: the control `lost-write` was not noticed (loses one write in 10 000)
            cargo xtask stress --only A07-DAGS --seed 0x2a"#]]
    .assert_eq(&table::problems(&results));
}

#[test]
fn the_last_line_counts() {
    let report = Report::of(sample::rich(), "run".to_owned());
    expect!["FAIL: 5 of 12 scenarios passed; failed: 4, interrupted: 1, pending: 2; controls noticed: 19 of 20."].assert_eq(&table::closing(&report));
}

#[test]
fn the_list_says_what_is_pending_and_why() {
    let scenarios = [
        Scenario::new("T1-ONE", "the first")
            .theme(Theme::Thu)
            .tier(Tier::Smoke)
            .run(|_| Ok(())),
        Scenario::new("T2-TWO", "the second").pending("a database"),
    ];
    expect![[r#"
        ┌──────────────────────────────────────────────────────────────────────┐
        │ id       tier    theme   controls   state                 title      │
        ╞══════════════════════════════════════════════════════════════════════╡
        │ T1-ONE   smoke   thu            0   ready                 the first  │
        │ T2-TWO   daily   any            0   pending: a database   the second │
        └──────────────────────────────────────────────────────────────────────┘"#]]
    .assert_eq(&table::list(scenarios.iter()));
}
