//! Allocations and live heap, counted by an allocator that the timed program must not have.
//!
//! Prints one `name value` line a figure; the table reads them.

use std::process::ExitCode;

use stageflow_benches::Allocated;

fn main() -> ExitCode {
    stageflow_benches::counts(|work| {
        let info = allocation_counter::measure(work);
        Allocated::new(info.count_total, info.bytes_max, info.bytes_current)
    })
}
