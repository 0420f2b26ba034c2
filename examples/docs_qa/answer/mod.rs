//! From evidence to an answer that may be given: composed offline or by a model, and checked against its sources.

pub(crate) mod citations;
pub(crate) mod compose;
pub(crate) mod endpoint;
pub(crate) mod model;
mod written;
