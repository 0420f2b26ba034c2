//! One tenant storms, and others who use the same store notice little of it, on a clock that runs.

mod street;

use crate::stats::median;
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Theme, Tier};
use street::Street;

/// How often the quiet ones are looked at without the storm and, at once, with it.
const PAIRS: usize = 3;
/// So many runs of each quiet one are a look at it, one after the other: its p99 is the second slowest.
const RUNS: usize = 100;
/// How much longer a tail may be beside the storm: in the middle (as a ratio) of what was measured of what is right on a machine with
/// five times as much to do as it has cores, at most 2.8, and of what is wrong, at least 13. The tight bound is FRI-QUOTAS', whose
/// clock nobody else uses.
const MOST: f64 = 6.0;

pub(super) fn scenario() -> Scenario {
    Scenario::new("FRI-NEIGHBOURS", "one tenant storms, others use the same store")
        .proves(
            "beside a tenant that offers a hundred runs at any moment where each other one offers one, over a store on disk and on \
             a clock that runs, no other's tail is longer by more than the order of turns allows",
        )
        .theme(Theme::Fri)
        .tier(Tier::Daily)
        .targets(["SEC-001"])
        .modes(["T7", "T8"])
        .expected(std::time::Duration::from_secs(8))
        .control(Control::own("fifo", "lets in whoever came first, whoever it is"))
        .control(Control::own("starves-one", "one tenant of all lets the one that storms go first"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    lab.trials(lab.scaled(1), |lab, trial| {
        let folder = tempfile::tempdir().map_err(LabError::new)?;
        // What a control breaks is far beyond the bound, and waits long for each run.
        let (looks, runs) = if lab.is_control() {
            (3, 20)
        } else {
            (PAIRS, RUNS)
        };
        let street = Street::open(lab, trial.seed, folder.path(), runs)?;
        let pairs = lab.on(Runtime::MtN, async {
            let mut pairs = Vec::new();
            for _ in 0..looks {
                let calm = street.tails().await?;
                pairs.push((calm, street.tails_in_a_storm().await?));
            }
            street.close().await;
            Ok::<_, LabError>(pairs)
        })??;
        lab.count_trials(street.runs() - 1);
        judge(lab, &pairs);
        Ok(())
    })
}

/// Of each tenant the median over the pairs, as what else the machine does is not even; and then the tenant that is hit hardest.
fn judge(lab: &Lab, pairs: &[(Vec<f64>, Vec<f64>)]) {
    let tenants = pairs.first().map_or(0, |(calm, _)| calm.len());
    let ratios = (0..tenants).map(|tenant| {
        let ratios = pairs
            .iter()
            .map(|(calm, storm)| storm[tenant] / calm[tenant]);
        median(&ratios.collect::<Vec<_>>())
    });
    let ratios: Vec<f64> = ratios.collect();
    let worst = ratios.iter().copied().fold(0.0, f64::max);
    lab.samples(
        "tail_calm_ms",
        "ms",
        pairs.iter().flat_map(|(calm, _)| calm.clone()),
    );
    lab.samples(
        "tail_storm_ms",
        "ms",
        pairs.iter().flat_map(|(_, storm)| storm.clone()),
    );
    lab.metric("worst_tail_ratio", "ratio", worst);
    lab.log(format!("{ratios:.2?} times"));
    lab.gate("worst_tail_ratio", Op::AtMost, MOST);
    let law = "the tail of the neighbour that is hit hardest stays near what it was";
    lab.check(worst <= MOST, law, Breach::WrongStatus, || {
        format!("{ratios:.1?} times, {pairs:.1?} ms")
    });
}
