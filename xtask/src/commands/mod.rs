//! One file a command: what it takes and the steps it prepares.

pub(crate) mod bench;
pub(crate) mod ci;
pub(crate) mod docs;
pub(crate) mod features;
pub(crate) mod lint;
pub(crate) mod live;
pub(crate) mod logs;
pub(crate) mod package;
pub(crate) mod props;
pub(crate) mod stress;
pub(crate) mod test;
