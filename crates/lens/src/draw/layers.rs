//! Where each stage goes: one to the right of the last it waits for.

use super::is_fine;
use crate::{RunStory, StageStory};

/// The most stages a reader can follow.
const MOST: usize = 120;

/// The places of the stages that are drawn.
pub(super) struct Layers {
    /// Column and row.
    pub(super) places: Vec<Option<(usize, usize)>>,
    /// How many there are in each column.
    pub(super) heights: Vec<usize>,
}

impl Layers {
    pub(super) fn of(run: &RunStory) -> Self {
        let shown = shown(&run.stages);
        let depths = depths(&run.stages, &shown);
        let mut heights: Vec<usize> = Vec::new();
        let place = |(at, depth): (usize, usize)| {
            shown[at].then(|| {
                if heights.len() <= depth {
                    heights.resize(depth + 1, 0);
                }
                heights[depth] += 1;
                (depth, heights[depth] - 1)
            })
        };
        let places = depths.into_iter().enumerate().map(place).collect();
        Self { places, heights }
    }

    pub(super) fn hidden(&self) -> usize {
        self.places.iter().filter(|place| place.is_none()).count()
    }
}

/// How far each is from a root, by way of those that are shown. What waits for itself, as no pipeline does, is at the left.
fn depths(stages: &[StageStory], shown: &[bool]) -> Vec<usize> {
    let known = |stage: &StageStory| -> Vec<usize> {
        stage
            .after
            .iter()
            .copied()
            .filter(|up| *up < stages.len())
            .collect()
    };
    let mut waiting: Vec<usize> = stages.iter().map(|stage| known(stage).len()).collect();
    let mut down: Vec<Vec<usize>> = vec![Vec::new(); stages.len()];
    for (at, stage) in stages.iter().enumerate() {
        for up in known(stage) {
            down[up].push(at);
        }
    }
    let mut depths = vec![0; stages.len()];
    let mut ready: Vec<usize> = (0..stages.len()).filter(|at| waiting[*at] == 0).collect();
    while let Some(at) = ready.pop() {
        let step = depths[at] + usize::from(shown[at]);
        for next in &down[at] {
            depths[*next] = depths[*next].max(step);
            waiting[*next] -= 1;
            if waiting[*next] == 0 {
                ready.push(*next);
            }
        }
    }
    depths
}

/// Of a large run, what did not go well and what it waited for comes first.
fn shown(stages: &[StageStory]) -> Vec<bool> {
    let mut shown = vec![stages.len() <= MOST; stages.len()];
    let mut left = MOST;
    let mut show = |at: usize| {
        if left > 0 && shown.get(at) == Some(&false) {
            shown[at] = true;
            left -= 1;
        }
    };
    for (at, stage) in stages
        .iter()
        .enumerate()
        .filter(|(_, stage)| !is_fine(stage))
    {
        show(at);
        stage.after.iter().take(4).for_each(|up| show(*up));
    }
    (0..stages.len()).for_each(show);
    shown
}
