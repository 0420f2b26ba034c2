//! Orgs that nobody knows, and what is remembered of them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dashmap::Entry;
use stageflow_context::OrgId;
use tokio::time::Instant;

use super::{Member, Registry, Stranger, Unknown};
use crate::TenantStanding;

/// Guests are looked through at most this often: whoever sends made-up orgs must not make everybody wait.
const BETWEEN_SWEEPS: Duration = Duration::from_millis(100);

impl Registry {
    /// The tenant; one that nobody knows is let in if that is said.
    pub(crate) fn find_or_let_in(&self, org: OrgId) -> Result<Arc<Member>, Stranger> {
        if let Some(member) = self.find(org) {
            return Ok(member);
        }
        let Unknown::Tier(tier) = &self.unknown else {
            return Err(Stranger::Unknown);
        };
        let Some(tier) = self.tiers.get(tier) else {
            return Err(Stranger::Unknown);
        };
        if !self.remember() {
            self.sweep();
            if !self.remember() {
                // Somebody may have let it in meanwhile.
                return self.find(org).ok_or(Stranger::NoRoom);
            }
        }
        match self.members.entry(org) {
            Entry::Occupied(there) => {
                self.remembered.fetch_sub(1, Ordering::SeqCst);
                Ok(Arc::clone(there.get()))
            }
            Entry::Vacant(free) => {
                let guest = self.member(org, tier, None, TenantStanding::Guest);
                Ok(Arc::clone(&free.insert(guest)))
            }
        }
    }

    /// Takes the room for one more.
    pub(super) fn remember(&self) -> bool {
        let most = self.most.get();
        let more = |remembered: usize| (remembered < most).then_some(remembered + 1);
        self.remembered
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .is_ok()
    }

    /// Forgets the guests with whom nothing is lost: none of their runs is here, and their rates and windows are as good as new.
    fn sweep(&self) {
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if swept.is_some_and(|last| now.saturating_duration_since(last) < BETWEEN_SWEEPS) {
                return;
            }
            *swept = Some(now);
        }
        self.members.retain(|org, member| {
            // Whoever holds it is about to do something with it; nobody can get hold of it now.
            let may_go = Arc::strong_count(member) == 1 && member.is_guest() && member.is_idle();
            let goes = may_go && {
                let usage = member.usage(&self.line);
                let goes = self.line.forget(*org);
                if goes {
                    self.lock_forgotten().absorb(&usage);
                }
                goes
            };
            if goes {
                self.remembered.fetch_sub(1, Ordering::SeqCst);
            }
            !goes
        });
    }
}
