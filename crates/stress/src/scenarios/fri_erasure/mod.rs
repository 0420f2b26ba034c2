//! A user is erased: nothing of theirs is left, in no row and in no byte of a file, and everything of others is.

mod faulty;
mod place;

use std::num::NonZeroU32;
use std::time::Duration;

use rand::RngExt as _;
use stageflow::context::{OrgId, SealKey, SealKeys, SeededIds, UserId};
use stageflow::events::journal;
use stageflow_store::{
    AuditTrail, Class, Erasure, ErasureReceipt, SqliteOptions, SqliteStore, Store as _,
};
use tokio::time::Instant;

use self::faulty::{Fault, Faulty};
use self::place::{Place, scope};
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Theme, Tier, Trial};

pub(super) fn scenario() -> Scenario {
    Scenario::new("FRI-ERASURE", "a user is erased")
        .proves(
            "after an erasure, stopped at random points or not, no row and no byte of a file holds what was the user's; all of the \
             others' is there; the trail and the journal verify; and the receipt holds only if that is so",
        )
        .theme(Theme::Fri)
        .tier(Tier::Daily)
        .modes(["T10"])
        .expected(Duration::from_secs(3))
        .control(Control::own("forgets-a-class", "does not look at approvals"))
        .control(Control::own("keeps-content", "leaves what was said in the tombstones of events"))
        .control(Control::own("claims-only", "says that documents were erased, and does nothing"))
        .control(Control::own("leaves-bytes", "deletes rows and leaves their bytes in the files"))
        .run(run)
}

/// What trials have found together.
#[derive(Default)]
struct Tally {
    residual: u64,
    erased_rows: u64,
    stops: u64,
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut tally = Tally::default();
    lab.trials(lab.scaled(4), |lab, trial| {
        let done = drill(lab, trial, &mut tally);
        lab.on(Runtime::Ct, done)?
    })?;
    lab.metric("residual_canaries", "count", tally.residual as f64);
    lab.law("residual_canaries", Op::AtMost, 0.0);
    lab.metric("erased_rows", "rows", tally.erased_rows as f64);
    lab.metric("stops", "count", tally.stops as f64);
    if !lab.is_control() && lab.only_trial.is_none() {
        lab.on(Runtime::Ct, speed(lab))??;
    }
    Ok(())
}

fn fault(lab: &Lab) -> Fault {
    match () {
        () if lab.is_broken("forgets-a-class") => Fault::ForgetsClass,
        () if lab.is_broken("keeps-content") => Fault::KeepsContent,
        () if lab.is_broken("claims-only") => Fault::ClaimsOnly,
        () if lab.is_broken("leaves-bytes") => Fault::LeavesBytes,
        () => Fault::None,
    }
}

fn keys() -> SealKeys {
    SealKeys::new(SealKey::new(7, [17; 32]))
}

/// One tenant with three users, of whom one goes.
async fn drill(lab: &Lab, trial: Trial, tally: &mut Tally) -> Result<(), LabError> {
    let rng = &mut trial.seed.rng();
    let ids = SeededIds::new(trial.seed.get());
    let folder = tempfile::tempdir().map_err(LabError::new)?;
    let org = OrgId::generate(&ids);
    let users = [(); 3].map(|()| UserId::generate(&ids));
    let each = rng.random_range(1..25);
    let mut place = Place::open(folder.path(), org)?;
    place.fill(&users, each, &ids).await?;
    let others: Vec<u64> = place.found(&users).await?;
    let [gone, ..] = users;

    for _ in 0..rng.random_range(0..4) {
        let stop = rng.random_range(1..12);
        let store = Faulty::new(&place.store, fault(lab)).stopping_after(stop);
        let erased = place
            .erasure(store, &keys())
            .erase(&scope(org)?, gone)
            .await;
        tally.stops += u64::from(erased.is_err());
    }
    let store = Faulty::new(&place.store, fault(lab));
    let erased = place
        .erasure(store, &keys())
        .erase(&scope(org)?, gone)
        .await;
    let receipt = erased.map_err(LabError::new)?;
    tally.erased_rows += Class::ALL
        .iter()
        .map(|class| receipt.rows(*class))
        .sum::<u64>();
    judge(lab, &mut place, (users, &others), &receipt, tally).await
}

async fn judge(
    lab: &Lab,
    place: &mut Place,
    (users, before): ([UserId; 3], &[u64]),
    receipt: &ErasureReceipt,
    tally: &mut Tally,
) -> Result<(), LabError> {
    let found = place.found(&users).await?;
    tally.residual += found[0];
    let law = "nothing of an erased user is left";
    lab.check(found[0] == 0, law, Breach::Leaked, || {
        format!("{} times", found[0])
    });
    let law = "everything of the others is there";
    // Files hold copies of what was written over; rows do not.
    let rows = place.in_rows(&users).await?;
    lab.check(rows[1] > 0 && rows[2] > 0, law, Breach::Lost, || {
        format!("{rows:?}, {before:?}")
    });

    let org = place.org;
    let holds = place.erasure(place.store.clone(), &keys());
    let holds = holds.verify(&scope(org)?, users[0], receipt).await;
    let law = "a receipt holds if nothing is left";
    lab.check(holds.is_ok(), law, Breach::WrongStatus, || {
        format!("{holds:?}")
    });
    let shelf = place
        .store
        .open(&scope(org)?)
        .await
        .map_err(LabError::new)?;
    let trail = AuditTrail::new(shelf, keys()).verify().await;
    let law = "the trail verifies after an erasure";
    lab.check(trail.is_ok(), law, Breach::Lost, || format!("{trail:?}"));
    let verified = journal::verify_to(&place.journal, &place.head);
    let tombstones = verified.as_ref().map(|verified| verified.erased);
    let law = "the journal verifies, with a tombstone for each record";
    let expected = Some(place.journal_records(users[0]));
    lab.check(tombstones.ok() == expected, law, Breach::Lost, || {
        format!("{verified:?}")
    });
    place.store.close().await;
    Ok(())
}

/// How long it takes to erase fourteen hundred rows from files.
async fn speed(lab: &Lab) -> Result<(), LabError> {
    let ids = SeededIds::new(2);
    let folder = tempfile::tempdir().map_err(LabError::new)?;
    let org = OrgId::generate(&ids);
    let user = UserId::generate(&ids);
    let place = Place::open(folder.path(), org)?;
    place.fill_rows(&[user], 1_400 / 7, &ids).await?;
    let at_once = NonZeroU32::new(500).unwrap_or(NonZeroU32::MIN);
    let erasure = Erasure::new(place.store.clone(), keys()).at_once(at_once);
    let began = Instant::now();
    erasure
        .erase(&scope(org)?, user)
        .await
        .map_err(LabError::new)?;
    lab.metric("erase_1400_rows", "ms", began.elapsed().as_secs_f64() * 1e3);
    place.store.close().await;
    let other = folder.path().join("append");
    let store = SqliteStore::open(other, SqliteOptions::new()).map_err(LabError::new)?;
    let shelf = store.open(&scope(org)?).await.map_err(LabError::new)?;
    let trail = AuditTrail::new(shelf, keys());
    let began = Instant::now();
    for n in 0..5_u32 {
        let drafts = (0..100).map(|m| stageflow_store::AuditDraft::new(format!("auth.n{n}m{m}")));
        trail
            .append(drafts.collect())
            .await
            .map_err(LabError::new)?;
    }
    let rate = 500.0 / began.elapsed().as_secs_f64();
    lab.metric("audit_appends_in_hundreds", "1/s", rate);
    store.close().await;
    Ok(())
}
