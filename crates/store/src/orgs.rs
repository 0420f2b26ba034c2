//! What each org is to keep goes out side by side, so that one that is in trouble keeps nothing from the others.

use std::fmt::Display;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use stageflow_context::OrgId;
use stageflow_events::Consignment;
use tokio::time::{Instant, timeout_at};

/// Of how many orgs it is known that they are in trouble.
const KNOWN: usize = 1_024;

/// What an org is to keep, on its way.
pub(crate) struct Sending<'a, E> {
    pub(crate) org: Option<OrgId>,
    /// Where its entries are in the consignment.
    pub(crate) places: Vec<usize>,
    /// Ends with the places of what is not kept, whatever is tried; or with what may pass.
    pub(crate) work: BoxFuture<'a, Result<Vec<usize>, E>>,
}

/// The orgs that took nothing when they were asked last: others come before them.
#[derive(Default)]
pub(crate) struct Troubled(Vec<Trouble>);

struct Trouble {
    org: Option<OrgId>,
    /// What was to be kept was lost, and nothing was kept since.
    is_given_up: bool,
}

impl Troubled {
    /// Sends these, first to those who are not in trouble, and notes what was kept, and what comes later. It takes at most half of
    /// the time that there is. What is not kept, whatever is tried, is for the caller: it gives the places of that.
    pub(crate) async fn send<E: Display>(
        &mut self,
        goods: &mut Consignment<'_>,
        all: Vec<Sending<'_, E>>,
    ) -> Vec<usize> {
        let until = Instant::now() + goods.limit() / 2;
        let (troubled, quiet): (Vec<_>, _) = all
            .into_iter()
            .partition(|sending| self.find(sending.org).is_some());
        let mut refused = Vec::new();
        for group in [quiet, troubled] {
            let began = Instant::now();
            let mut waiting = Vec::new();
            let mut going = FuturesUnordered::new();
            for Sending { org, places, work } in group {
                waiting.push((org, places));
                going.push(async move { (org, work.await) });
            }
            while let Ok(Some((org, kept))) = timeout_at(until, going.next()).await {
                let at = waiting.iter().position(|(other, _)| *other == org);
                let Some((_, places)) = at.map(|at| waiting.swap_remove(at)) else {
                    continue;
                };
                match kept {
                    Ok(never) => {
                        self.0.retain(|trouble| trouble.org != org);
                        let kept = places.into_iter().filter(|place| !never.contains(place));
                        goods.taken(kept);
                        refused.extend(never);
                    }
                    Err(why) => self.put_off(goods, (org, places), began.elapsed(), &why),
                }
            }
            for late in waiting {
                self.put_off(goods, late, began.elapsed(), &"it takes too long");
            }
        }
        refused
    }

    /// These come later. If their org was given up before and lets others wait, too, it has had its chance.
    fn put_off(
        &mut self,
        goods: &mut Consignment<'_>,
        (org, places): (Option<OrgId>, Vec<usize>),
        took: Duration,
        why: &dyn Display,
    ) {
        let is_slow = took > goods.limit() / 8;
        let is_known = self.find(org).is_some_and(|trouble| trouble.is_given_up);
        let has_had_its_chance = is_slow && is_known;
        match has_had_its_chance {
            true => goods.refused(places, why),
            false => goods.later(places, why),
        }
        let is_over = has_had_its_chance || goods.is_last();
        let at = self.0.iter().position(|trouble| trouble.org == org);
        match at.and_then(|at| self.0.get_mut(at)) {
            Some(trouble) => trouble.is_given_up |= is_over,
            None => {
                if self.0.len() == KNOWN {
                    self.0.swap_remove(0);
                }
                let is_given_up = is_over;
                self.0.push(Trouble { org, is_given_up });
            }
        }
    }

    fn find(&self, org: Option<OrgId>) -> Option<&Trouble> {
        self.0.iter().find(|trouble| trouble.org == org)
    }
}
