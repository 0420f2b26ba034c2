//! A user is erased: nothing of theirs is left, in no row and in no byte of a file, and everything of others is.

mod answered;
mod faulty;
mod place;

use std::time::Duration;

use rand::RngExt as _;
use stageflow::context::{OrgId, SealKey, SealKeys, SeededIds, UserId};
use stageflow::events::journal;
use stageflow::interceptors::idempotency::{Begun, Finished};
use stageflow_store::{
    AuditDraft, AuditTrail, Class, Erasure, ErasureError, ErasureErrorKind, ErasureReceipt,
    SqliteOptions, SqliteStore, Store as _,
};
use tokio::time::Instant;

use self::answered::Answered;
use self::faulty::{Fault, Faulty};
use self::place::{Place, scope};
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Theme, Tier, Trial};

/// So many rows of each class a user has in a large house: ten thousand in all.
const LARGE: u64 = 1_429;

pub(super) fn scenario() -> Scenario {
    Scenario::new("FRI-ERASURE", "a user is erased")
        .proves(
            "after an erasure, stopped at random points or not, no row and no byte of a file holds what was the user's, answers \
             under idempotency keys included; all of the others' is there; work that goes on is not begun a second time; the \
             trail and the journal verify; and the receipt holds only if that is so",
        )
        .theme(Theme::Fri)
        .tier(Tier::Smoke)
        .modes(["T10"])
        .expected(Duration::from_secs(5))
        .control(Control::own("forgets-a-class", "does not look at approvals"))
        .control(Control::own("keeps-content", "leaves what was said in the tombstones of events"))
        .control(Control::own("claims-only", "says that documents were erased, and does nothing"))
        .control(Control::own("leaves-bytes", "deletes rows and leaves their bytes in the files"))
        .control(Control::own("names-nobody", "keeps answers without the user who asked"))
        .control(Control::own("takes-holds", "erases the hold of work that goes on"))
        .run(run)
}

/// What trials have found together.
#[derive(Default)]
struct Tally {
    residual: u64,
    erased_rows: u64,
    stops: u64,
    in_files: u64,
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut tally = Tally::default();
    lab.trials(lab.scaled(1_000), |lab, trial| {
        let done = drill(lab, trial, &mut tally);
        lab.on(Runtime::Ct, done)?
    })?;
    lab.metric("residual_canaries", "count", tally.residual as f64);
    lab.law("residual_canaries", Op::AtMost, 0.0);
    lab.metric("erased_rows", "rows", tally.erased_rows as f64);
    lab.metric("stops", "count", tally.stops as f64);
    lab.metric("trials_in_files", "count", tally.in_files as f64);
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
        () if lab.is_broken("names-nobody") => Fault::NamesNobody,
        () if lab.is_broken("takes-holds") => Fault::TakesHolds,
        () => Fault::None,
    }
}

fn keys() -> SealKeys {
    SealKeys::new(SealKey::new(7, [17; 32]))
}

/// How much there is in a trial: a few houses are large, some are in files, most are small and in memory.
fn each(trial: u64, dice: u64) -> u64 {
    match trial % 500 {
        1 => LARGE,
        n if n % 125 == 0 => 1 + dice % 24,
        _ => 1 + dice % 6,
    }
}

/// One tenant with three users, of whom one goes.
async fn drill(lab: &Lab, trial: Trial, tally: &mut Tally) -> Result<(), LabError> {
    let rng = &mut trial.seed.rng();
    let ids = SeededIds::new(trial.seed.get());
    let org = OrgId::generate(&ids);
    let users = [(); 3].map(|()| UserId::generate(&ids));
    let each = each(trial.index, rng.random());
    let (folder, mut place) = match trial.index % 125 {
        0 | 1 => {
            let folder = tempfile::tempdir().map_err(LabError::new)?;
            let place = Place::in_files(folder.path(), org)?;
            (Some(folder), place)
        }
        _ => (None, Place::in_memory(org)),
    };
    // In a large house, the others have little.
    match each {
        LARGE => place.fill(&users[..1], each, &ids).await?,
        _ => place.fill(&users, each, &ids).await?,
    }
    let answered = Answered::at(&place, fault(lab))?;
    for user in users {
        answered.done(user).await?;
    }
    let others = place.in_rows(&users).await?;
    let [gone, ..] = users;

    for _ in 0..rng.random_range(0..4) {
        let stop = rng.random_range(1..12);
        let store = Faulty::new(&place.store, fault(lab)).stopping_after(stop);
        tally.stops += u64::from(erase(&place, store, gone).await?.is_err());
    }
    if rng.random_range(0..4) == 0 || trial.index < 8 {
        held(lab, &place, &answered, gone).await?;
    }
    let store = Faulty::new(&place.store, fault(lab));
    let receipt = erase(&place, store, gone).await?.map_err(LabError::new)?;
    let rows = Class::ALL.iter().map(|class| receipt.rows(*class));
    tally.erased_rows += rows.sum::<u64>();
    tally.in_files += u64::from(folder.is_some());
    judge(lab, &place, (users, &others), &receipt, tally).await?;
    place.close().await;
    Ok(())
}

