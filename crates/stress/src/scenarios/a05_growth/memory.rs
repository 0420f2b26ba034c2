//! How large this process is.

use std::collections::LinkedList;
use std::hint::black_box;

use crate::LabError;
use crate::harness::process::resident;

const MEGABYTE: usize = 1 << 20;

/// Memory that is taken, and held until this is dropped.
///
/// What others gave back to the allocator is still part of the process: a leak would be put there, and the process would
/// not grow. With that room taken, it must.
pub(super) struct Ballast(LinkedList<Vec<u8>>);

impl Ballast {
    /// Takes the room that is left in this process, in pieces of every size, until taking more makes it larger.
    pub(super) fn take() -> Result<Self, LabError> {
        // A list, because a vector that doubles would make the process larger itself.
        let mut held = LinkedList::new();
        for size in [16 * 1024, 1024, 256, 96, 32] {
            for _ in 0..512 {
                let before = resident()?;
                for _ in 0..MEGABYTE / size {
                    held.push_back(black_box(vec![1; size]));
                }
                if resident()? - before > 0.7 * MEGABYTE as f64 {
                    break;
                }
            }
        }
        Ok(Self(held))
    }

    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}
