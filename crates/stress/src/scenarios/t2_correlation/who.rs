//! Identities that are easy to mix up.

use stageflow::context::{RunId, RunIdentity};

use crate::{LabError, Seed};

/// The `index`th identity of a family: all its ids are given, and each differs from the base's in a single bit.
pub(crate) fn one_bit(seed: Seed, index: u32) -> Result<RunIdentity, LabError> {
    of(seed, |base| base ^ (1 << (index % 128)))
}

/// The `index`th identity of a family as large as one likes; neighbours differ in few bits.
pub(crate) fn nearby(seed: Seed, index: u64) -> Result<RunIdentity, LabError> {
    of(seed, |base| base.wrapping_add(u128::from(index)))
}

fn of(seed: Seed, pick: impl Fn(u128) -> u128) -> Result<RunIdentity, LabError> {
    let id = |prefix: &str, part: u64| {
        let (high, low) = (seed.child(2 * part).get(), seed.child(2 * part + 1).get());
        let number = pick(u128::from(high) << 64 | u128::from(low));
        format!("{prefix}{number:032x}")
    };
    let identity = RunIdentity::new(parse::<RunId>(&id("run_", 0))?)
        .with_request_id(parse::<stageflow::context::RequestId>(&id("req_", 1))?)
        .with_session_id(parse::<stageflow::context::SessionId>(&id("ses_", 2))?)
        .with_user_id(parse::<stageflow::context::UserId>(&id("usr_", 3))?)
        .with_org_id(parse::<stageflow::context::OrgId>(&id("org_", 4))?)
        .with_interaction_id(parse::<stageflow::context::InteractionId>(&id("int_", 5))?)
        .with_trace_id(parse::<stageflow::context::TraceId>(&id("", 7))?)
        .with_correlation_id(parse(&id("cor_", 6))?);
    Ok(identity)
}

pub(crate) fn parse<T: std::str::FromStr>(text: &str) -> Result<T, LabError>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(LabError::new)
}
