//! What a thread that writes does.

use std::collections::VecDeque;

use rusqlite::{Connection, TransactionBehavior};
use stageflow_context::{OrgId, WallClock};

use super::files::{Files, Open, Wish};
use super::queue::{Job, Queue, Reply};
use super::{rows, trouble};
use crate::time::millis;
use crate::{StoreError, StoreErrorKind, Write};

/// A commit that waits.
type Commit = (Vec<Write>, Reply<bool>);

/// After how many transactions of a file some rows are deleted whose time is over.
const FORGET_EVERY: u64 = 64;

pub(super) fn run(queue: &Queue, mut files: Files, wall: &dyn WallClock) {
    while let Some((org, jobs)) = queue.take() {
        serve(&mut files, org, jobs, wall);
    }
}

fn serve(files: &mut Files, org: OrgId, jobs: VecDeque<Job>, wall: &dyn WallClock) {
    let mut commits = Vec::new();
    let mut others = Vec::new();
    for job in jobs {
        match job {
            // It has not begun, so it can as well not happen.
            job if job.is_abandoned() => {}
            Job::Commit(writes, reply) => commits.push((writes, reply)),
            job => others.push(job),
        }
    }
    let wish = match commits.is_empty() {
        true => Wish::Look,
        false => Wish::Write,
    };
    let file = files.get(org, |folder| folder.open_to_write(org, wish));
    let is_lost = match file {
        Err(error) => {
            let jobs = commits
                .into_iter()
                .map(|(writes, reply)| Job::Commit(writes, reply));
            jobs.chain(others).for_each(|job| job.fail(error.clone()));
            true
        }
        Ok(file) => {
            for job in others {
                if let Job::Prepare(reply) = job {
                    reply.send(Ok(()));
                }
            }
            file.is_some_and(|file| group(file, commits, millis(wall)).is_err())
        }
    };
    if is_lost {
        files.close(org);
    }
}

/// The file is not to be used any more.
struct Lost;

/// Makes one transaction of all that waits. If that fails, each is tried alone, so that what is wrong with one is not wrong
/// with all.
fn group(file: &mut Open, commits: Vec<Commit>, now: u64) -> Result<(), Lost> {
    if commits.is_empty() {
        return Ok(());
    }
    file.groups += 1;
    let forgets = file.groups % FORGET_EVERY == 1;
    let all: Vec<&[Write]> = commits.iter().map(|(writes, _)| &**writes).collect();
    match transaction(&mut file.connection, &all, now, forgets) {
        Ok(answers) => {
            for ((_, reply), answer) in commits.into_iter().zip(answers) {
                reply.send(Ok(answer));
            }
            Ok(())
        }
        Err(error) if commits.len() > 1 && error.kind() != StoreErrorKind::TooBusy => commits
            .into_iter()
            .try_for_each(|commit| group(file, vec![commit], now)),
        Err(error) => {
            let is_lost = matches!(
                error.kind(),
                StoreErrorKind::Corrupt | StoreErrorKind::Unavailable
            );
            for (_, reply) in commits {
                reply.send(Err(error.clone()));
            }
            match is_lost {
                true => Err(Lost),
                false => Ok(()),
            }
        }
    }
}

/// On the disk when it returns, or undone.
fn transaction(
    connection: &mut Connection,
    commits: &[&[Write]],
    now: u64,
    forgets: bool,
) -> Result<Vec<bool>, StoreError> {
    let doing = "committing";
    let mut transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(trouble::of(doing))?;
    let mut answers = Vec::with_capacity(commits.len());
    for writes in commits {
        let savepoint = transaction.savepoint().map_err(trouble::of(doing))?;
        let mut is_met = true;
        for write in *writes {
            is_met = is_met && rows::apply(&savepoint, write, now)?;
        }
        if is_met {
            savepoint.commit().map_err(trouble::of(doing))?;
        } else {
            savepoint.finish().map_err(trouble::of(doing))?;
        }
        answers.push(is_met);
    }
    if forgets {
        rows::forget_old(&transaction, now)?;
    }
    transaction.commit().map_err(trouble::of(doing))?;
    Ok(answers)
}
