//! How the end of a stage reaches others: through joins, down cones, along chains of fallbacks. Without recursion.

use stageflow_graph::{Join, Role};

use super::words::{Effect, Verdict};
use super::{ENDED, RunMachine, TAKEN};
use crate::FailurePolicy;
use crate::sabotage::Fault;

/// What those that wait for a stage have to know of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Its value is in its slot.
    Gave,
    /// There will be none. The stage that was skipped or failed first is kept all the way down.
    None { because: u32 },
}

impl RunMachine<'_> {
    /// Sets up what plans need that are more than stages.
    pub(super) fn with_branches(mut self) -> Self {
        self.branches = vec![0; self.plan.len()];
        for node in 0..self.plan.len() {
            let waiting = &mut self.waiting[node];
            self.branches[node] = *waiting;
            match self.plan.role(node) {
                // The end of the stage it stands in for counts as one more edge.
                Role::Fallback { .. } => *waiting += 1,
                Role::Join(Join::AtLeast(wanted)) => {
                    *waiting = u32::try_from(wanted.get()).unwrap_or(u32::MAX);
                }
                Role::Join(_) | Role::Merge => *waiting = 1,
                _ => {}
            }
        }
        self
    }

    /// A route takes this arm.
    pub(super) fn took(&mut self, arm: u32) {
        if self.waiting[arm as usize] < TAKEN {
            self.waiting[arm as usize] = TAKEN;
        }
    }

    /// A route has taken all the arms it takes.
    pub(super) fn chosen(&mut self, route: u32) {
        for arm in self.plan.arms(route as usize) {
            let taken = self.waiting[arm] == TAKEN || self.strikes(Fault::TakeEveryArm);
            if self.waiting[arm] >= ENDED {
                continue;
            }
            self.waiting[arm] = ENDED;
            let stage = arm as u32;
            if taken {
                self.effects
                    .push_back(Effect::Resolve { stage, from: route });
                self.news.push((stage, News::Gave));
            } else {
                self.effects.push_back(Effect::Skip {
                    stage,
                    because: route,
                });
                self.news.push((stage, News::None { because: stage }));
            }
        }
        self.spread();
    }

    /// A stage of a plan with routes, joins or fallbacks has given its value.
    pub(super) fn gave_among_branches(&mut self, stage: u32) {
        if let Role::Route { .. } = self.plan.role(stage as usize) {
            return self.effects.push_back(Effect::Choose(stage));
        }
        let primary = self.plan.primary(stage as usize) as u32;
        if primary != stage {
            self.effects.push_back(Effect::Substitute {
                stage: primary,
                from: stage,
            });
        }
        self.skip_fallbacks(stage, stage);
        self.tell(primary, News::Gave);
    }

    /// A stage has skipped: so does everything that cannot do without it.
    pub(super) fn skipped(&mut self, stage: u32) {
        let primary = self.plan.primary(stage as usize) as u32;
        self.skip_fallbacks(stage, stage);
        self.tell(primary, News::None { because: stage });
    }

    /// A stage has failed: somebody stands in for it, or the run does without it, or the run fails.
    pub(super) fn failed(&mut self, stage: u32) {
        if let Some(fallback) = self.plan.fallback(stage as usize)
            && !self.strikes(Fault::ForgetFallback)
        {
            let waiting = &mut self.waiting[fallback];
            if *waiting < TAKEN {
                *waiting -= 1;
                if *waiting == 0 {
                    self.make_ready(fallback as u32);
                }
            }
            return;
        }
        let primary = self.plan.primary(stage as usize) as u32;
        let news = News::None { because: primary };
        if self.can_be_absent(primary) {
            return self.tell(primary, news);
        }
        match self.policy {
            FailurePolicy::FailFast => self.stop(Verdict::Failed(primary)),
            FailurePolicy::Drain => {
                self.failed_first(primary);
                self.width = 0;
            }
            FailurePolicy::ContinueIndependent => {
                self.failed_first(primary);
                self.tell(primary, news);
            }
        }
    }

    /// The first failure decides, unless something else has.
    fn failed_first(&mut self, stage: u32) {
        if self.verdict.is_none() {
            self.failed = self.failed.or(Some(stage));
        }
    }

    /// Nobody needs the stages that would stand in for this one.
    fn skip_fallbacks(&mut self, stage: u32, because: u32) {
        let mut next = self.plan.fallback(stage as usize);
        while let Some(fallback) = next {
            if self.waiting[fallback] < ENDED {
                self.waiting[fallback] = ENDED;
                self.effects.push_back(Effect::Skip {
                    stage: fallback as u32,
                    because,
                });
            }
            next = self.plan.fallback(fallback);
        }
    }

    fn tell(&mut self, stage: u32, news: News) {
        let news = self.made_good(stage, news);
        self.news.push((stage, news));
        self.spread();
    }

    /// Those that wait for a stage that can be absent get another value. It is in its slot before any of them is told.
    fn made_good(&mut self, stage: u32, news: News) -> News {
        match news {
            News::None { .. } if self.can_be_absent(stage) => {
                self.effects.push_back(Effect::Absent(stage));
                News::Gave
            }
            news => news,
        }
    }

    /// Tells everybody whom the news concern, and whom that concerns in turn: the nearest first.
    fn spread(&mut self) {
        let first_ready = self.ready.len();
        let mut heard = std::mem::take(&mut self.news);
        let mut at = 0;
        while let Some((stage, news)) = heard.get(at).copied() {
            at += 1;
            let is_kept = news != News::Gave && self.strikes(Fault::KeepDependents);
            if is_kept || (news == News::Gave && !self.plan.has_branches()) {
                self.release(stage);
                continue;
            }
            for next in self.plan.downstream(stage as usize) {
                self.hear(*next, stage, news, &mut heard);
            }
        }
        heard.clear();
        self.news = heard;
        // They became ready together, whatever the way on which they were found.
        self.ready[first_ready..].sort_unstable();
    }

    fn hear(&mut self, node: u32, from: u32, news: News, heard: &mut Vec<(u32, News)>) {
        if self.waiting[node as usize] >= TAKEN {
            return;
        }
        let role = self.plan.role(node as usize);
        let news = match (role, news) {
            // It waits for what its route decides.
            (Role::Arm { .. }, News::Gave) => return,
            (Role::Join(_) | Role::Merge, news) => match self.branch_ended(node, role, news) {
                None => return,
                Some(news) => news,
            },
            (_, News::Gave) => {
                if self.strikes(Fault::ForgetDependent) {
                    return;
                }
                let early =
                    u32::from(self.waiting[node as usize] == 2 && self.strikes(Fault::StartEarly));
                let waiting = &mut self.waiting[node as usize];
                *waiting -= 1 + early;
                if *waiting == 0 {
                    self.make_ready(node);
                }
                return;
            }
            (_, news) => news,
        };
        self.waiting[node as usize] = ENDED;
        self.effects.push_back(match news {
            News::Gave => Effect::Resolve { stage: node, from },
            News::None { because } => Effect::Skip {
                stage: node,
                because,
            },
        });
        let news = self.made_good(node, news);
        heard.push((node, news));
    }

    /// What a branch's end makes of a merge or join: `None` if it goes on waiting.
    fn branch_ended(&mut self, join: u32, role: Role, news: News) -> Option<News> {
        let (waiting, left) = (
            &mut self.waiting[join as usize],
            &mut self.branches[join as usize],
        );
        *left = left.saturating_sub(1);
        if news == News::Gave {
            *waiting = waiting.saturating_sub(1);
        }
        let (wanted, left) = (*waiting, *left);
        match role {
            Role::Join(Join::Settled) if left > 0 => None,
            _ if wanted == 0 => Some(News::Gave),
            _ if left < wanted => match news {
                News::None { .. } => Some(news),
                // Every branch has given its value, and that was not enough: the builder refuses such a join.
                News::Gave => None,
            },
            _ => None,
        }
    }
}
