//! Building a graph from names: intern them, lay out the arrows flat, put the stages in order, refuse circles.
//!
//! With the standard library's hash, because names may come from strangers.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use crate::harness::Batch;
use crate::topology::Listing;

/// Builds `listing` again and again.
pub(crate) fn kahn(listing: &Arc<Listing>) -> Batch {
    let listing = Arc::clone(listing);
    Arc::new(move |count| {
        let listing = Arc::clone(&listing);
        Box::pin(async move {
            for _ in 0..count {
                assert!(
                    black_box(Graph::build(&listing)).is_some(),
                    "the listing is a graph"
                );
            }
        })
    })
}

/// The least that a run needs to know.
struct Graph {
    starts: Vec<u32>,
    dependents: Vec<u32>,
    in_degrees: Vec<u32>,
    order: Vec<u32>,
}

impl Graph {
    fn build(listing: &Listing) -> Option<Self> {
        let size = listing.stages.len();
        let mut index: HashMap<&str, u32> = HashMap::with_capacity(size);
        for (number, (name, _)) in (0_u32..).zip(&listing.stages) {
            if index.insert(name, number).is_some() {
                return None;
            }
        }
        let mut in_degrees = vec![0; size];
        let mut starts = vec![0; size + 1];
        let mut arrows = Vec::new();
        for (to, (_, deps)) in (0_u32..).zip(&listing.stages) {
            for dep in deps {
                let from = *index.get(dep.as_str())?;
                starts[from as usize + 1] += 1;
                in_degrees[to as usize] += 1;
                arrows.push((from, to));
            }
        }
        for stage in 0..size {
            starts[stage + 1] += starts[stage];
        }
        let mut dependents = vec![0; arrows.len()];
        let mut next = starts.clone();
        for (from, to) in arrows {
            let place = &mut next[from as usize];
            dependents[*place as usize] = to;
            *place += 1;
        }
        let order = Vec::with_capacity(size);
        Self {
            starts,
            dependents,
            in_degrees,
            order,
        }
        .ordered()
    }

    /// Kahn's algorithm; the order is its own queue.
    fn ordered(mut self) -> Option<Self> {
        let mut waiting = self.in_degrees.clone();
        let free = (0_u32..).zip(&waiting).filter(|(_, waits)| **waits == 0);
        self.order.extend(free.map(|(stage, _)| stage));
        let mut done = 0;
        while let Some(&stage) = self.order.get(done) {
            done += 1;
            let stage = stage as usize;
            for &next in
                &self.dependents[self.starts[stage] as usize..self.starts[stage + 1] as usize]
            {
                waiting[next as usize] -= 1;
                if waiting[next as usize] == 0 {
                    self.order.push(next);
                }
            }
        }
        (done == waiting.len()).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(stages: &[(&str, &[&str])]) -> Listing {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Listing {
            stages: stages
                .iter()
                .map(|(name, deps)| ((*name).to_owned(), owned(deps)))
                .collect(),
        }
    }

    #[test]
    fn dependencies_come_first_in_the_order() {
        let graph =
            Graph::build(&listing(&[("c", &["a", "b"]), ("b", &["a"]), ("a", &[])])).unwrap();
        assert_eq!(graph.order, [2, 1, 0]);
    }

    #[test]
    fn circles_unknown_names_and_duplicates_are_refused() {
        assert!(Graph::build(&listing(&[("a", &["b"]), ("b", &["a"])])).is_none());
        assert!(Graph::build(&listing(&[("a", &["b"])])).is_none());
        assert!(Graph::build(&listing(&[("a", &[]), ("a", &[])])).is_none());
    }

    #[test]
    fn the_measured_listings_are_graphs() {
        for listing in [Listing::random_dag(1000), Listing::reversed_chain(1000)] {
            assert_eq!(Graph::build(&listing).unwrap().order.len(), 1000);
        }
    }
}
