//! A refund that a person has to agree to, within a budget.
//!
//! ```sh
//! cargo run --example approval
//! ```
//!
//! A few rules play the person at the desk; in a service, that is a page that lists `desk.pending()`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stageflow::executor::ApprovalRequest;
use stageflow::prelude::*;

/// What a customer wants back, in cents, and why.
struct Claim {
    customer: &'static str,
    cents: u64,
    why: &'static str,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Refund {
    customer: String,
    cents: u64,
    letter: String,
}

/// Lets a model write the letter: what it may cost is set aside first, what it did cost is booked afterwards.
async fn draft(cx: StageCx, claim: Arc<Claim>) -> Result<Refund, Stop> {
    let set_aside = cx.reserve(Amounts::tokens(300)).await?;
    let letter = format!("Dear {}, sorry about the {}.", claim.customer, claim.why);
    set_aside.settle(Amounts::tokens(letter.len() as u64));
    Ok(Refund {
        customer: claim.customer.to_owned(),
        cents: claim.cents,
        letter,
    })
}

async fn pay(_cx: StageCx, refund: Arc<Refund>) -> Result<String, Stop> {
    let sum = Cost::from_cents(refund.cents);
    Ok(format!("{} gets {sum}: {}", refund.customer, refund.letter))
}

fn refunds() -> Result<Pipeline<Claim, String>, Box<dyn std::error::Error>> {
    let mut p = Pipeline::builder("refund");
    let claim = p.input::<Claim>();
    let refund = p.stage("draft", stage_fn(draft)).after(claim);
    let gate = approval::<Refund>()
        .ask("Pay this refund?")
        .deadline(60.mins(), AtDeadline::Reject);
    let agreed = p.stage("agree", gate).after(refund);
    let paid = p.stage("pay", stage_fn(pay)).after(agreed);
    Ok(p.output(paid).build()?)
}

/// Who decides: small sums pass, large ones are cut, and some are turned down.
fn decide(desk: &ApprovalDesk, request: ApprovalRequest) -> Result<(), Box<dyn std::error::Error>> {
    let mut refund: Refund = serde_json::from_value(request.payload)?;
    match refund.cents {
        0..=5_000 => desk.approve(request.id, "ada")?,
        5_001..=50_000 => {
            refund.cents = 5_000;
            desk.edit(request.id, serde_json::to_value(refund)?, "ada")?;
        }
        _ => desk.reject(request.id, "far too much", "ada")?,
    }
    Ok(())
}

async fn answer_all() -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let claims = [
        ("Bo", 1_250, "broken cup"),
        ("Cy", 40_000, "late train"),
        ("Di", 900_000, "bad weather"),
        ("Ed", 700, "wrong colour"),
    ];
    let pipeline = refunds()?;
    let desk = ApprovalDesk::new();
    let engine = Engine::builder().approvals(desk.clone()).build();
    let budget = Budget::new("letters today", BudgetLimits::new().tokens(400));

    let mut lines = Vec::new();
    for (customer, cents, why) in claims {
        let claim = Claim {
            customer,
            cents,
            why,
        };
        let run = engine.run(&pipeline, claim, RunOptions::new().budget(budget.clone()));
        tokio::pin!(run);
        let report = tokio::select! {
            report = &mut run => report, // it ended before anybody was asked
            request = desk.next_request() => {
                decide(&desk, request)?;
                run.await
            }
        };
        lines.push(match report.output() {
            Ok(paid) => paid.clone(),
            Err(error) => format!("{customer} gets nothing: {error}"),
        });
    }
    lines.push(format!("{} tokens were used", budget.spent().tokens));
    Ok(lines)
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "this is what the program is for")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in answer_all().await? {
        println!("{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
