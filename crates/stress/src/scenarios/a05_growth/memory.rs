//! How large this process is.

use std::fs::read_to_string;

use crate::LabError;

/// The bytes of this process that are in memory, as the kernel counts them.
pub(super) fn resident() -> Result<f64, LabError> {
    let status = read_to_string("/proc/self/status").map_err(LabError::new)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    let kilobytes = kilobytes
        .ok_or_else(|| LabError::new("the kernel does not say how large this process is"))?;
    Ok(kilobytes * 1024.0)
}
