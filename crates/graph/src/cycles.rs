//! Circles among stages: one path for each group that waits for itself.

use crate::plan::Rows;

/// One closed path (its first stage repeated at the end) through each strongly connected group of more than one stage, and
/// each stage that waits for itself. Empty for a DAG. O(stages + edges), without recursion.
pub(crate) fn find(downstream: &Rows, in_degrees: &[u32]) -> Vec<Vec<u32>> {
    let left = unreachable_by_kahn(downstream, in_degrees);
    if !left.contains(&true) {
        return Vec::new();
    }
    groups(downstream, &left)
        .iter()
        .map(|group| closed_path(downstream, group))
        .collect()
}

/// Kahn's algorithm (A. B. Kahn, 1962); `true` for the stages it never reaches: those in a circle or behind one.
fn unreachable_by_kahn(downstream: &Rows, in_degrees: &[u32]) -> Vec<bool> {
    let mut waiting = in_degrees.to_vec();
    let mut left = vec![true; waiting.len()];
    let mut ready: Vec<u32> = (0..waiting.len() as u32)
        .filter(|stage| waiting[*stage as usize] == 0)
        .collect();
    while let Some(stage) = ready.pop() {
        left[stage as usize] = false;
        for next in downstream.row(stage as usize) {
            waiting[*next as usize] -= 1;
            if waiting[*next as usize] == 0 {
                ready.push(*next);
            }
        }
    }
    left
}

const UNSEEN: u32 = u32::MAX;

/// Tarjan's strongly connected components (R. Tarjan, 1972) with an explicit stack, sorted by their first stage.
fn groups(downstream: &Rows, among: &[bool]) -> Vec<Vec<u32>> {
    let count = among.len();
    let mut order = vec![UNSEEN; count];
    let mut low = vec![UNSEEN; count];
    let mut open = vec![false; count];
    let mut path: Vec<(u32, usize)> = Vec::new();
    let mut members: Vec<u32> = Vec::new();
    let mut groups = Vec::new();
    let mut clock = 0;
    for root in (0..count).filter(|stage| among[*stage]) {
        if order[root] != UNSEEN {
            continue;
        }
        path.push((root as u32, 0));
        while let Some((stage, edge)) = path.last_mut() {
            let at = *stage as usize;
            if *edge == 0 && order[at] == UNSEEN {
                order[at] = clock;
                low[at] = clock;
                clock += 1;
                open[at] = true;
                members.push(*stage);
            }
            if let Some(next) = downstream.row(at).get(*edge).map(|next| *next as usize) {
                *edge += 1;
                if among[next] && order[next] == UNSEEN {
                    path.push((next as u32, 0));
                } else if among[next] && open[next] {
                    low[at] = low[at].min(order[next]);
                }
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                low[*parent as usize] = low[*parent as usize].min(low[at]);
            }
            if low[at] == order[at] {
                let start = members
                    .iter()
                    .rposition(|member| *member as usize == at)
                    .unwrap_or(0);
                let mut group = members.split_off(start);
                group
                    .iter()
                    .for_each(|member| open[*member as usize] = false);
                group.sort_unstable();
                if group.len() > 1 || downstream.row(at).contains(&(at as u32)) {
                    groups.push(group);
                }
            }
        }
    }
    groups.sort_unstable();
    groups
}

/// The shortest way from the first stage of `group` back to itself, breadth first.
fn closed_path(downstream: &Rows, group: &[u32]) -> Vec<u32> {
    let start = group[0];
    let mut from = std::collections::HashMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(stage) = queue.pop_front() {
        for next in downstream.row(stage as usize) {
            if *next == start {
                let mut path = vec![start, stage];
                while let Some(previous) = path.last().and_then(|last| from.get(last)) {
                    path.push(*previous);
                }
                path.reverse();
                return path;
            }
            if group.binary_search(next).is_ok() && !from.contains_key(next) {
                from.insert(*next, stage);
                queue.push_back(*next);
            }
        }
    }
    vec![start, start]
}
