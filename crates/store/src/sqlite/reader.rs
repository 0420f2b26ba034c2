//! What a thread that reads does.

use rusqlite::Connection;
use stageflow_context::{OrgId, WallClock};

use super::files::Files;
use super::queue::{Job, Queue, Reply};
use super::rows;
use crate::time::millis;
use crate::{StoreError, StoreErrorKind};

pub(super) fn run(queue: &Queue, mut files: Files, wall: &dyn WallClock) {
    while let Some((org, jobs)) = queue.take() {
        for job in jobs {
            if !job.is_abandoned() {
                serve(&mut files, org, job, wall);
            }
        }
    }
}

fn serve(files: &mut Files, org: OrgId, job: Job, wall: &dyn WallClock) {
    let now = millis(wall);
    match job {
        Job::Get(class, key, reply) => answer(files, org, reply, |connection| {
            rows::get(connection, org, class, &key, now)
        }),
        Job::Scan(scan, reply) => answer(files, org, reply, |connection| {
            rows::scan(connection, org, &scan, now)
        }),
        // Not asked for here.
        Job::Commit(..) | Job::Prepare(_) | Job::Scrub(_) => job.fail(StoreError::new(
            StoreErrorKind::Unavailable,
            "writing where one reads",
        )),
    }
}

/// What is not there yet has no rows.
fn answer<T: Default>(
    files: &mut Files,
    org: OrgId,
    reply: Reply<T>,
    read: impl FnOnce(&Connection) -> Result<T, StoreError>,
) {
    let file = files.get(org, |folder| folder.open_to_read(org));
    let answer = match file {
        Ok(Some(file)) => read(&file.connection),
        Ok(None) => Ok(T::default()),
        Err(error) => Err(error),
    };
    let is_lost = answer.is_err();
    reply.send(answer);
    if is_lost {
        files.close(org);
    }
}
