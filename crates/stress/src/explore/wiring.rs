//! Random DAGs, as rows of what each stage waits for.

use rand::{Rng, RngExt as _};

/// For each of so many stages those it waits for: at most `most`, all before it, none twice. Half of the arrows are short,
/// so that there are long ways; the others reach back anywhere.
pub(crate) fn wiring(rng: &mut impl Rng, stages: usize, most: usize) -> Vec<Vec<usize>> {
    let row = |stage: usize| {
        let wanted = rng.random_range(0..=most.min(stage));
        let mut row: Vec<usize> = (0..wanted)
            .map(|_| {
                let first = if rng.random_ratio(1, 2) {
                    stage.saturating_sub(8)
                } else {
                    0
                };
                rng.random_range(first..stage)
            })
            .collect();
        row.sort_unstable();
        row.dedup();
        row
    };
    (0..stages).map(row).collect()
}

/// The order in which stages start if each ends at its first poll: those that wait for nothing in order, and then each when
/// the last one it waits for has ended; those that one end makes ready, in order.
pub(crate) fn start_order(wiring: &[Vec<usize>]) -> Vec<usize> {
    let mut left: Vec<usize> = wiring.iter().map(Vec::len).collect();
    let mut down = vec![Vec::new(); wiring.len()];
    for (stage, row) in wiring.iter().enumerate() {
        row.iter().for_each(|up| down[*up].push(stage));
    }
    let mut order: Vec<usize> = (0..wiring.len())
        .filter(|stage| left[*stage] == 0)
        .collect();
    let mut next = 0;
    while let Some(stage) = order.get(next).copied() {
        next += 1;
        for later in &down[stage] {
            left[*later] -= 1;
            if left[*later] == 0 {
                order.push(*later);
            }
        }
    }
    order
}
