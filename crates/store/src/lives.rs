//! What runs leave is there once, however often it is delivered. A run that was put back begins anew under its id: what its next
//! life leaves stands beside what the one before has left.

use std::collections::HashMap;

use stageflow_events::EventRecord;

use crate::{Class, Row, RunRecord, Shelf, StoreError, Write, body, log, runs};

/// How often somebody else may be faster.
const TRIES: u32 = 8;

/// Keeps these, at most [`Write::MOST`], without those that are there. `false` if others were faster again and again.
pub(crate) async fn keep(shelf: &dyn Shelf, writes: Vec<Write>) -> Result<bool, StoreError> {
    let mut rest = writes.clone();
    for _ in 0..TRIES {
        if rest.is_empty() || shelf.commit(rest).await? {
            return Ok(true);
        }
        // Some of them are there, or others are in their places. From the first place on, each time: so they are found again.
        rest = unknown(shelf, writes.clone()).await?;
    }
    Ok(false)
}

/// These without what is there already. What finds another life's in its place goes beside it.
async fn unknown(shelf: &dyn Shelf, writes: Vec<Write>) -> Result<Vec<Write>, StoreError> {
    let mut taken = HashMap::<(Class, String), Row>::new();
    let mut unknown = Vec::with_capacity(writes.len());
    for write in writes {
        let Write::Insert { class, mut row } = write else {
            unknown.push(write);
            continue;
        };
        for key in places(class, &row)? {
            let place = (class, key);
            let there = match taken.get(&place) {
                Some(row) => Some(row.clone()),
                None => shelf.get(class, &place.1).await?,
            };
            match there {
                Some(there) if is_same(class, &there, &row) => break,
                Some(_) => {}
                None => {
                    row.key.clone_from(&place.1);
                    taken.insert(place, row.clone());
                    unknown.push(Write::Insert { class, row });
                    break;
                }
            }
        }
    }
    Ok(unknown)
}

/// Where it may be: at its place, or behind that under its time.
fn places(class: Class, row: &Row) -> Result<Box<dyn Iterator<Item = String> + Send>, StoreError> {
    Ok(match class {
        Class::Runs => Box::new(runs::keys(row.key.clone(), row.at)),
        _ => {
            let record: EventRecord = body::read(row)?;
            Box::new(log::keys(row.key.clone(), record.time_us))
        }
    })
}

/// Whether this is it, or what was left of it when its user was erased: that stays.
fn is_same(class: Class, there: &Row, row: &Row) -> bool {
    let is_erased = || match class {
        Class::Runs => {
            serde_json::from_str::<RunRecord>(&there.body).is_ok_and(|record| record.is_erased())
        }
        _ => serde_json::from_str::<EventRecord>(&there.body)
            .is_ok_and(|record| record.erased() == record),
    };
    there.body == row.body || (there.at == row.at && is_erased())
}
