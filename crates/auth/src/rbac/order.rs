//! From roles as they are written down to roles that can be asked, with all that is wrong on the way.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::error::{RbacError, RbacProblem};
use super::grant::Grant;
use super::{Compiled, Known, Role};

/// The longest name of a role, in bytes, and how much of a bad text is told.
const MAX_NAME: usize = 128;

pub(super) fn compile(written: Vec<Role>) -> Result<Compiled, RbacError> {
    let mut problems = Vec::new();
    let mut places = HashMap::new();
    for (place, role) in written.iter().enumerate() {
        if !is_name(&role.name) {
            problems.push(RbacProblem::BadRole(beginning(&role.name)));
        }
        if places.insert(Arc::clone(&role.name), place).is_some() {
            problems.push(RbacProblem::Repeated(Arc::clone(&role.name)));
        }
    }
    let grants: Vec<_> = written
        .iter()
        .map(|role| grants(role, &mut problems))
        .collect();
    let parents: Vec<_> = written
        .iter()
        .map(|role| parents(role, &places, &mut problems))
        .collect();
    for cycle in cycles(&parents) {
        let name = |place: usize| Arc::clone(&written[place].name);
        problems.push(RbacProblem::Cycle(cycle.into_iter().map(name).collect()));
    }
    if !problems.is_empty() {
        return Err(RbacError::new(problems));
    }
    let roles = written.into_iter().zip(grants).enumerate();
    let roles = roles.map(|(place, (role, grants))| Known {
        name: role.name,
        grants,
        lineage: lineage(place, &parents),
    });
    let roles = roles.collect();
    Ok(Compiled { places, roles })
}

/// Any text an identity provider could call a role, as long as it can be told in a line.
fn is_name(name: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    (1..=MAX_NAME).contains(&name.len()) && !name.contains(odd)
}

fn beginning(text: &str) -> String {
    text.chars().take(MAX_NAME).collect()
}

fn grants(role: &Role, problems: &mut Vec<RbacProblem>) -> Vec<Grant> {
    let mut grants = Vec::with_capacity(role.permits.len());
    for text in &role.permits {
        match Grant::parse(text) {
            Some(grant) => grants.push(grant),
            None => problems.push(RbacProblem::BadPermission {
                role: Arc::clone(&role.name),
                permission: beginning(text),
            }),
        }
    }
    grants
}

fn parents(
    role: &Role,
    places: &HashMap<Arc<str>, usize>,
    problems: &mut Vec<RbacProblem>,
) -> Vec<usize> {
    let mut parents = Vec::with_capacity(role.inherits.len());
    for name in &role.inherits {
        match places.get(name) {
            Some(place) => parents.push(*place),
            None => problems.push(RbacProblem::Unknown {
                role: Arc::clone(&role.name),
                inherits: Arc::clone(name),
            }),
        }
    }
    parents
}

/// The role itself and all it inherits from, the nearest first, each once.
fn lineage(place: usize, parents: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = vec![false; parents.len()];
    let mut found = Vec::new();
    let mut next = VecDeque::from([place]);
    while let Some(place) = next.pop_front() {
        if !std::mem::replace(&mut seen[place], true) {
            found.push(place);
            next.extend(&parents[place]);
        }
    }
    found
}

/// Circles of roles, until there would be none if those in them were not there.
fn cycles(parents: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut settled = vec![false; parents.len()];
    let mut cycles = Vec::new();
    loop {
        settle(parents, &mut settled);
        let Some(start) = settled.iter().position(|settled| !settled) else {
            return cycles;
        };
        let cycle = walk(start, parents, &settled);
        for place in &cycle {
            settled[*place] = true;
        }
        cycles.push(cycle);
    }
}

/// Settles every role whose parents are all settled.
fn settle(parents: &[Vec<usize>], settled: &mut [bool]) {
    let mut children = vec![Vec::new(); parents.len()];
    let mut waits = vec![0_usize; parents.len()];
    let mut ready = Vec::new();
    for (place, of) in parents.iter().enumerate() {
        for parent in of.iter().filter(|parent| !settled[**parent]) {
            children[*parent].push(place);
            waits[place] += 1;
        }
        if waits[place] == 0 && !settled[place] {
            ready.push(place);
        }
    }
    while let Some(place) = ready.pop() {
        settled[place] = true;
        for child in &children[place] {
            waits[*child] -= 1;
            if waits[*child] == 0 && !settled[*child] {
                ready.push(*child);
            }
        }
    }
}

/// From one role to the next that is not settled, until one comes again: each has such a parent.
fn walk(start: usize, parents: &[Vec<usize>], settled: &[bool]) -> Vec<usize> {
    let mut path = vec![start];
    let mut at = vec![None; parents.len()];
    at[start] = Some(0);
    let mut here = start;
    while let Some(next) = parents[here].iter().find(|parent| !settled[**parent]) {
        if let Some(from) = at[*next] {
            return path.split_off(from);
        }
        at[*next] = Some(path.len());
        path.push(*next);
        here = *next;
    }
    path
}
