//! What others see of the service: over HTTP, as a client does.

mod policy;
mod postgres;
mod provider;
mod refusals;
mod refused;
mod restart;
mod streams;
mod support;
mod tenants;
