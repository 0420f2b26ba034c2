//! Who comes, what they ask for, and whether it is theirs.

use std::collections::HashMap;

use rand::RngExt as _;
use stageflow::context::OrgId;

use super::super::t2_correlation::who;
use crate::{LabError, Seed};

/// Somebody whose data must not be seen by the others.
#[derive(Clone, Debug)]
pub(super) struct Guest {
    pub(super) org: OrgId,
    /// `canary` and 128 random bits.
    pub(super) canary: String,
}

/// What a run tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To change a document that names another tenant as its owner.
    ForeignDocument,
    /// To be run for another org than the one that was proved.
    ForeignOrg,
    /// To read what another tenant's run left, by its key. Nothing refuses that, and nothing tells of it: no decision is made, as in
    /// its own store there is no such row.
    ForeignRow,
    /// Nothing that is not its own.
    Own,
    /// To read what says of nobody that it is theirs.
    Unowned,
}

/// How the risky stage of a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Luck {
    Fails,
    Good,
    Panics,
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) guest: Guest,
    /// Whose things it reaches for, if it does.
    pub(super) other: OrgId,
    pub(super) reach: Reach,
    pub(super) luck: Luck,
    pub(super) number: usize,
    /// Which request of its tenant's it is: each is made twice.
    pub(super) request: usize,
}

impl Visit {
    /// Whether it is one that must be refused and told of.
    pub(super) fn is_foreign(&self) -> bool {
        !matches!(self.reach, Reach::Own | Reach::ForeignRow)
    }
}

/// How many of these each tenant has.
pub(super) fn per_org<'a>(visits: impl Iterator<Item = &'a Visit>) -> HashMap<OrgId, u64> {
    let mut count: HashMap<OrgId, u64> = HashMap::new();
    for visit in visits {
        *count.entry(visit.guest.org).or_default() += 1;
    }
    count
}

/// Tenants whose orgs differ in few bits.
pub(super) fn guests(seed: Seed, tenants: usize) -> Result<Vec<Guest>, LabError> {
    let guest = |tenant: u64| {
        let own = seed.child(tenant);
        let org = who::nearby(seed.child(77), tenant)?.org_id();
        Ok(Guest {
            org: org.ok_or_else(|| LabError::new("an identity without an org"))?,
            canary: format!("canary{:016x}{:016x}", own.get(), own.child(1).get()),
        })
    };
    (0..tenants as u64).map(guest).collect()
}

/// What each of them orders, one after the other: three in ten reach for what is not theirs.
pub(super) fn visits(seed: Seed, guests: &[Guest], runs: usize) -> Vec<Visit> {
    let visit = |number: usize| {
        let mut rng = seed.child(5000 + number as u64).rng();
        let tenant = number % guests.len();
        let other = (tenant + rng.random_range(1..guests.len())) % guests.len();
        let reach = match rng.random_range(0..10) {
            0 => Reach::ForeignDocument,
            1 => Reach::ForeignOrg,
            2 => Reach::Unowned,
            3 => Reach::ForeignRow,
            _ => Reach::Own,
        };
        let luck = match rng.random_range(0..10) {
            0 => Luck::Fails,
            1 => Luck::Panics,
            _ => Luck::Good,
        };
        Visit {
            guest: guests[tenant].clone(),
            other: guests[other].org,
            reach,
            luck,
            number,
            request: (number / guests.len()) % (runs / 2).max(1),
        }
    };
    (0..guests.len() * runs).map(visit).collect()
}
