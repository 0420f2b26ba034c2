//! From a schedule that goes wrong to a small one that still does.

use super::oracle::Model;
use super::schedule::{End, Schedule, Step};

/// The smallest schedule that can be reached by leaving things out, one after the other, while it still goes wrong.
pub(crate) async fn shrink(
    schedule: Schedule,
    mut is_wrong: impl AsyncFnMut(&Schedule) -> bool,
) -> Schedule {
    /// No schedule needs so many.
    const ROUNDS: usize = 500;

    let mut smallest = tidy(schedule);
    'rounds: for _ in 0..ROUNDS {
        for smaller in simpler(&smallest) {
            if smaller != smallest && is_wrong(&smaller).await {
                smallest = smaller;
                continue 'rounds;
            }
        }
        break;
    }
    smallest
}

/// Without the steps that are passed over. What is left over at the end is dropped: that is a step, too.
pub(crate) fn tidy(schedule: Schedule) -> Schedule {
    let steps = Model::whole(&schedule)
        .turns
        .into_iter()
        .filter_map(|turn| turn.step)
        .collect();
    Schedule { steps, ..schedule }
}

/// Every schedule with one thing less.
fn simpler(schedule: &Schedule) -> Vec<Schedule> {
    let mut found = Vec::new();
    if schedule.stages.len() > 1 {
        found.extend((0..schedule.stages.len()).map(|stage| without(schedule, stage)));
    }
    for at in 0..schedule.steps.len() {
        let mut fewer = schedule.clone();
        fewer.steps.remove(at);
        found.push(fewer);
        if let Step::Ends(ends) = &schedule.steps[at] {
            for which in 0..ends.len() {
                let mut easier = schedule.clone();
                if let Step::Ends(ends) = &mut easier.steps[at] {
                    ends[which].1 = End::Ok;
                }
                found.push(easier);
                if ends.len() > 1 {
                    let mut fewer = schedule.clone();
                    if let Step::Ends(ends) = &mut fewer.steps[at] {
                        ends.remove(which);
                    }
                    found.push(fewer);
                }
            }
        }
    }
    for stage in 0..schedule.stages.len() {
        let node = &schedule.stages[stage];
        for edge in 0..node.after.len() {
            let mut fewer = schedule.clone();
            fewer.stages[stage].after.remove(edge);
            found.push(fewer);
        }
        if node.optional {
            let mut easier = schedule.clone();
            easier.stages[stage].optional = false;
            found.push(easier);
        }
        if node.at_once.is_some() {
            let mut easier = schedule.clone();
            easier.stages[stage].at_once = if node.at_once == Some(End::Ok) {
                None
            } else {
                Some(End::Ok)
            };
            found.push(easier);
        }
    }
    if schedule.width.is_some() {
        found.push(Schedule {
            width: None,
            ..schedule.clone()
        });
    }
    found.into_iter().map(tidy).collect()
}

/// Without a stage; those that waited for it no longer do.
fn without(schedule: &Schedule, gone: usize) -> Schedule {
    let moved = |stage: usize| (stage != gone).then(|| stage - usize::from(stage > gone));
    let mut smaller = schedule.clone();
    smaller.stages.remove(gone);
    for node in &mut smaller.stages {
        node.after = node.after.iter().filter_map(|up| moved(*up)).collect();
    }
    for step in &mut smaller.steps {
        if let Step::Ends(ends) = step {
            *ends = ends
                .iter()
                .filter_map(|(stage, end)| moved(*stage).map(|stage| (stage, *end)))
                .collect();
        }
    }
    smaller
}
