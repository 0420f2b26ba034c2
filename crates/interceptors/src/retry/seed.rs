//! Where chance comes from.

use std::hash::{Hash as _, Hasher as _};

use fastrand::Rng;
use rustc_hash::FxHasher;

use crate::Call;

/// From the seed of the run and the place of the attempt alone, so that nothing depends on what else goes on.
pub(super) fn rng(call: &Call<'_>, made: u32) -> Rng {
    let mut place = FxHasher::default();
    place.write_u64(call.host().seed());
    place.write_u32(call.index().get());
    if let Some(part) = call.part() {
        part.hash(&mut place);
        part.during().hash(&mut place);
    }
    place.write_u32(made);
    Rng::with_seed(place.finish())
}
