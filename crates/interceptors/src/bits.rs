//! A bit for each layer of an onion.

/// So many layers have a bit each.
pub(crate) const BITS: u32 = u64::BITS;

/// The bit of a layer; none for those beyond the last.
#[inline]
pub(crate) fn bit(layer: u32) -> u64 {
    if layer < BITS { 1 << layer } else { 0 }
}

/// The bits of all layers before this one.
#[inline]
pub(crate) fn below(layer: u32) -> u64 {
    if layer < BITS {
        (1 << layer) - 1
    } else {
        u64::MAX
    }
}