async fn erase(
    place: &Place,
    store: Faulty,
    user: UserId,
) -> Result<Result<ErasureReceipt, ErasureError>, LabError> {
    let erasure = place.erasure(store, &keys());
    Ok(erasure.erase(&scope(place.org)?, user).await)
}

/// While work of theirs goes on they are not erased, nobody else begins it, and whoever does it can finish.
async fn held(lab: &Lab, place: &Place, answered: &Answered, user: UserId) -> Result<(), LabError> {
    let Begun::Mine(token) = answered.begin(user, "held").await? else {
        return Err(LabError::new("a new key is nobody's"));
    };
    let store = Faulty::new(&place.store, fault(lab));
    let erased = erase(place, store, user).await?;
    let kind = erased.err().map(|error| error.kind());
    let law = "nobody is erased whose work goes on";
    let expected = Some(ErasureErrorKind::UnderWay);
    lab.check(kind == expected, law, Breach::WrongStatus, || {
        format!("{kind:?}")
    });
    let again = answered.begin(user, "held").await?;
    let law = "work that goes on is not begun a second time";
    let is_held = matches!(again, Begun::Held(_));
    lab.check(is_held, law, Breach::Duplicated, || format!("{again:?}"));
    let finished = answered.finish(user, "held", token).await?;
    let law = "whoever has the work can finish it";
    lab.check(finished == Finished::Kept, law, Breach::Lost, || {
        format!("{finished:?}")
    });
    Ok(())
}

async fn judge(
    lab: &Lab,
    place: &Place,
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
    lab.check(rows[1..] == before[1..], law, Breach::Lost, || {
        format!("{rows:?}, {before:?}")
    });

    let org = place.org;
    let store = Faulty::new(&place.store, Fault::None);
    let holds = place.erasure(store, &keys());
    let holds = holds.verify(&scope(org)?, users[0], receipt).await;
    let law = "a receipt holds if nothing is left";
    lab.check(holds.is_ok(), law, Breach::WrongStatus, || {
        format!("{holds:?}")
    });
    let trail = AuditTrail::new(place.shelf().await?, keys()).verify().await;
    let law = "the trail verifies after an erasure";
    lab.check(trail.is_ok(), law, Breach::Lost, || format!("{trail:?}"));
    if place.has_files() {
        let verified = journal::verify_to(&place.journal, &place.head);
        let tombstones = verified.as_ref().map(|verified| verified.erased);
        let law = "the journal verifies, with a tombstone for each record";
        let expected = Some(place.journal_records(users[0]));
        lab.check(tombstones.ok() == expected, law, Breach::Lost, || {
            format!("{verified:?}")
        });
    }
    Ok(())
}

/// How long it takes to erase ten thousand rows from files, and to append to a trail.
async fn speed(lab: &Lab) -> Result<(), LabError> {
    let ids = SeededIds::new(2);
    let folder = tempfile::tempdir().map_err(LabError::new)?;
    let org = OrgId::generate(&ids);
    let user = UserId::generate(&ids);
    let mut place = Place::in_files(folder.path(), org)?;
    place.fill(&[user], LARGE, &ids).await?;
    let store = Faulty::new(&place.store, Fault::None);
    let erasure = Erasure::new(store, keys());
    let began = Instant::now();
    let erased = erasure.erase(&scope(org)?, user).await;
    erased.map_err(LabError::new)?;
    lab.metric(
        "erase_10000_rows",
        "ms",
        began.elapsed().as_secs_f64() * 1e3,
    );
    place.close().await;
    let other = folder.path().join("append");
    let store = SqliteStore::open(other, SqliteOptions::new()).map_err(LabError::new)?;
    let shelf = store.open(&scope(org)?).await.map_err(LabError::new)?;
    let trail = AuditTrail::new(shelf, keys());
    let began = Instant::now();
    for n in 0..5_u32 {
        let drafts = (0..100).map(|m| AuditDraft::new(format!("auth.n{n}m{m}")));
        let appended = trail.append(drafts.collect()).await;
        appended.map_err(LabError::new)?;
    }
    let rate = 500.0 / began.elapsed().as_secs_f64();
    lab.metric("audit_appends_in_hundreds", "1/s", rate);
    store.close().await;
    Ok(())
}
