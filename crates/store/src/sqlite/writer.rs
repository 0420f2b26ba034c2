//! What a thread that writes does.

use std::collections::VecDeque;

use rusqlite::TransactionBehavior;
use stageflow_context::{OrgId, WallClock};

use super::files::{Files, Open, Wish};
use super::queue::{Job, Queue, Reply};
use super::{rows, scrub, trouble};
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

/// What an org asks for, by what it is.
#[derive(Default)]
struct Asked {
    commits: Vec<Commit>,
    prepares: Vec<Reply<()>>,
    scrubs: Vec<Reply<()>>,
}

impl Asked {
    fn sort(jobs: VecDeque<Job>) -> Self {
        let mut asked = Self::default();
        for job in jobs {
            match job {
                // It has not begun, so it can as well not happen.
                job if job.is_abandoned() => {}
                Job::Commit(writes, reply) => asked.commits.push((writes, reply)),
                Job::Prepare(reply) => asked.prepares.push(reply),
                Job::Scrub(reply) => asked.scrubs.push(reply),
                Job::Get(..) | Job::Scan(..) => job.fail(StoreError::new(
                    StoreErrorKind::Unavailable,
                    "reading where one writes",
                )),
            }
        }
        asked
    }
}

fn serve(files: &mut Files, org: OrgId, jobs: VecDeque<Job>, wall: &dyn WallClock) {
    let asked = Asked::sort(jobs);
    let wish = match asked.commits.is_empty() {
        true => Wish::Look,
        false => Wish::Write,
    };
    let file = files.get(org, |folder| folder.open_to_write(org, wish));
    let now = millis(wall);
    let ended = match file {
        Err(error) => {
            tell(
                asked.commits.into_iter().map(|(_, reply)| reply),
                &Err(error.clone()),
            );
            tell(asked.prepares.into_iter().chain(asked.scrubs), &Err(error));
            Err(Lost)
        }
        // There is nothing to do to what is not there.
        Ok(None) => {
            tell(asked.prepares.into_iter().chain(asked.scrubs), &Ok(()));
            Ok(())
        }
        Ok(Some(file)) => {
            tell(asked.prepares, &Ok(()));
            let committed = group(file, asked.commits, now);
            let scrubbed = scrub_for(asked.scrubs, file, now);
            committed.and(scrubbed)
        }
    };
    if ended.is_err() {
        files.close(org);
    }
}

fn scrub_for(asked: Vec<Reply<()>>, file: &Open, now: u64) -> Result<(), Lost> {
    if asked.is_empty() {
        return Ok(());
    }
    let scrubbed = scrub::scrub(&file.connection, now);
    tell(asked, &scrubbed);
    match scrubbed {
        Err(error) if is_lost(&error) => Err(Lost),
        _ => Ok(()),
    }
}

fn tell<T: Clone>(replies: impl IntoIterator<Item = Reply<T>>, answer: &Result<T, StoreError>) {
    for reply in replies {
        reply.send(answer.clone());
    }
}

/// The file is not to be used any more.
struct Lost;

fn is_lost(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        StoreErrorKind::Corrupt | StoreErrorKind::Unavailable
    )
}

/// Makes one transaction of all that waits. If that fails, each is tried alone, so that what is wrong with one is not wrong
/// with all.
fn group(file: &mut Open, commits: Vec<Commit>, now: u64) -> Result<(), Lost> {
    if commits.is_empty() {
        return Ok(());
    }
    file.groups += 1;
    let forgets = file.groups % FORGET_EVERY == 1;
    let all: Vec<&[Write]> = commits.iter().map(|(writes, _)| &**writes).collect();
    match transaction(file, &all, now, forgets) {
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
            let is_lost = is_lost(&error);
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
    file: &mut Open,
    commits: &[&[Write]],
    now: u64,
    forgets: bool,
) -> Result<Vec<bool>, StoreError> {
    let doing = "committing";
    let org = file.org;
    let mut transaction = file
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(trouble::of(doing))?;
    let mut answers = Vec::with_capacity(commits.len());
    for writes in commits {
        let savepoint = transaction.savepoint().map_err(trouble::of(doing))?;
        let mut is_met = true;
        for write in *writes {
            is_met = is_met && rows::apply(&savepoint, org, write, now)?;
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
