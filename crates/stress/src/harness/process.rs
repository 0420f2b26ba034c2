//! What the kernel says of this process.

use std::fs::read_to_string;

use crate::LabError;

/// A number that the kernel knows this process by, such as `Threads`, or `VmRSS` in bytes; `None` where it does not say.
pub(crate) fn status(field: &str) -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let mut words = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?
        .split_whitespace();
    let number: u64 = words.next()?.parse().ok()?;
    Some(if words.next() == Some("kB") {
        number * 1024
    } else {
        number
    })
}

/// The bytes of this process that are in memory, as the kernel counts them.
pub(crate) fn resident() -> Result<f64, LabError> {
    let bytes = status("VmRSS")
        .ok_or_else(|| LabError::new("the kernel does not say how large this process is"))?;
    Ok(bytes as f64)
}
