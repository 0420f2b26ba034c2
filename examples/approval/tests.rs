//! What the program prints.

use expect_test::expect;

#[tokio::test]
async fn it_pays_what_was_agreed_to() {
    let lines = super::answer_all().await.unwrap();
    expect![[r#"
        Bo gets 12.50: Dear Bo, sorry about the broken cup.
        Cy gets 50.00: Dear Cy, sorry about the late train.
        Di gets nothing: SF0405: pipeline `refund` has no output: stage `agree` skipped (rejected by ada: far too much); make it `.optional()` if the output can do without it
        Ed gets nothing: SF0401: pipeline `refund` failed: SF0301: stage `draft` failed: SF0217: budget `letters today`: 300 tokens asked for, but 109 tokens of 400 tokens are used; raise the limit with `budget.raise(..)`, ask for less, or wait with `OnExceed::Suspend`; fix the cause, or make the stage `.optional()`
        109 tokens were used
    "#]]
    .assert_eq(&(lines.join("\n") + "\n"));
}
